"""Predictions of another library, here torchvision's detector, scored by our metrics."""

import torch
from torchvision.models.detection import maskrcnn_resnet50_fpn

import maskrcnn
from maskrcnn.data.shapes import shapes_in_memory


def main(detector: torch.nn.Module, data: maskrcnn.Dataset) -> maskrcnn.Report:
    """The scores of a detector that gives boxes, labels (category ids), scores and masks as torchvision's do."""
    detector.eval()
    found = {}
    for record in data:
        image = record.pixels if record.pixels is not None else maskrcnn.read_image(record.path)
        with torch.no_grad():
            found[record.image_id] = detector([image / 255])[0]
    return maskrcnn.score(found, data)  # also records of COCO results, or their file


if __name__ == "__main__":
    print(main(maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=6), shapes_in_memory(10)))
