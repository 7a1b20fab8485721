"""A mask head of one's own: a module with `loss` and `predict`, which knows nothing of the other heads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

import maskrcnn
from maskrcnn.data.shapes import shapes_in_memory


class DiceMaskHead(nn.Module):
    """One map for all classes, trained by the Dice loss (Milletari et al. 2016)."""

    pool_size = 14  # bins per side of the features that it gets
    paste: Literal["grown", "sampled"] = "sampled"  # how masks are enlarged, see `mask_head.paste`

    def __init__(self, inputs: int, channels: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(inputs, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, 1, 1))

    def forward(self, pooled: Tensor) -> Tensor:
        """[N, 14, 14, C] features of N boxes to [N, 28, 28] probabilities."""
        logits = self.layers(F.interpolate(pooled.permute(0, 3, 1, 2), scale_factor=2))
        return logits[:, 0].float().sigmoid()

    def loss(self, pooled: Tensor, positives: maskrcnn.Positives) -> dict[str, Tensor]:
        """The loss of proposals that are objects; 0 where there are none."""
        found, truth = self(pooled).flatten(1), positives.mask_targets(28).flatten(1)
        overlap = 2 * (found * truth).sum(1) / (found.sum(1) + truth.sum(1) + 1e-6)
        return {"dice": (1 - overlap).sum() / max(1, len(overlap))}

    def predict(self, pooled: Tensor, labels: Tensor) -> Tensor:
        """[N, 28, 28] probabilities of the detected boxes, whose labels [N] do not matter here."""
        return self(pooled)


def main(output: Path, images: int = 200, changes: Mapping[str, object] = {}) -> maskrcnn.TrainingResult:
    """Train it with everything else of the library."""
    data = shapes_in_memory(images)
    changes = {"backbone.name": "resnet18", "input.min_size": 128, "train.steps": 300, **changes}
    settings = maskrcnn.RunSettings().changed(maskrcnn.FROM_RANDOM, changes)
    head = DiceMaskHead(inputs=settings.neck.channels)
    model = maskrcnn.build_model(settings.model, len(data.classes), mask_head=head)
    return maskrcnn.train(data, output=output, model=model, settings=settings)


if __name__ == "__main__":
    print(main(Path("runs/own_head")).report)
