"""Mask R-CNN: train, evaluate and predict.

The public names are imported when they are first used, so that `import maskrcnn` does not wait for torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Classes": "structures.classes",
    "Dataset": "data.records",
    "FROM_RANDOM": "config.presets",
    "Instances": "structures.instances",
    "MaskRCNNError": "errors",
    "ModelSettings": "config",
    "Predictor": "predict.predictor",
    "Report": "evaluation.report",
    "Results": "evaluation.results",
    "RunSettings": "config",
    "KeypointSchema": "structures.skeletons",
    "convert_dataset": "data.conversion",
    "diagnose": "doctor.diagnosis",
    "TTASettings": "config",
    "draw_instances": "draw.instances",
    "evaluate": "predict.evaluation",
    "read_coco": "data.readers.coco",
    "read_dataset": "data.formats",
    "read_image": "data.images",
    "read_weights": "weights.reading",
    "save_weights": "weights.own",
    "score": "predict.evaluation",
    "to_rle": "structures.masks",
    "train": "training.train",
    "training_batches": "data.loading",
}

__all__ = [
    "FROM_RANDOM",
    "Classes",
    "Dataset",
    "Instances",
    "KeypointSchema",
    "MaskRCNNError",
    "ModelSettings",
    "Predictor",
    "Report",
    "Results",
    "RunSettings",
    "TTASettings",
    "convert_dataset",
    "diagnose",
    "draw_instances",
    "evaluate",
    "read_coco",
    "read_dataset",
    "read_image",
    "read_weights",
    "save_weights",
    "score",
    "to_rle",
    "train",
    "training_batches",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'maskrcnn' has no attribute {name!r}")
    return getattr(import_module(f"maskrcnn.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
