"""`maskrcnn convert-data`: a data set of any format as COCO files."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from ..errors import SettingError
from ..progress import PictureBar
from .commands import print_commands
from .data_sets import DataFormat, open_data

if TYPE_CHECKING:
    from ..data.records import CocoData

Pictures = Literal["copy", "link", "none"]
MOST_NAMES = 12
MOST_SKIPPED = 5


def convert_data(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A data set of any known format: file or folder.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")],
    form: DataFormat = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="Only this split, e.g. `val`; repeatable. None given: all of train, val and test there are."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the pictures, if they lie elsewhere.")
    ] = None,
    pictures: Annotated[
        Pictures, typer.Option(help="Copy the pictures, link to them, or none: leave them where they are.")
    ] = "copy",
    skip_invalid: Annotated[bool, typer.Option("--skip-invalid", help="Leave out objects that break a rule.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over what an earlier conversion has written.")] = False,
) -> None:
    """Write a data set as COCO files: `train.json`, `val.json`, `test.json`, and the pictures in `images/`.

    COCO, LVIS, Pascal VOC, Cityscapes, YOLO, LabelMe, CVAT, VIA, folders of masks and others are read. What was read is
    not changed.
    """
    from ..data.conversion import write_coco
    from ..data.records import common_folder

    form, splits = _find_splits(data, form, split)
    for name in splits:
        _require_free(output, name, force=force)
    done: dict[str, CocoData] = {}
    for name in splits:
        found = open_data(data, name, images=images, form=form, skip_invalid=skip_invalid, most_said=MOST_SKIPPED)
        with PictureBar(f"writing {name}", len(found.records)) as bar:
            write_coco(found, output / f"{name}.json", output / "images" / name, pictures=pictures, say=bar.advance)
        done[name] = found
    console = Console()
    console.print(summary_table(done))
    console.print(_classes_line(done), highlight=False, markup=False, soft_wrap=True)
    if "train" in done:
        place = ["--data", str(output)]
        if pictures == "none":
            place = ["--data", str(output / "train.json"), "--images", str(common_folder(done["train"].records))]
        print_commands(console, {"Train on it": shlex.join(["maskrcnn", "train", *place])})


def summary_table(done: dict[str, CocoData]) -> Table:
    """Pictures and objects of each split."""
    table = Table("split", box=None, padding=(0, 2, 0, 0))
    for title in ("pictures", "empty", "objects", "crowds", "boxes only", "left out"):
        table.add_column(title, justify="right")
    for name, data in done.items():
        counts = [len(record.instances) for record in data.records]
        crowds = sum(int(record.instances.crowd.sum()) for record in data.records if record.instances.crowd is not None)
        numbers = (len(counts), counts.count(0), sum(counts), crowds, data.without_mask, len(data.skipped))
        table.add_row(name, *map(str, numbers))
    return table


def _classes_line(done: dict[str, CocoData]) -> str:
    classes = next(iter(done.values())).classes
    more = f" and {len(classes) - MOST_NAMES} more" if len(classes) > MOST_NAMES else ""
    points = f"; {classes.keypoint_count} keypoints" if classes.keypoint_count else ""
    return f"classes: {len(classes)} ({', '.join(classes.names[:MOST_NAMES])}{more}){points}"


def _find_splits(data: Path, form: str | None, wanted: list[str] | None) -> tuple[str, list[str]]:
    """The format, and the splits to write: those that are wanted, or all of that format; a file has its own name's."""
    from ..data.formats import has_split, recognise, require_format
    from ..data.readers.coco_folders import SPLITS, split_of

    first = next((name for name in wanted or SPLITS if has_split(data, name, form=form)), None)
    if first is None:
        first = wanted[0] if wanted else split_of(data) if data.is_file() else "train"
    own = recognise(data, first) if form is None else require_format(form)
    found = wanted or [name for name in SPLITS if has_split(data, name, form=own)]
    return own, list(dict.fromkeys(found)) or [first]


def _require_free(output: Path, split: str, *, force: bool) -> None:
    """Refuse to write over files before the long work."""
    if output.exists() and not output.is_dir():
        raise SettingError(f"{output}: this is a file, but a folder is needed to write to. Give another path.")
    there = [path for path in (output / f"{split}.json", output / "images" / split) if path.exists()]
    if there and not force:
        raise SettingError(f"{there[0]}: is there already. Give another folder, or write over it with --force.")
