"""The folder of a training run: its name, and the data it is told to learn from, which a resumed run looks up there."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, SettingError
from ..ops.json_files import read_json, write_json

DATA_NAME = "data.json"
CHECKPOINT_NAME = "last.pt"
FIRST_STEP = "1_rpn"
GENERIC = re.compile(r"_?annotations(\.coco)?|instances_.*|.*train.*|val|valid|images", re.IGNORECASE)
"""Names of files and folders that do not tell data sets apart."""


@dataclass(frozen=True)
class DataArguments:
    """What `maskrcnn train` was told about its data, and how it goes through them; paths are absolute."""

    data: Path
    images: Path | None
    val: Path | None
    skip_invalid: bool
    proposals: Path | None = None
    val_proposals: Path | None = None
    alternating: bool = False
    form: str | None = None

    def save(self, folder: Path) -> None:
        """Write `data.json` into a run's folder."""
        content = {name: str(value) if isinstance(value, Path) else value for name, value in vars(self).items()}
        write_json(folder / DATA_NAME, content, indent=2)


def load_data_arguments(folder: Path) -> DataArguments:
    """The data of the run in a folder.

    Raises:
        SettingError: The folder does not say.
    """
    path = folder / DATA_NAME
    try:
        content = read_json(path)
        data = Path(content["data"])
        names = ("images", "val", "proposals", "val_proposals")
        paths = {name: None if content.get(name) is None else Path(content[name]) for name in names}
        skip_invalid, alternating = bool(content["skip_invalid"]), bool(content.get("alternating", False))
        form = None if content.get("form") is None else str(content["form"])
        return DataArguments(data, **paths, skip_invalid=skip_invalid, alternating=alternating, form=form)
    except (DataError, KeyError, TypeError) as error:
        raise SettingError(
            f"{path}: does not say which data the run was started with ({error}). Name the folder of a run with "
            "--output, or give --data (and --images, --val) as the run was started with."
        ) from error


def default_folder(data: Path) -> Path:
    """`runs/` and the name of the data set: of the file or else of the nearest folder whose name tells something."""
    path = data.resolve()
    names = [path.stem if path.is_file() else path.name, *(parent.name for parent in path.parents)]
    return Path("runs") / next((name for name in names if name and not GENERIC.fullmatch(name)), "model")


def resume_command(folder: Path) -> str:
    """The command that goes on with the run in a folder."""
    return f"maskrcnn train --resume --output {shlex.quote(str(folder))}"


def check_folder(folder: Path, *, resume: bool, alternating: bool = False) -> None:
    """Refuse to start where a run is, or to resume where none is; alternating training goes on by itself.

    Raises:
        SettingError: With the command that was probably meant.
    """
    in_steps = (folder / FIRST_STEP / CHECKPOINT_NAME).exists()
    there = in_steps or (folder / CHECKPOINT_NAME).exists()
    if there and not resume and not (alternating and in_steps):
        raise SettingError(
            f"{folder}: holds a training run already. Go on with it by `{resume_command(folder)}`, or give another "
            "folder with --output."
        )
    if resume and not there:
        raise SettingError(
            f"{folder}: holds no training run to resume (there is no {CHECKPOINT_NAME}). Name the run's folder with "
            "--output, or leave out --resume to start one."
        )
