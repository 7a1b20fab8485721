"""A backbone of one's own: a module with `channels`, from images to one map for each level."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

import maskrcnn
from maskrcnn.data.shapes import shapes_in_memory


class PlainBackbone(nn.Module):
    """Convolutions of stride 2; the map of level l has a stride of 2**l pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.channels = {2: 32, 3: 64, 4: 128, 5: 256}  # of each level, the finest first
        self.stem = self.block(3, 32)
        self.stages = nn.ModuleList(self.block(max(32, width // 2), width) for width in self.channels.values())

    def block(self, inputs: int, outputs: int) -> nn.Sequential:
        """Half the size."""
        convolution = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
        return nn.Sequential(convolution, nn.GroupNorm(8, outputs), nn.ReLU())

    def forward(self, images: Tensor) -> dict[int, Tensor]:
        """Images [B, 3, H, W] to {level: [B, C, H / 2**level, W / 2**level]}."""
        maps, features = {}, self.stem(images)
        for level, stage in zip(self.channels, self.stages, strict=True):
            maps[level] = features = stage(features)
        return maps


def main(output: Path, images: int = 200, changes: Mapping[str, object] = {}) -> maskrcnn.Predictor:
    """Train it with everything else of the library, and read it again."""
    data = shapes_in_memory(images)
    changes = {"input.min_size": 128, "train.steps": 300, **changes}
    settings = maskrcnn.RunSettings().changed(maskrcnn.FROM_RANDOM, changes)
    model = maskrcnn.build_model(settings.model, len(data.classes), backbone=PlainBackbone())
    result = maskrcnn.train(data, output=output, model=model, settings=settings)
    return load(result.weights)


def load(path: Path) -> maskrcnn.Predictor:
    """The trained model, also in another program: the file has its settings and classes, the code has the backbone."""
    weights = maskrcnn.read_weights(path)
    model = maskrcnn.build_model(weights.settings, len(weights.classes), backbone=PlainBackbone())
    return maskrcnn.Predictor(weights, model=model)


if __name__ == "__main__":
    main(Path("runs/own_backbone"))
