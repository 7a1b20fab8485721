"""Checkpoints that others have published, by name: where they are, what they score, and the local copy of each."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..config import RunSettings
from ..config.presets import preset_changes, preset_names
from ..errors import SettingError, WeightsError
from .download import Checksum, check_file, fetch

TABLE = Path(__file__).with_name("published.yaml")
SHIPPED = {path.stem: path for path in sorted((Path(__file__).parent / "shipped").glob("*.safetensors"))}
"""Weights that come with the library."""
FOLDER_VARIABLE = "MASKRCNN_WEIGHTS"
SCORES = {"box": "box AP", "mask": "mask AP", "keypoint": "keypoint AP", "pq": "PQ", "hmean": "hmean", "top1": "top 1"}
"""What publishers measure: the names in the table, and their headings."""
DIGITS = {"sha256": re.compile(r"-([0-9a-f]{8})\.pth$"), "md5": re.compile(r"_([0-9a-f]{6})\.pkl$")}
"""Where the start of a file's hash stands in its name."""


@dataclass(frozen=True)
class Published:
    """A checkpoint on the web.

    Args:
        address: Where it is.
        checksum: How its hash begins; None: the publisher does not say.
        scores: What its publisher measured, in percent, by the names of `SCORES`.
        trained_on: The data, on which it was measured too.
        license: Of the weights.
        source: The publisher's list in which address and scores stand.
        preset: Name of the settings of its model; None: the reader finds them.
        alias: A second name.
        is_backbone: A classifier to start from, not a detector.
    """

    address: str
    checksum: Checksum | None = None
    scores: dict[str, float] = field(default_factory=dict)
    trained_on: str = ""
    license: str = ""
    source: str = ""
    preset: str | None = None
    alias: str | None = None
    is_backbone: bool = False

    @property
    def file_name(self) -> str:
        """Name of the file, as it is published."""
        return self.address.rsplit("/", 1)[-1]


def read_table(path: Path = TABLE) -> dict[str, Published]:
    """All published checkpoints, by `<publisher>/<model>`."""
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {
        f"{group.get('prefix', publisher)}/{model}": _read_row(group, row)
        for publisher, group in table.items()
        for model, row in group["models"].items()
    }


def find_published(name: str) -> str | None:
    """The name in the table of a checkpoint, which may be given by its alias, in any case, with - for _; or None."""
    if name in PUBLISHED:
        return name
    for known, one in PUBLISHED.items():
        if _plain(name) in (_plain(known), _plain(one.alias or known)):
            return known
    return None


def find_preset(name: str) -> str:
    """The preset that a name of `maskrcnn models` stands for: of that name, else that of the published checkpoint.

    Raises:
        SettingError: It is a published checkpoint without a preset. Other unknown names are given back.
    """
    published = None if name in preset_names() else find_published(name)
    if published is None:
        return name
    preset = PUBLISHED[published].preset
    if preset is None:
        raise SettingError(
            f"{name}: these published weights have no preset; their settings are found when they are read. "
            f"Give them as weights={name!r} (--weights {name}), without a preset."
        )
    return preset


def preset_settings(name: str | None) -> RunSettings:
    """The defaults, with the model of a preset if one is named, which may be by the name of a published checkpoint.

    Raises:
        SettingError: There is no preset of that name.
    """
    return RunSettings() if name is None else RunSettings().changed(preset_changes(find_preset(name)))


def download(name: str) -> Path:
    """The local copy of a published checkpoint, fetched with a progress bar if it is not there yet.

    Looked for in the folder that the environment variable MASKRCNN_WEIGHTS names, under its published file name; then
    in torch's own cache (`torch.hub.get_dir()`, moved by TORCH_HOME), where torchvision finds it too. A file put there
    by hand is used, if its hash is right.

    Raises:
        WeightsError: It cannot be fetched, or is not the published file.
    """
    known = find_published(name)
    if known is None:
        raise WeightsError(f"{name}: no published checkpoint of that name. `maskrcnn models` lists them.")
    one = PUBLISHED[known]
    for folder in _folders():
        path = folder / one.file_name
        if path.is_file():
            check_file(name, path, one.checksum)
            return path
    fetch(name, one.address, path, one.checksum)
    return path


def _folders() -> list[Path]:
    """Where files are looked for; they are fetched into the last."""
    import torch

    cache = Path(torch.hub.get_dir()) / "checkpoints"
    given = os.environ.get(FOLDER_VARIABLE)
    if not given:
        return [cache]
    if not Path(given).is_dir():
        raise WeightsError(f"{FOLDER_VARIABLE}={given}: there is no such folder. Make it, or unset the variable.")
    return [Path(given), cache]


def _read_row(group: dict[str, Any], row: dict[str, Any]) -> Published:
    return Published(
        address=group["folder"] + row["file"],
        checksum=_checksum(group["hash"], row["file"]),
        scores={name: row[name] for name in SCORES if name in row},
        trained_on=row.get("data", group.get("data", "")),
        license=group["license"],
        source=group["source"],
        preset=row.get("preset"),
        alias=row.get("alias"),
        is_backbone=group.get("backbones", False),
    )


def _checksum(kind: str | None, file: str) -> Checksum | None:
    if kind is None:
        return None
    digits = DIGITS[kind].search(file)
    if digits is None:
        raise ValueError(f"{TABLE}: {file} does not end with the start of its {kind}")
    return Checksum(kind, digits[1])


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


PUBLISHED = read_table()
