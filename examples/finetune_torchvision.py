"""A checkpoint of torchvision, fine-tuned for other classes, and written back for torchvision."""

import sys
from collections.abc import Mapping
from pathlib import Path

import maskrcnn
from maskrcnn.data.shapes import shapes_in_memory


def main(checkpoint: str | Path, output: Path, images: int = 200, changes: Mapping[str, object] = {}) -> Path:
    """Fine-tune on drawn images; their classes get new layers, all others start from the checkpoint.

    Args:
        checkpoint: A file with the `state_dict()` of a detector of torchvision, or a published name.
        output: Folder of the run.
        images: How many to draw.
        changes: Of the settings.

    Returns:
        A file that torchvision's `maskrcnn_resnet50_fpn(num_classes=6)` loads.
    """
    data = shapes_in_memory(images)
    settings = {"input.min_size": 256, "train.learning_rate": 0.005, "train.steps": 300, **changes}
    result = maskrcnn.train(data, output=output, weights=checkpoint, settings=settings)
    maskrcnn.convert_weights(result.weights, output / "torchvision.pth", to="torchvision")
    return output / "torchvision.pth"


if __name__ == "__main__":
    print(main(sys.argv[1] if len(sys.argv) > 1 else "torchvision/maskrcnn_resnet50_fpn", Path("runs/finetuned")))
