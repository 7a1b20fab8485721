"""What a training run is about to do, in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..config import ModelSettings, RunSettings
from ..data.dataset import Dataset, count_crowds, has_objects, learned_labels
from ..data.dataset_range import DatasetRange
from ..ops.devices import autocast
from ..predict.limits import dataset_notes
from ..progress import counted
from .dataset import TrainingData
from .optimizer import peak_learning_rate
from .settings import evaluation_interval, with_steps

MOST_NAMES = 8
MOST_SKIPPED = 5


def plan_table(folder: Path, data: TrainingData, settings: RunSettings, *, device: torch.device, origin: str) -> Table:
    """Data, classes, steps, learning rate, precision, device, first weights and folder of a run.

    Args:
        origin: Where the first weights come from.
    """
    train = with_steps(settings, len(data.train.records)).train
    classes = data.train.classes
    per_step = settings.data.batch_size * train.accumulate_steps
    chosen = f", {settings.data.val_fraction:.0%} of them held out" if data.held_out else f" of {data.val.source}"
    rows = {
        "training data": f"{_counts(data.train)} of {data.train.source}",
        "validation data": f"{_counts(data.val)}{chosen}, {_every(evaluation_interval(train))}",
        "keeps": _kept(data),
        "classes": _names(classes.names),
        **({"stuff": _names(classes.stuff)} if settings.model.semantic_head else {}),
        "steps": f"{train.steps}, {counted(per_step, 'image')} each, "
        f"{(train.steps or 0) * per_step / max(1, len(data.train.records)):.1f} passes over the data",
        "optimizer": f"{train.optimizer}, learning rate {peak_learning_rate(settings):.2g}, {train.scheduler} schedule",
        "computes": f"on {device}, {_precision(settings, device)}",
        "first weights": origin,
        "folder": str(folder),
    }
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for name, words in rows.items():
        table.add_row(Text(name, style="bold"), Text(words))
    return table


def data_remarks(data: TrainingData, values: DatasetRange | None = None) -> Iterator[Text]:
    """What the user should know about the range of values, objects that were left out, or that have no polygon."""
    if values is not None:
        yield Text(f"{data.train.source}: {values}")
    yield from _class_remarks(data)
    for part in (data.train,) if data.held_out else (data.train, data.val):
        for message in part.skipped[:MOST_SKIPPED]:
            yield Text(f"Left out: {message}", style="yellow")
        if len(part.skipped) > MOST_SKIPPED:
            yield Text(
                f"Left out: {counted(len(part.skipped) - MOST_SKIPPED, 'more object')} of {part.source}", style="yellow"
            )
        if part.without_mask:
            yield Text(
                f"{part.source}: {counted(part.without_mask, 'object')} without a polygon, for which the box is used; "
                "train boxes alone with mask_head=null.",
                style="yellow",
            )


def limit_remarks(data: TrainingData, settings: ModelSettings) -> Iterator[Text]:
    """What the limits of the settings hide of the images."""
    for part in (data.train, data.val):
        for note in dataset_notes(part, settings):
            yield Text(f"{'training' if part is data.train else 'validation'} data: {note}", style="yellow")


def fallback_panel(reason: str) -> Panel:
    """A warning that the run starts from random weights."""
    words = Text(
        f"{reason}\n\nTraining starts from random weights instead, with settings that suit them. That takes many more "
        "images and steps to become good. To start from your own weights, give their file "
        "as weights (--weights)."
    )
    return Panel(words, title="Warning: no pretrained weights", border_style="yellow")


def _names(names: tuple[str, ...]) -> str:
    return f"{len(names)}: {', '.join(names[:MOST_NAMES])}{', ...' if len(names) > MOST_NAMES else ''}"


def _kept(data: TrainingData) -> str:
    if not any(map(has_objects, data.val)):
        return "the last weights, for the validation data have no object to compare weights by"
    return "the weights with the best score on the validation data, of equal ones the later"


def _class_remarks(data: TrainingData) -> Iterator[Text]:
    """Classes that cannot be learned or scored."""
    names = data.train.classes.names
    trained, scored = (
        {label for record in part for label in learned_labels(record)} for part in (data.train, data.val)
    )
    if not scored:
        yield Text(f"{_part(data)}: no object to find, so no score is defined and no patience counts.", style="yellow")
    elif missing := tuple(names[label] for label in sorted(trained - scored)):
        yield Text(f"{_part(data)}: no object of {_names(missing)}; their scores are not defined.", style="yellow")
    if missing := tuple(names[label] for label in range(len(names)) if label not in trained):
        yield Text(f"Training data: no object of {_names(missing)}, which cannot be learned.", style="yellow")


def _part(data: TrainingData) -> str:
    return "Images held out" if data.held_out else f"Validation data {data.val.source}"


def _counts(data: Dataset) -> str:
    crowds = sum(map(count_crowds, data))
    objects = sum(len(record.instances) for record in data) - crowds
    also = f" ({counted(crowds, 'crowd')} left out)" if crowds else ""
    return f"{counted(len(data), 'image')} with {counted(objects, 'object')}{also}"


def _every(steps: int) -> str:
    return "every step" if steps == 1 else f"every {steps} steps"


def _precision(settings: RunSettings, device: torch.device) -> str:
    with autocast(settings.train.precision, device):
        return "bfloat16" if torch.is_autocast_enabled(device.type) else "float32"
