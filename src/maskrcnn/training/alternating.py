"""The four steps in which Faster R-CNN was trained first (Ren et al. 2015, section 3.2, "4-Step Alternating Training").

1. The region proposal network is trained, with backbone and neck, from the first weights.
2. The heads are trained on the proposals of step 1, with their own backbone and neck, from the first weights again.
3. The region proposal network is trained anew on the backbone and neck of step 2, which stay as they are from here on.
4. The heads are trained further on the proposals of step 3.

Then both share one backbone. As in the authors' py-faster-rcnn, the proposal layers begin step 3 with their first
weights, and proposals are computed once, on whole images.
"""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from rich.console import Console

from ..config import RunSettings
from ..config.training import Layer
from ..data.augmentation import Augment
from ..data.dataset import Dataset
from ..data.loading import evaluation_batches
from ..data.proposals import write_proposals
from ..errors import SettingError
from ..evaluation.collect import collect_proposals
from ..model.mask_rcnn import MaskRCNN
from ..model.proposals import find_proposals
from ..model.rpn import RPN
from ..ops.devices import autocast
from ..ops.files import replacing
from ..progress import ImageBar
from ..structures.classes import Classes
from ..weights.own import apply_weights, load_weights, save_weights
from .checkpoint import load_checkpoint
from .dataset import TrainingData, train_on_dataset
from .layers import LAYERS
from .loop import TrainingResult
from .run_folder import BEST_NAME, CHECKPOINT_NAME, FIRST_STEP, HELD_OUT_NAME, LAST_NAME, LOG_NAME

START_NAME = "start.safetensors"
PROPOSALS = {"train": "proposals_train.jsonl", "val": "proposals_val.jsonl"}


class Step(NamedTuple):
    """One of the four.

    Args:
        folder: Its name below the run's folder.
        layers: What is trained.
        start: Step whose weights it starts with; None: the first weights.
        proposals: Step whose region proposal network proposes; None: its own.
    """

    folder: str
    layers: tuple[Layer, ...]
    start: str | None
    proposals: str | None


STEPS = (
    Step(FIRST_STEP, ("backbone", "neck", "rpn"), start=None, proposals=None),
    Step("2_heads", ("backbone", "neck", "heads"), start=None, proposals=FIRST_STEP),
    Step("3_rpn", ("rpn",), start="2_heads", proposals=None),
    Step("4_heads", ("heads",), start="3_rpn", proposals="3_rpn"),
)


def is_alternating(folder: Path) -> bool:
    """Whether a folder holds an alternating training that has begun."""
    return (folder / STEPS[0].folder / CHECKPOINT_NAME).exists()


def alternating_settings(folder: Path) -> RunSettings:
    """The settings an alternating training was started with."""
    settings = load_checkpoint(folder / STEPS[0].folder / CHECKPOINT_NAME).settings
    return _with_layers(settings, LAYERS)


def train_alternating(
    model: MaskRCNN,
    data: TrainingData,
    settings: RunSettings,
    *,
    folder: Path,
    device: torch.device,
    quiet: bool,
    augment: Augment | None = None,
) -> TrainingResult:
    """Train in four steps, or go on in the step that was stopped.

    Each step is a run of `train.steps` steps in its own folder, `1_rpn`, `2_heads`, `3_rpn` and `4_heads`; what goes on
    to the next are its best weights. The folder gets `best.safetensors`, `last.safetensors` and the log of the last.

    Args:
        model: With the first weights; not changed. Of a training that goes on, only its layers count.
        data, device, quiet, augment: As for `train_on_dataset`.
        settings: Of each step; `train.layers` must name all layers.
        folder: Made if it does not exist.

    Returns:
        The last step's, or that of the step that was stopped.
    """
    if set(settings.train.layers) != set(LAYERS):
        raise SettingError(
            f"train.layers={','.join(settings.train.layers)}: alternating training sets the layers of each of "
            "its steps. Leave train.layers out."
        )
    folder.mkdir(parents=True, exist_ok=True)
    model = _first_model(model, folder, settings, data.train.classes)
    ends: dict[str, Path] = {}
    console = Console(stderr=True, quiet=quiet)
    for step in STEPS:
        own, place = _with_layers(settings, step.layers), folder / step.folder
        trained = copy.deepcopy(model)
        if step.start is not None:
            apply_weights(trained, load_weights(ends[step.start]).state, source=str(ends[step.start]))
        console.print(f"Step {step.folder}: {', '.join(step.layers)}", highlight=False)
        part = data
        if step.proposals is not None:
            train, val = (folder / step.proposals / name for name in PROPOSALS.values())
            part = data.with_proposals(train, val, settings.rpn)
        result = train_on_dataset(
            trained, part, own, folder=place, device=device, resume=True, quiet=quiet, augment=augment
        )
        if not result.finished:
            return result
        ends[step.folder] = result.weights
        if "rpn" in step.layers:
            apply_weights(trained, load_weights(result.weights).state, source=str(result.weights))
            _propose(trained.eval(), data, settings, folder=place, device=device, console=console)
    for name in (BEST_NAME, LAST_NAME, LOG_NAME, HELD_OUT_NAME):
        _copy(ends[STEPS[-1].folder].parent / name, folder / name)
    return replace(result, weights=folder / result.weights.name)


def _with_layers(settings: RunSettings, layers: tuple[str, ...]) -> RunSettings:
    return settings.changed({"train.layers": layers})


def _first_model(model: MaskRCNN, folder: Path, settings: RunSettings, classes: Classes) -> MaskRCNN:
    """The model with the first weights, which are kept for step 2; those of a training that goes on are read."""
    path = folder / START_NAME
    if is_alternating(folder):
        model = copy.deepcopy(model)
        apply_weights(model, load_weights(path).state, source=str(path))
    else:
        save_weights(path, model.state_dict(), settings.model, classes)
    return model


def _propose(
    model: MaskRCNN, data: TrainingData, settings: RunSettings, *, folder: Path, device: torch.device, console: Console
) -> None:
    """Write the proposals of both parts of the data that are not there yet: as many as training and prediction take."""
    rpn = settings.model.rpn
    counts = {"pre_nms_top_n": rpn.pre_nms_top_n_training, "post_nms_top_n": rpn.post_nms_top_n_training}
    parts = {"train": (data.train, rpn.changed(counts)), "val": (data.val, rpn)}
    for name, (part, chosen) in parts.items():
        path = folder / PROPOSALS[name]
        if not path.exists():
            assert isinstance(model.rpn, RPN)
            model.rpn.settings = chosen
            with ImageBar("proposing", len(part.records), console) as bar:
                _write(path, model, part, settings, device=device, count=bar.advance)


@torch.no_grad()
def _write(
    path: Path,
    model: MaskRCNN,
    data: Dataset,
    settings: RunSettings,
    *,
    device: torch.device,
    count: Callable[[int], None],
) -> None:
    batches = evaluation_batches(
        data.records, settings.model.input, batch_size=settings.data.batch_size, workers=settings.data.workers
    )
    with autocast(settings.train.precision, device):
        found = collect_proposals(lambda batch: find_proposals(model, batch.to(device)), batches, on_progress=count)
        write_proposals(path, found)


def _copy(source: Path, target: Path) -> None:
    if source.exists():
        with replacing(target) as temporary:
            shutil.copyfile(source, temporary)
