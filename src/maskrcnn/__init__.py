"""Mask R-CNN: train, evaluate and predict.

The public names are imported when they are first used, so that `import maskrcnn` does not wait for torch. Type checkers
see them as they are.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .benchmarks.run import run_benchmark
    from .config import ModelSettings, RunSettings, TTASettings
    from .config.presets import FROM_RANDOM, preset_names, read_preset
    from .data.augmentation import Augment
    from .data.conversion import convert_dataset
    from .data.dataset import Dataset, Record
    from .data.formats import read_dataset
    from .data.images import load_image, read_image
    from .data.loading import training_batches
    from .data.readers.coco import read_coco
    from .data.shapes import write_shapes
    from .data.transforms import albumentations_augment, torchvision_augment
    from .doctor.diagnosis import Diagnosis, diagnose
    from .draw.instances import draw_instances
    from .errors import DataError, MaskRCNNError, MeasurementError, SettingError, TrainingError, WeightsError
    from .evaluation.report import Report
    from .evaluation.results import Results
    from .model.build import build_model
    from .model.interfaces import Positives
    from .model.mask_rcnn import MaskRCNN
    from .predict.evaluation import evaluate, score
    from .predict.export import export_predictions
    from .predict.predictor import Predictor
    from .structures.batch import Batch
    from .structures.classes import Classes, KeypointSchema
    from .structures.instances import Instances
    from .structures.masks import to_rle
    from .training.loop import TrainingResult
    from .training.train import train
    from .weights.convert import convert_weights
    from .weights.own import Weights, save_weights
    from .weights.reading import read_weights
    from .weights.start import StartReport, build_from, start_from

__version__ = "0.1.0"

# The same names and modules as above, for when the program runs; a test compares the two.
_NAMES = {
    "benchmarks.run": ["run_benchmark"],
    "config": ["ModelSettings", "RunSettings", "TTASettings"],
    "config.presets": ["FROM_RANDOM", "preset_names", "read_preset"],
    "data.augmentation": ["Augment"],
    "data.conversion": ["convert_dataset"],
    "data.dataset": ["Dataset", "Record"],
    "data.formats": ["read_dataset"],
    "data.images": ["load_image", "read_image"],
    "data.loading": ["training_batches"],
    "data.readers.coco": ["read_coco"],
    "data.shapes": ["write_shapes"],
    "data.transforms": ["albumentations_augment", "torchvision_augment"],
    "doctor.diagnosis": ["Diagnosis", "diagnose"],
    "draw.instances": ["draw_instances"],
    "errors": ["DataError", "MaskRCNNError", "MeasurementError", "SettingError", "TrainingError", "WeightsError"],
    "evaluation.report": ["Report"],
    "evaluation.results": ["Results"],
    "model.build": ["build_model"],
    "model.interfaces": ["Positives"],
    "model.mask_rcnn": ["MaskRCNN"],
    "predict.evaluation": ["evaluate", "score"],
    "predict.export": ["export_predictions"],
    "predict.predictor": ["Predictor"],
    "structures.batch": ["Batch"],
    "structures.classes": ["Classes", "KeypointSchema"],
    "structures.instances": ["Instances"],
    "structures.masks": ["to_rle"],
    "training.loop": ["TrainingResult"],
    "training.train": ["train"],
    "weights.convert": ["convert_weights"],
    "weights.own": ["Weights", "save_weights"],
    "weights.reading": ["read_weights"],
    "weights.start": ["StartReport", "build_from", "start_from"],
}

__all__ = [
    "FROM_RANDOM",
    "Augment",
    "Batch",
    "Classes",
    "DataError",
    "Dataset",
    "Diagnosis",
    "Instances",
    "KeypointSchema",
    "MaskRCNN",
    "MaskRCNNError",
    "MeasurementError",
    "ModelSettings",
    "Positives",
    "Predictor",
    "Record",
    "Report",
    "Results",
    "RunSettings",
    "SettingError",
    "StartReport",
    "TTASettings",
    "TrainingError",
    "TrainingResult",
    "Weights",
    "WeightsError",
    "albumentations_augment",
    "build_from",
    "build_model",
    "convert_dataset",
    "convert_weights",
    "diagnose",
    "draw_instances",
    "evaluate",
    "export_predictions",
    "load_image",
    "preset_names",
    "read_coco",
    "read_dataset",
    "read_image",
    "read_preset",
    "read_weights",
    "run_benchmark",
    "save_weights",
    "score",
    "start_from",
    "to_rle",
    "torchvision_augment",
    "train",
    "training_batches",
    "write_shapes",
]

_HOMES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'maskrcnn' has no attribute {name!r}")
    return getattr(import_module(f"maskrcnn.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
