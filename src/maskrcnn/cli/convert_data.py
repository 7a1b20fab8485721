"""`maskrcnn convert-data`: a dataset of any format as COCO files."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from rich.table import Table

from ..progress import announce, counted
from . import options
from .commands import data_words, print_commands
from .console import show
from .datasets import print_skipped

if TYPE_CHECKING:
    from ..data.dataset import Dataset

ImagesAs = Literal["copy", "link", "none"]
MOST_NAMES = 12
MOST_SKIPPED = 5


def convert_data(
    data: options.Data,
    output: Annotated[Path, options.output_option("--output", metavar="DIR", help="Folder to write to.")],
    images: options.Images = None,
    split: options.Splits = None,
    form: options.DataFormat = None,
    skip_invalid: options.SkipInvalid = False,
    allow_outside: options.AllowOutside = False,
    images_as: Annotated[
        ImagesAs,
        options.output_option(
            metavar="HOW", help="`copy` the images, `link` to them, or leave them where they are: `none`."
        ),
    ] = "copy",
    force: Annotated[
        bool, options.output_option("--force", help="Replace the files of an earlier conversion.")
    ] = False,
) -> None:
    """Write a dataset as COCO files: `train.json`, `val.json`, `test.json`, and the images in `images/`.

    COCO, LVIS, Pascal VOC, Cityscapes, YOLO, LabelMe, CVAT, VIA, folders of masks and others are read. What was read is
    not changed.
    """
    from ..data.conversion import convert_dataset
    from ..data.dataset import common_folder

    done = convert_dataset(
        data,
        output,
        splits=split or (),
        images_as=images_as,
        force=force,
        announce=announce,
        form=form,
        images=images,
        skip_invalid=skip_invalid,
    )
    for dataset in done.values():
        print_skipped(dataset, MOST_SKIPPED)
    show(summary_table(done), _classes_line(done))
    if "train" in done:
        words = data_words(output, None)
        if images_as == "none":
            words = data_words(output / "train.json", common_folder(done["train"].records))
        if images_as == "link" and "--allow-outside" not in words:
            words.append("--allow-outside")
        print_commands({"Train on it": shlex.join(["maskrcnn", "train", *words])})


def summary_table(done: dict[str, Dataset]) -> Table:
    """Images and objects of each split."""
    table = Table("split", box=None, padding=(0, 2, 0, 0))
    for title in ("images", "empty", "objects", "crowds", "boxes only", "left out"):
        table.add_column(title, justify="right")
    for name, data in done.items():
        counts = [len(record.instances) for record in data]
        crowds = sum(int(record.instances.crowd.sum()) for record in data if record.instances.crowd is not None)
        numbers = (len(counts), counts.count(0), sum(counts), crowds, data.without_mask, len(data.skipped))
        table.add_row(name, *map(str, numbers))
    return table


def _classes_line(done: dict[str, Dataset]) -> str:
    classes = next(iter(done.values())).classes
    more = f" and {len(classes) - MOST_NAMES} more" if len(classes) > MOST_NAMES else ""
    points = f"; {counted(classes.keypoint_count, 'keypoint')}" if classes.keypoint_count else ""
    return f"classes: {len(classes)} ({', '.join(classes.names[:MOST_NAMES])}{more}){points}"
