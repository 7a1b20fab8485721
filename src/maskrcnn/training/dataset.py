"""Training on a dataset: training and validation data, and the run itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch

from ..config import RPNSettings, RunSettings
from ..data.augmentation import Augment
from ..data.dataset import Dataset, require_objects
from ..data.formats import has_split, read_dataset, recognize, split_meant
from ..data.loading import evaluation_batches, training_batches
from ..errors import DataError
from ..evaluation.annotations import Annotations
from ..evaluation.coco import iou_types_of
from ..evaluation.collect import collect_proposals, collect_results
from ..evaluation.recall import average_recall
from ..evaluation.report import score_results
from ..evaluation.results import Results
from ..model.mask_rcnn import MaskRCNN
from ..model.proposals import find_proposals
from ..ops.files import finite_json, write_json
from ..predict.proposals import read_proposal_file
from ..structures.batch import Batch
from .loop import TrainingResult, train_loop
from .run_folder import HELD_OUT_NAME, DataArguments
from .settings import with_steps


@dataclass(frozen=True)
class TrainingData:
    """Training and validation data, with the same classes.

    Args:
        train, val: The two parts.
        held_out: The validation images are a part of the same file, chosen at random.
    """

    train: Dataset
    val: Dataset
    held_out: bool

    def with_proposals(self, train: Path, val: Path, rpn: RPNSettings) -> TrainingData:
        """With the boxes of two files, as many of them as training and prediction take."""
        return replace(
            self,
            train=read_proposal_file(train, self.train, most=rpn.post_nms_top_n_training),
            val=read_proposal_file(val, self.val, most=rpn.post_nms_top_n),
        )


def read_training_data(source: DataArguments, settings: RunSettings) -> TrainingData:
    """Read what to train on. Without validation data a part of the images is held out.

    Args:
        source: Files or folders of any format of `data.formats`, or datasets in memory.
        settings: `data.val_fraction` and `train.seed` are used.

    Raises:
        DataError: A file cannot be used, has no objects, or has other classes than the other.
    """
    train, val = _read_train(source), _read_val(source)
    require_objects(train)
    if val is None:
        part, val = train.split(settings.data.val_fraction, settings.train.seed)
        require_objects(part)
        return TrainingData(part.without_coco(), val, held_out=True)
    if val.classes != train.classes:
        raise DataError(
            f"{val.source}: its categories are {_described(val)}, but those of {train.source} are "
            f"{_described(train)}. Give both files the same categories with the same ids and the same keypoints."
        )
    return TrainingData(train.without_coco(), val, held_out=False)


def _read_train(source: DataArguments) -> Dataset:
    if isinstance(source.data, Dataset):
        return source.data
    form = source.form or recognize(source.data, "train")
    return read_dataset(source.data, "train", form=form, images=source.images, skip_invalid=source.skip_invalid)


def _read_val(source: DataArguments) -> Dataset | None:
    """The validation data; None: there are none of their own."""
    place, form = source.val, source.form
    if isinstance(place, Dataset):
        return place
    if place is None:
        if isinstance(source.data, Dataset):
            return None
        place, form = source.data, form or recognize(source.data, "train")
        if not has_split(place, "val", form=form):
            return None
    split = "val" if source.val is None else split_meant(place, "val", form=form)
    return read_dataset(place, split, form=form, images=source.images, skip_invalid=source.skip_invalid)


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
    """Train a model; the best one by the validation images is kept.

    Args:
        model: With the data's classes.
        data: Of `read_training_data`. If a part was held out, `held_out.json` in the folder lists it in the end.
        settings: Of the run; without `train.steps` their number follows from the number of images.
        folder, device, resume, quiet: As for `train_loop`.
        augment: As for `training_batches`.
    """
    settings = with_steps(settings, len(data.train.records))
    contents = data.val.to_coco()
    truth = Annotations.parse(contents, source=data.val.source.name)
    # What is wrong with these annotations is said now, not after a tenth of the training.
    _score(truth, Results(()), data.val, settings)

    def batches(start: int) -> Iterator[Batch]:
        return training_batches(data.train, settings, start=start, augment=augment)

    result = train_loop(
        model,
        batches,
        settings,
        classes=data.train.classes,
        folder=folder,
        evaluate=lambda candidate: _scores(candidate, data.val, truth, settings, device),
        device=device,
        resume=resume,
        quiet=quiet,
    )
    if data.held_out:
        write_json(folder / HELD_OUT_NAME, finite_json(contents))
    return result


def _scores(
    model: torch.nn.Module, data: Dataset, truth: Annotations, settings: RunSettings, device: torch.device
) -> dict:
    """The numbers of boxes, masks and keypoints, or of proposals where no head is trained."""
    batches = evaluation_batches(
        data.records, settings.model.input, batch_size=settings.data.batch_size, workers=settings.data.workers
    )
    found, stream = cast(MaskRCNN, model), (batch.to(device) for batch in batches)
    if "heads" not in settings.train.layers:
        proposals = collect_proposals(lambda batch: find_proposals(found, batch), stream)
        return {"proposals": average_recall(truth, dict(proposals))}
    results = collect_results(found.predict, stream, data.classes, truth)
    return _score(truth, results, data, settings)


def _score(truth: Annotations, results: Results, data: Dataset, settings: RunSettings) -> dict:
    iou_types = iou_types_of(settings.model, data.classes)
    report = score_results(
        truth, results, iou_types=iou_types, max_detections=settings.model.box_head.detections_per_image
    )
    return {iou_type: {**report[iou_type], "per_class": report.per_class(iou_type)} for iou_type in iou_types}


def _described(data: Dataset) -> str:
    pairs = zip(data.classes.category_ids, data.classes.names, strict=True)
    keypoints = f" with {data.classes.keypoint_count} keypoints" if data.classes.keypoint_schema else ""
    return ", ".join(f"{category_id} {name}" for category_id, name in pairs) + keypoints
