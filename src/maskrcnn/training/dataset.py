"""Training on a data set: what is learnt from, what is judged by, and the run itself."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from ..config import RunSettings
from ..data.augmentation import Augment
from ..data.formats import has_split, read_data, recognise, split_meant
from ..data.loading import evaluation_batches, training_batches
from ..data.dataset import CocoData, require_objects
from ..errors import DataError
from ..evaluation.annotations import Annotations
from ..evaluation.coco import kinds_of
from ..evaluation.collect import collect_proposals, collect_results
from ..evaluation.recall import average_recall
from ..evaluation.report import score_results
from ..evaluation.results import Results
from ..model.mask_rcnn import MaskRCNN
from ..model.proposals import find_proposals
from ..ops.json_files import write_json
from ..structures.batch import Batch
from .loop import TrainingResult, train_loop
from .run_folder import HELD_OUT_NAME, DataArguments
from .settings import with_steps


@dataclass(frozen=True)
class TrainingData:
    """Pictures to learn from and pictures to judge by, with the same classes.

    Args:
        learnt, judged: The two parts.
        held_out: The judged ones are a part of the same file, chosen at random.
    """

    learnt: CocoData
    judged: CocoData
    held_out: bool


def read_training_data(source: DataArguments, settings: RunSettings) -> TrainingData:
    """Read what to train on. Without validation data a part of the pictures is held out.

    Args:
        source: Files or folders of any format of `data.formats`, or data sets in memory.
        settings: `data.held_out` and `train.seed` are used.

    Raises:
        DataError: A file cannot be used, has no objects, or has other classes than the other.
    """
    learnt, judged = _read_learnt(source), _read_judged(source)
    require_objects(learnt)
    if judged is None:
        part, judged = learnt.split(settings.data.held_out, settings.train.seed)
        return TrainingData(part.without_coco(), judged, held_out=True)
    if judged.classes != learnt.classes:
        raise DataError(
            f"{judged.source}: its categories are {_described(judged)}, but those of {learnt.source} are "
            f"{_described(learnt)}. Give both files the same categories with the same ids and the same keypoints."
        )
    return TrainingData(learnt.without_coco(), judged, held_out=False)


def _read_learnt(source: DataArguments) -> CocoData:
    if isinstance(source.data, CocoData):
        return source.data
    form = source.form or recognise(source.data, "train")
    return read_data(source.data, "train", form=form, images=source.images, skip_invalid=source.skip_invalid)


def _read_judged(source: DataArguments) -> CocoData | None:
    """The data to judge by; None: there are none of their own."""
    place, form = source.val, source.form
    if isinstance(place, CocoData):
        return place
    if place is None:
        if isinstance(source.data, CocoData):
            return None
        place, form = source.data, form or recognise(source.data, "train")
        if not has_split(place, "val", form=form):
            return None
    split = "val" if source.val is None else split_meant(place, "val", form=form)
    return read_data(place, split, form=form, images=source.images, skip_invalid=source.skip_invalid)


def train_on_dataset(
    model: MaskRCNN,
    data: TrainingData,
    settings: RunSettings,
    *,
    folder: Path,
    device: torch.device,
    resume: bool,
    quiet: bool,
    augment: Augment | None = None,
) -> TrainingResult:
    """Train a model; the best one by the judged pictures is kept.

    Args:
        model: With the data's classes.
        data: Of `read_training_data`. If a part was held out, `held_out.json` in the folder lists it in the end.
        settings: Of the run; without `train.steps` their number follows from the number of pictures.
        folder, device, resume, quiet: As for `train_loop`.
        augment: As for `training_batches`.
    """
    settings = with_steps(settings, len(data.learnt.records))
    contents = data.judged.to_coco()
    truth = Annotations.parse(contents, source=data.judged.source.name)
    # What is wrong with these annotations is said now, not after a tenth of the training.
    _score(truth, Results(()), data.judged, settings)

    def batches(start: int) -> Iterator[Batch]:
        return training_batches(data.learnt, settings, start=start, augment=augment)

    result = train_loop(
        model,
        batches,
        settings,
        classes=data.learnt.classes,
        folder=folder,
        evaluate=lambda candidate: _scores(candidate, data.judged, truth, settings, device),
        device=device,
        resume=resume,
        quiet=quiet,
    )
    if data.held_out:
        write_json(folder / HELD_OUT_NAME, contents)
    return result


def _scores(
    model: torch.nn.Module, data: CocoData, truth: Annotations, settings: RunSettings, device: torch.device
) -> dict:
    """The numbers of boxes, masks and keypoints, or of proposals where no head learns, as the loop wants them."""
    batches = evaluation_batches(
        data.records, settings.model.input, batch=settings.data.batch, workers=settings.data.workers
    )
    found, stream = cast(MaskRCNN, model), (batch.to(device) for batch in batches)
    if "heads" not in settings.train.layers:
        proposals = collect_proposals(lambda batch: find_proposals(found, batch), stream)
        return {"proposals": average_recall(truth, dict(proposals))}
    results = collect_results(found.predict, stream, data.classes, truth)
    return _score(truth, results, data, settings)


def _score(truth: Annotations, results: Results, data: CocoData, settings: RunSettings) -> dict:
    kinds = kinds_of(settings.model, data.classes)
    report = score_results(truth, results, kinds=kinds, max_detections=settings.model.box_head.detections)
    return {kind: {**report[kind], "per_class": report.per_class(kind)} for kind in kinds}


def _described(data: CocoData) -> str:
    pairs = zip(data.classes.category_ids, data.classes.names, strict=True)
    keypoints = f" with {data.classes.keypoint_count} keypoints" if data.classes.skeleton else ""
    return ", ".join(f"{category_id} {name}" for category_id, name in pairs) + keypoints
