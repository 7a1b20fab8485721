"""`maskrcnn convert-data`: a dataset of any format as COCO files."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from ..progress import announce
from .commands import print_commands
from .datasets import DataFormat, print_skipped

if TYPE_CHECKING:
    from ..data.dataset import Dataset

Images = Literal["copy", "link", "none"]
MOST_NAMES = 12
MOST_SKIPPED = 5


def convert_data(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A dataset of any known format: file or folder.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")],
    form: DataFormat = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Only this split, e.g. `val`; repeatable; default: all of train, val and test."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the images, if they are elsewhere.")
    ] = None,
    images_as: Annotated[
        Images, typer.Option(help="Copy the images, link to them, or leave them where they are (none).")
    ] = "copy",
    skip_invalid: Annotated[bool, typer.Option("--skip-invalid", help="Leave out objects that break a rule.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the files of an earlier conversion.")] = False,
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
    for found in done.values():
        print_skipped(found, MOST_SKIPPED)
    console = Console()
    console.print(summary_table(done))
    console.print(_classes_line(done), highlight=False, markup=False, soft_wrap=True)
    if "train" in done:
        place = ["--data", str(output)]
        if images_as == "none":
            place = ["--data", str(output / "train.json"), "--images", str(common_folder(done["train"].records))]
        print_commands(console, {"Train on it": shlex.join(["maskrcnn", "train", *place])})


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
    points = f"; {classes.keypoint_count} keypoints" if classes.keypoint_count else ""
    return f"classes: {len(classes)} ({', '.join(classes.names[:MOST_NAMES])}{more}){points}"
