"""Weights of one's own for the losses, such as masks that count twice."""

from collections.abc import Mapping
from pathlib import Path

import maskrcnn
from maskrcnn.data.shapes import shapes_in_memory


def main(output: Path, images: int = 200, changes: Mapping[str, object] = {}) -> maskrcnn.TrainingResult:
    """Train with them; a name that is no loss of the model is an error that lists those that are."""
    settings = {
        "backbone.name": "resnet18",
        "input.min_size": 128,
        "train.steps": 300,
        "train.loss_weights": {"masks": 2.0, "rpn_objectness": 0.5},
        **changes,
    }
    return maskrcnn.train(shapes_in_memory(images), output=output, weights="none", settings=settings)


if __name__ == "__main__":
    print(main(Path("runs/own_loss_weights")).report)
