"""A model, or predictions of any origin, scored on an annotated dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..data.dataset import Contents, Dataset, is_panoptic
from ..data.dataset_range import with_dataset_range
from ..data.formats import read_contents, recognize
from ..data.loading import evaluation_scales, explaining_killed_workers
from ..data.readers.coco import to_data
from ..errors import SettingError, require_choice
from ..evaluation.accuracy import Threshold, best_score_threshold
from ..evaluation.annotations import Annotations
from ..evaluation.coco import iou_types_of, iou_types_to_score
from ..evaluation.collect import collect_results, is_by_image, keep_segments, records_of
from ..evaluation.report import MOST_DETECTIONS, Report, score_results
from ..evaluation.results import IouType, Results, to_results
from ..evaluation.sections import Say, say_nothing
from ..model.mask_rcnn import MaskRCNN
from ..structures.classes import Classes
from ..structures.instances import Instances
from ..weights.own import Weights
from ..weights.reading import is_name_of_weights
from .class_match import ClassMatch, find_threshold, match_classes
from .panoptic_files import has_segments, score_saved_segments, score_segments
from .predictor import Predictor
from .proposals import read_proposal_file

ScoreThreshold = float | Literal["best"] | None
"""From which score on predictions count where they are not ranked, as in instance accuracy. None: as the weights note,
or the usual one; "best": the one with the best accuracy on these images, to be done on training images (what it gives
on the same images is too good)."""
Data = Dataset | Contents | Annotations | Mapping[str, Any] | Path | str
"""A dataset: read, as annotations alone, as what a COCO file holds, or a path of any known format."""
WEIGHTS_ENDINGS = (".safetensors", ".pth", ".pt", ".pkl")
Describe = Callable[[Instances, int, Classes], list[dict]]


@dataclass(frozen=True)
class Predicted:
    """What a model predicts for a dataset, not scored yet.

    Args:
        data: The dataset.
        truth: Its annotated objects.
        results: The predictions.
        segments: Those of every pixel as COCO records, of models that find segments.
        iou_types: What can be scored.
        max_detections: As many per image and class count as the model gives per image.
        notes: Of the weights.
    """

    data: Dataset
    truth: Annotations
    results: Results
    segments: Sequence[dict]
    iou_types: Sequence[IouType]
    max_detections: int
    notes: Mapping[str, str]

    def score(self, *, score_threshold: ScoreThreshold = None, text: bool = False, say: Say = say_nothing) -> Report:
        """The report of `evaluate`; arguments as there."""
        threshold = _threshold(score_threshold, self.notes, self.truth, self.results, self.iou_types)
        report = score_results(
            self.truth,
            self.results,
            iou_types=self.iou_types,
            max_detections=self.max_detections,
            threshold=threshold,
            text=text,
            say=say,
        )
        if not self.segments or not has_segments(self.data):
            return report
        return report.adding(score_segments(self.data, self.segments, say))


def evaluate(
    weights: Predictor | Weights | Path | str,
    data: Dataset | Path | str,
    *,
    model: MaskRCNN | None = None,
    split: str = "val",
    score_threshold: ScoreThreshold = None,
    text: bool = False,
    proposals: Path | None = None,
    batch_size: int = 1,
    workers: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Report:
    """Predict every image of a dataset and score the predictions.

    Example:
        report = maskrcnn.evaluate("nuclei", "data/val.json")
        print(report)
        print(report["segm"]["AP"], report.per_class("segm"))

    Args:
        weights: A file, a name or weights already read; or a `Predictor`, which has a device and other options.
        data: A dataset, or the path of one in any known format.
        model: The network, where it is not the one that the weights' settings describe, such as one with a backbone
            of one's own; as for `Predictor`.
        split: Of a path that holds several: "train", "val" or "test".
        score_threshold: From which score on predictions count for instance accuracy; None: as the weights note, or the
            usual one; "best": the one with the best accuracy on these images, to be found on training images.
        text: The objects are words: score them by the rules of text detection, too.
        proposals: A file of boxes in place of those of the region proposal network, see `read_proposal_file`.
        batch_size: Images that go through the network together.
        workers: Processes that read images; None: as many as are good.
        on_progress: Called with the number of images that are done since the last call.

    Raises:
        DataError: An image or an annotation cannot be used, or the classes have nothing to do with each other.
        WeightsError: The weights cannot be read.
        SettingError: The arguments are in the wrong order, or a model is given beside a `Predictor`, which has its own.
    """
    _require_order(weights, data)
    if isinstance(weights, Weights | Path | str):
        predictor = Predictor(weights, model=model)
    elif model is None:
        predictor = weights
    else:
        raise SettingError("model: a Predictor has its own. Give weights, or give the model to the Predictor.")
    known = data if isinstance(data, Dataset) else read_annotated(data, split)
    known, match = fit_dataset(predictor, known, proposals)
    predicted = predict_dataset(
        predictor, known, match, batch_size=batch_size, workers=workers, on_progress=on_progress
    )
    return predicted.score(score_threshold=score_threshold, text=text)


def score(
    results: Results | Path | str | Iterable[Any],
    data: Data,
    *,
    split: str = "val",
    iou_types: Sequence[IouType] | None = None,
    max_detections: int = MOST_DETECTIONS,
    score_threshold: ScoreThreshold = None,
    text: bool = False,
    say: Say = say_nothing,
) -> Report:
    """Score predictions of whatever origin, such as those of another library; no image is read.

    Example:
        report = maskrcnn.score("results.json", "data/val.json")
        print(report["bbox"]["AP"])

    Args:
        results: A COCO results file or its records, `predictions.json`, or `Results`; or predictions image by image,
            as `Instances` or as torchvision's detectors give them (see `evaluation.collect`). On a dataset in COCO's
            panoptic format also results in that format.
        data: A dataset, or the path of one in any known format; or annotations alone.
        split: Of a path that holds several.
        iou_types: What is scored: "bbox", "segm", "keypoints"; None: what there is in the results.
        max_detections: Most detections per image and class that count.
        score_threshold, text: As for `evaluate`.
        say: Called with what is being scored.

    Raises:
        DataError: A prediction or an annotation cannot be used.
    """
    if isinstance(data, str | Path):
        data = read_annotations(Path(data), split)
    if isinstance(data, Contents) and is_panoptic(data.coco):
        return score_saved_segments(data.source, data.coco, results, say)
    truth = truth_of(data)
    if isinstance(results, str | Path):
        known = Results.read(results, truth)
    else:
        given: Any = results if isinstance(results, Sequence | Mapping) else list(results)
        known = Results.parse(records_of(given, truth) if is_by_image(given) else given, truth)
    iou_types = iou_types_to_score(truth, known) if iou_types is None else iou_types
    threshold = _threshold(score_threshold, {}, truth, known, iou_types)
    return score_results(
        truth, known, iou_types=iou_types, max_detections=max_detections, threshold=threshold, text=text, say=say
    )


def fit_dataset(predictor: Predictor, data: Dataset, proposals: Path | None = None) -> tuple[Dataset, ClassMatch]:
    """A dataset as a model needs it: its classes matched to the model's, and proposals if there is a file of them.

    Args:
        predictor: The model.
        data: The dataset.
        proposals: As for `read_proposal_file`.

    Raises:
        DataError: The classes have nothing to do with each other, or the file does not fit the dataset.
    """
    if proposals is not None:
        data = read_proposal_file(proposals, data, most=predictor.settings.rpn.post_nms_top_n)
    return data, match_classes(predictor.classes, data.classes, source=str(data.source))


def predict_dataset(
    predictor: Predictor,
    data: Dataset,
    match: ClassMatch | None = None,
    *,
    batch_size: int = 1,
    workers: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Predicted:
    """Predict every image of a dataset.

    Args:
        predictor: The model.
        data: Images and objects; there may be none of either.
        match: The dataset's label of each of the model's labels; None: matched by name.
        batch_size, workers, on_progress: As for `evaluate`.

    Raises:
        DataError: An image cannot be read, or the classes have nothing to do with each other.
    """
    match = match or match_classes(predictor.classes, data.classes, source=str(data.source))
    truth, segments = truth_of(data), list[dict]()
    results = predict_results(
        predictor,
        data,
        match,
        truth,
        describe=keep_segments(segments),
        batch_size=batch_size,
        workers=workers,
        on_progress=on_progress,
    )
    iou_types = [
        iou_type
        for iou_type in iou_types_of(predictor.settings, data.classes)
        if iou_type != "keypoints" or match.keypoints
    ]
    return Predicted(
        data, truth, results, segments, iou_types, predictor.settings.box_head.detections_per_image, predictor.notes
    )


def predict_results(
    predictor: Predictor,
    data: Dataset,
    match: ClassMatch,
    truth: Annotations,
    *,
    describe: Describe = to_results,
    batch_size: int = 1,
    workers: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Results:
    """Predictions for every image of a dataset.

    Args:
        predictor, data, match, batch_size, workers, on_progress: As for `predict_dataset`.
        truth, describe: As for `collect_results`.
    """
    files = [record.path for record in data.records if record.pixels is None]
    with_range, _ = with_dataset_range(predictor.inputs[0], files)
    inputs = [one.changed({"range": with_range.range}) for one in predictor.inputs]
    with explaining_killed_workers():
        return collect_results(
            lambda images: list(map(match.translate, predictor.predict_scales(images))),
            evaluation_scales(data.records, inputs, batch_size=batch_size, workers=workers),
            data.classes,
            truth,
            describe=describe,
            on_progress=on_progress,
        )


def read_annotated(path: Path | str, split: str = "val") -> Dataset:
    """A dataset of any format whose annotations stay in memory, because predictions are compared with them."""
    contents = read_contents(Path(path), split)
    return to_data(contents)


def read_annotations(path: Path, split: str = "val", *, form: str | None = None) -> Contents:
    """The annotations of a split, of any format, alone: to score predictions, no image is needed."""
    name = form or recognize(path, split)
    # COCO's files say how large the images are, wherever these may be.
    return read_contents(path, split, form=name, images=path if name == "coco" else None)


def truth_of(data: Dataset | Contents | Annotations | Mapping[str, Any]) -> Annotations:
    """The annotated objects that predictions for these images are scored against."""
    if isinstance(data, Annotations):
        return data
    if isinstance(data, Dataset):
        return Annotations.parse(data.to_coco(), source=data.source.name)
    if isinstance(data, Contents):
        return Annotations.parse(data.coco, source=data.source.name)
    return Annotations.parse(data)


def _require_order(model: Any, data: Any) -> None:
    """Refuse a dataset in the place of the model, and the reverse; names of weights may be those of folders, too."""
    dataset_first = isinstance(model, Dataset | Contents) or (
        isinstance(model, Path | str)
        and not is_name_of_weights(str(model))
        and (Path(model).suffix == ".json" or Path(model).is_dir())
    )
    model_last = isinstance(data, Predictor | Weights) or (
        isinstance(data, Path | str) and Path(data).suffix in WEIGHTS_ENDINGS
    )
    if dataset_first or model_last or not isinstance(data, Dataset | Path | str):
        raise SettingError(
            f"evaluate: the model comes first, then the data, but these are {_named(model)} and {_named(data)}. "
            "Call evaluate(weights, data)."
        )


def _named(argument: Any) -> str:
    return str(argument) if isinstance(argument, Path | str) else f"a {type(argument).__name__}"


def _threshold(
    given: ScoreThreshold, notes: Mapping[str, str], truth: Annotations, results: Results, iou_types: Sequence[IouType]
) -> Threshold:
    if isinstance(given, str):
        require_choice("score_threshold", given, ["best"])
        return (
            Threshold(best_score_threshold(truth, results), "chosen")
            if "segm" in iou_types
            else find_threshold(None, notes)
        )
    return find_threshold(given, notes)
