"""What COCO's servers take: `[type]_[testset]_[alg]_results.zip`, which holds the JSON list of the same name.

Boxes and masks go to different servers, each of which takes one list, so a submission is a folder with a zip file of
each list (https://cocodataset.org/#upload, https://cocodataset.org/#format-results).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import DataError, SettingError
from ...evaluation.results import Kind, Results
from ...ops.files import parse_json, read_json
from ..archives import write_archive

FORM = "[type]_[testset]_[alg]_results.zip or .json files"


def write_lists(path: Path, results: Results, names: Mapping[Kind, str]) -> None:
    """Write one zip file for each kind of prediction that any record has, or of all kinds where there is no record.

    Args:
        path: A folder; made if it is not there.
        results: The predictions.
        names: Of the file of each kind, without its ending.

    Raises:
        SettingError: The path is that of a file.
    """
    if path.suffix in (".zip", ".json") or path.is_file():
        raise SettingError(
            f"--submission {path}: COCO's servers take each of {', '.join(f'{name}.zip' for name in names.values())} "
            "by itself, so a folder is written. Give the path of a folder."
        )
    for kind, name in names.items():
        chosen = results.of_kind(kind)
        if chosen or not results:
            content = json.dumps(chosen, separators=(",", ":")).encode("ascii")
            write_archive(path / f"{name}.zip", [(f"{name}.json", content)])


def read_lists(path: Path) -> list[dict[str, Any]]:
    """Read what `write_lists` wrote, or one of its files: a folder, a zip file.

    Two lists of the same objects, of boxes and masks, become one with both.

    Args:
        path: The folder or file. Of a zip and a JSON file of one name in it, the zip file is read.

    Raises:
        DataError: There is no list, or one of them cannot be read.
    """
    files = [path]
    if path.is_dir():
        packed = sorted(path.glob("*_results.zip"))
        plain = sorted(path.glob("*_results.json"))
        files = packed + [file for file in plain if file.with_suffix(".zip") not in packed]
    lists = [
        found
        for file in files
        for found in (_unpack(file) if file.suffix == ".zip" else [_checked(str(file), read_json(file))])
    ]
    if not lists:
        raise DataError(f"{path}: holds no results of COCO's form, {FORM}. Give their folder, or one of them.")
    merged = lists[0]
    for found in lists[1:]:
        merged = _merge(merged, found)
    return merged


def _unpack(file: Path) -> list[list[dict]]:
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if name.endswith(".json")]
            contents = {name: archive.read(name) for name in names}
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{file}: cannot be read as a zip file ({error}). Copy or write it again.") from error
    if not contents:
        raise DataError(f"{file}: holds no JSON file, but COCO's results are {FORM}. Add it.")
    return [_checked(where := f"{file}: {name}", parse_json(content, where)) for name, content in contents.items()]


def _checked(source: str, records: Any) -> list[dict]:
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise DataError(f"{source}: must be a list of records, as COCO's results are. Write the file again.")
    return records


def _merge(first: list[dict], second: list[dict]) -> list[dict]:
    """One record for each object if both lists have the same objects in the same order, else one after the other."""
    same = ("image_id", "category_id", "score")
    if [[one.get(name) for name in same] for one in first] == [[one.get(name) for name in same] for one in second]:
        return [{**one, **other} for one, other in zip(first, second, strict=True)]
    return [*first, *second]
