"""Training on a data set on disk: what is learnt from, what is judged by, and the run itself."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from ..config import RunSettings
from ..data.formats import has_split, read_data, recognise, split_meant
from ..data.loading import evaluation_batches, training_batches
from ..data.records import CocoData, require_objects
from ..data.split import hold_out, subset_contents
from ..errors import DataError
from ..evaluate.annotations import Annotations, load_annotations
from ..evaluate.coco import evaluate_coco, kinds_of
from ..evaluate.collect import collect_proposals, collect_results
from ..evaluate.recall import average_recall
from ..model.mask_rcnn import MaskRCNN
from ..model.proposals import find_proposals
from ..ops.atomic import replacing
from ..structures.batch import Batch
from .loop import TrainingResult, train
from .settings import with_steps

HELD_OUT_NAME = "held_out.json"


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


def read_training_data(
    data: Path,
    settings: RunSettings,
    *,
    images: Path | None,
    val: Path | None,
    skip_invalid: bool,
    form: str | None = None,
) -> TrainingData:
    """Read what to train on. Without validation data a part of the pictures is held out.

    Args:
        data: File or folder of any format of `data.formats`.
        settings: `data.held_out` and `train.seed` are used.
        images: Folder of the pictures, if it is not beside the file.
        val: Validation data in the same form, or a folder of them alone; None: the folder's own, or a part held out.
        skip_invalid: Leave out objects that cannot be used.
        form: Name of the format of both parts; None: recognised.

    Raises:
        DataError: A file cannot be used, has no objects, or has other classes than the other.
    """
    own = form or recognise(data, "train")
    learnt = read_data(data, "train", form=own, images=images, skip_invalid=skip_invalid)
    require_objects(learnt)
    if val is None and not has_split(data, "val", form=own):
        return TrainingData(*hold_out(learnt, settings.data.held_out, seed=settings.train.seed), held_out=True)
    split = "val" if val is None else split_meant(val, "val", form=form)
    judged = read_data(val or data, split, form=form if val else own, images=images, skip_invalid=skip_invalid)
    if judged.classes != learnt.classes:
        raise DataError(
            f"{judged.source}: its categories are {_described(judged)}, but those of {learnt.source} are "
            f"{_described(learnt)}. Give both files the same categories with the same ids and the same keypoints."
        )
    return TrainingData(learnt, judged, held_out=False)


def train_on_coco(
    model: MaskRCNN,
    data: TrainingData,
    settings: RunSettings,
    *,
    folder: Path,
    device: torch.device,
    resume: bool,
    quiet: bool,
) -> TrainingResult:
    """Train a model; the best one by the judged pictures is kept.

    Args:
        model: With the data's classes.
        data: Of `read_training_data`. If a part was held out, `held_out.json` in the folder lists it in the end.
        settings: Of the run; without `train.steps` their number follows from the number of pictures.
        folder, device, resume, quiet: As for `train`.
    """
    settings = with_steps(settings, len(data.learnt.records))
    contents = subset_contents(data.judged)
    truth = load_annotations(contents)
    # What is wrong with these annotations is said now, not after a tenth of the training.
    _score(truth, [], data.judged, settings)

    def batches(start: int) -> Iterator[Batch]:
        return training_batches(
            data.learnt.records,
            settings,
            skeleton=data.learnt.classes.skeleton,
            start=start,
            workers=settings.data.workers,
        )

    result = train(
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
        with replacing(folder / HELD_OUT_NAME) as path:
            path.write_text(json.dumps(contents), encoding="utf-8")
    return result


def _scores(
    model: torch.nn.Module, data: CocoData, truth: Annotations, settings: RunSettings, device: torch.device
) -> dict:
    """The numbers of boxes, masks and keypoints, or of proposals where no head learns, as the loop wants them."""
    batches = evaluation_batches(
        data.records, settings.model.input, batch=settings.data.batch, workers=settings.data.workers
    )
    found, stream = cast(MaskRCNN, model), (batch.to(device) for batch in batches)
    if "heads" not in settings.train.parts:
        proposals = collect_proposals(lambda batch: find_proposals(found, batch), stream)
        return {"proposals": average_recall(truth, dict(proposals))}
    results = collect_results(found.predict, stream, data.classes)
    return _score(truth, results, data, settings)


def _score(truth: Annotations, results: list[dict], data: CocoData, settings: RunSettings) -> dict:
    kinds = kinds_of(settings.model, data.classes)
    scores = evaluate_coco(truth, results, max_detections=settings.model.box_head.detections, kinds=kinds)
    return {kind: {**found.numbers, "per_class": found.per_class} for kind, found in scores.items()}


def _described(data: CocoData) -> str:
    pairs = zip(data.classes.category_ids, data.classes.names, strict=True)
    keypoints = f" with {data.classes.keypoint_count} keypoints" if data.classes.skeleton else ""
    return ", ".join(f"{category_id} {name}" for category_id, name in pairs) + keypoints
