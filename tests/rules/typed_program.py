"""Every public name with the type that a type checker must see; checked by mypy and never run.

What is `Any` fails: `assert_type` tells it from every other type.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, assert_type

import numpy as np
from PIL.Image import Image
from torch import Tensor, nn, optim

import maskrcnn


def train_and_use(photo: Path, array: np.ndarray) -> None:
    result = maskrcnn.train("data/", output="runs/mine", settings={"train.steps": 2000})
    assert_type(result, maskrcnn.TrainingResult)
    assert_type(result.weights, Path)
    predictor = maskrcnn.Predictor(result.weights, tta=maskrcnn.TTASettings(flip=True))
    assert_type(predictor(photo), maskrcnn.Instances)
    assert_type(predictor([photo, array]), list[maskrcnn.Instances])
    report = maskrcnn.evaluate(predictor, "val.json")
    maskrcnn.evaluate(result.weights, "val.json", model=maskrcnn.build_model(maskrcnn.ModelSettings(), 3))
    assert_type(report, maskrcnn.Report)
    assert_type(report["segm"]["AP"], float | None)
    assert_type(report.results, maskrcnn.Results)
    assert_type(maskrcnn.score(report.results, "val.json"), maskrcnn.Report)
    assert_type(maskrcnn.run_benchmark("coco", "data/coco", predictions=predictor), maskrcnn.Report)


def look_at_instances(found: maskrcnn.Instances, photo: Path) -> None:
    assert_type(len(found), int)
    assert_type(found[0], maskrcnn.Instances)
    assert_type(list(found), list[maskrcnn.Instances])
    assert_type(found.filter(score=0.7).boxes, Tensor)
    assert_type(found.plot(photo), Image)
    assert_type(found.classes, maskrcnn.Classes | None)
    assert found.masks is not None
    assert_type(found.masks.bitmap(0), np.ndarray)
    assert_type(maskrcnn.to_rle(found.masks), list[dict[Any, Any]])
    image = maskrcnn.read_image(photo)
    assert_type(image, Tensor)
    assert_type(maskrcnn.load_image(image), Tensor)
    assert_type(maskrcnn.draw_instances(image, found), Tensor)


def read_data(folder: Path, samples: list[tuple[Path, maskrcnn.Instances]]) -> maskrcnn.Dataset:
    maskrcnn.write_shapes(folder, train=4, val=2)
    data = maskrcnn.read_dataset(folder, "val")
    assert_type(data, maskrcnn.Dataset)
    assert_type(data[0], maskrcnn.Record)
    assert_type(data[:2], maskrcnn.Dataset)
    assert_type(data.classes.keypoint_schema, maskrcnn.KeypointSchema | None)
    assert_type(maskrcnn.read_coco(folder / "val.json", folder), maskrcnn.Dataset)
    assert_type(maskrcnn.convert_dataset(data, folder), dict[str, maskrcnn.Dataset])
    assert_type(maskrcnn.export_predictions("predictions.json", "labelme", folder), int)
    assert_type(maskrcnn.diagnose(data), maskrcnn.Diagnosis)
    return maskrcnn.Dataset.from_samples(samples, ["cat", "dog"])


def train_by_hand(data: maskrcnn.Dataset, augment: Callable[..., Any]) -> None:
    settings = maskrcnn.RunSettings().changed(maskrcnn.FROM_RANDOM)
    assert_type(settings, maskrcnn.RunSettings)
    assert_type(settings.model, maskrcnn.ModelSettings)
    assert_type(maskrcnn.preset_names(), list[str])
    assert_type(maskrcnn.read_preset("paper/R50-FPN"), maskrcnn.ModelSettings)
    model = maskrcnn.build_model(settings.model, len(data.classes))
    assert_type(model, maskrcnn.MaskRCNN)
    batches = maskrcnn.training_batches(data, settings, augment=maskrcnn.torchvision_augment(augment))
    assert_type(batches, Iterator[maskrcnn.Batch])
    maskrcnn.training_batches(data, settings, augment=maskrcnn.albumentations_augment(augment))
    losses: dict[str, Tensor] = model(next(batches))
    optimizer = optim.SGD(model.parameters(), lr=sum(losses.values(), Tensor()).item())
    optimizer.step()
    assert isinstance(model, nn.Module)
    assert_type(model.predict(next(batches)), list[maskrcnn.Instances])
    maskrcnn.save_weights("mine.safetensors", model.state_dict(), settings.model, data.classes)


def use_parts(image: Tensor, objects: maskrcnn.Instances, augment: maskrcnn.Augment, found: maskrcnn.Positives) -> None:
    assert_type(augment(image, objects), tuple[Tensor, maskrcnn.Instances])
    assert_type(found.mask_targets(28), Tensor)


def use_weights(model: maskrcnn.MaskRCNN, classes: maskrcnn.Classes) -> None:
    weights = maskrcnn.read_weights("mine.safetensors")
    assert_type(weights, maskrcnn.Weights)
    assert_type(weights.build_model(), maskrcnn.MaskRCNN)
    assert_type(maskrcnn.convert_weights(weights, "mine.pth", to="torchvision"), maskrcnn.Weights)
    started = maskrcnn.start_from(model, "mine.safetensors", settings=weights.settings, classes=classes)
    assert_type(started, maskrcnn.StartReport)
    built = maskrcnn.build_from("mine.safetensors", ["cat", "dog"])
    assert_type(built, tuple[maskrcnn.MaskRCNN, maskrcnn.StartReport])


def is_of_the_user(error: maskrcnn.MaskRCNNError) -> bool:
    mine = maskrcnn.DataError | maskrcnn.SettingError | maskrcnn.WeightsError
    return isinstance(error, mine) and not isinstance(error, maskrcnn.TrainingError | maskrcnn.MeasurementError)
