"""The folder of a training run: its name, its files, and its data, which a resumed run looks up there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ..data.dataset import Dataset
from ..errors import DataError, SettingError
from ..ops.files import read_json, write_json

CHECKPOINT_NAME = "last.pt"
LAST_NAME = "last.safetensors"
BEST_NAME = "best.safetensors"
LOG_NAME = "log.jsonl"
DATA_NAME = "data.json"
HELD_OUT_NAME = "held_out.json"
SCORES_NAME = "scores.json"
CURVES_NAME = "curves.png"
SHEET_NAME = "sheet.png"
_LOCK_NAME = ".lock"
_PATHS = ("data", "images", "val", "proposals", "val_proposals")
FIRST_STEP = "1_rpn"
"""Of an alternating training, with a run of its own in it."""
GENERIC = re.compile(r"_?annotations(\.coco)?|instances_.*|.*train.*|val|valid|images", re.IGNORECASE)
"""Names of files and folders that do not tell datasets apart."""


@dataclass(frozen=True)
class DataArguments:
    """The arguments of a run about its data.

    Args:
        data: Training data: a file or folder, or a dataset in memory, which cannot be looked up again.
        images: Folder of the images, if it is not beside the file.
        val: Validation data, as `data`; None: the folder's own, or a part held out.
        skip_invalid: Leave out objects that break a rule.
        proposals, val_proposals: Files of boxes in place of the network's own.
        alternating: In four steps.
        form: Name of the format; None: recognized.
    """

    data: Path | Dataset
    images: Path | None = None
    val: Path | Dataset | None = None
    skip_invalid: bool = False
    proposals: Path | None = None
    val_proposals: Path | None = None
    alternating: bool = False
    form: str | None = None

    @property
    def name(self) -> str:
        """Of the data, for people."""
        return str(self.data.source if isinstance(self.data, Dataset) else self.data)

    def save(self, folder: Path) -> None:
        """Write `data.json` into a run's folder."""
        content: dict[str, Any] = dict(vars(self))
        if isinstance(self.data, Dataset) or isinstance(self.val, Dataset):
            content["data"] = content["val"] = None
        content = {name: str(one.resolve()) if isinstance(one, Path) else one for name, one in content.items()}
        write_json(folder / DATA_NAME, content, indent=2)


def load_data_arguments(folder: Path) -> DataArguments:
    """The data of the run in a folder.

    Raises:
        SettingError: The folder does not say.
    """
    path = folder / DATA_NAME
    try:
        content = read_json(path)
        if content["data"] is None:
            raise KeyError("they were in memory")
        paths = {name: Path(content[name]) for name in _PATHS if content.get(name) is not None}
        return DataArguments(**(content | paths))
    except (DataError, KeyError, TypeError) as error:
        raise SettingError(
            f"{path}: does not say which data the run was started with ({error}). Give the folder of a run "
            "as output (--output), or the data, images and val (--data, --images, --val) that the run was started with."
        ) from error


def default_folder(data: str | Path | Dataset | None) -> Path:
    """`runs/` and the name of the dataset: of the file or else of the nearest folder whose name tells something."""
    path = Path(data.source if isinstance(data, Dataset) else data or "").resolve()
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
            "folder (--output)."
        )
    if resume and not there:
        raise SettingError(
            f"{folder}: holds no training run to resume (there is no {CHECKPOINT_NAME}). Give the run's folder "
            "as output (--output), or leave out resume (--resume) to start a run."
        )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep all other processes from training in a folder, which is made. The lock of a killed process is gone with it.

    Raises:
        SettingError: Another process is at work there, or the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A singleton may be acquired again by the process that holds it.
        with FileLock(folder / _LOCK_NAME, timeout=0, is_singleton=True):
            yield
    except Timeout as error:
        raise SettingError(
            f"{folder}: another process trains in this folder. Wait for it or stop it, or give another folder "
            "(--output)."
        ) from error
