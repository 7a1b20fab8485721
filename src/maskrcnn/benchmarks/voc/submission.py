"""Detections as Pascal VOC's server takes them: a text file per class, a line per box.

A line is `image score xmin ymin xmax ymax`; coordinates count from 1, and the last pixel belongs to the box.
"""

from __future__ import annotations

import io
import math
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...data.readers.voc import CLASSES
from ...errors import DataError
from ...evaluation.results import Results, read_records
from ...ops.files import replacing

ARCHIVES = (".tar", ".gz", ".tgz")
FIELDS = "image score xmin ymin xmax ymax"


def write_voc_files(results: Results, path: Path, *, names: Mapping[int, str], year: str, split: str) -> None:
    """Write `results/VOC2012/Main/comp4_det_test_<class>.txt` and so on: data other than VOC's was learned from.

    Args:
        results: Those without a box are left out.
        path: A folder, or an archive (`.tar`, `.tar.gz`, `.tgz`), which the server takes.
        names: Of the images by id.
        year: Of the challenge.
        split: Of the images.
    """
    lines: dict[str, list[str]] = {name: [] for name in CLASSES}
    for record in results.of_kind("bbox"):
        x, y, width, height = record["bbox"]
        numbers = [record["score"], x + 1, y + 1, x + width, y + height]
        text = " ".join(repr(float(number)) for number in numbers)
        lines[CLASSES[record["category_id"] - 1]].append(f"{names[record['image_id']]} {text}\n")
    files = {f"results/VOC{year}/Main/comp4_det_{split}_{name}.txt": "".join(found) for name, found in lines.items()}
    if path.suffix in ARCHIVES:
        _write_archive(path, files)
        return
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text, encoding="ascii")


def read_voc_files(path: Path, names: Mapping[int, str]) -> list[dict]:
    """Read such files back.

    Args:
        path: A folder that holds them, at any depth, an archive, or a COCO results file.
        names: Of the images by id.

    Raises:
        DataError: A class has no file or two, or a line is wrong.
    """
    if path.is_file() and path.suffix not in ARCHIVES:
        return read_records(path)
    numbers = {name: number for number, name in names.items()}
    texts: dict[str, tuple[str, str]] = {}
    for name, text in _read_archive(path) if path.is_file() else _read_folder(path):
        of_class = Path(name).stem.rsplit("_", 1)[-1]
        if of_class not in CLASSES or of_class in texts:
            wrong = "is the second of its class" if of_class in texts else "names no class of VOC"
            raise DataError(f"{path}: {name} {wrong}. Give one file comp4_det_test_<class>.txt for each of 20 classes.")
        texts[of_class] = (name, text)
    missing = [name for name in CLASSES if name not in texts]
    if missing:
        raise DataError(
            f"{path}: has no comp4_det_*.txt of {', '.join(missing)}. An empty file says that none is found."
        )
    return [
        {**_box(f"{path}: {texts[of_class][0]}", number, line, numbers), "category_id": category}
        for category, of_class in enumerate(CLASSES, start=1)
        for number, line in enumerate(texts[of_class][1].splitlines(), start=1)
        if line.strip()
    ]


def _box(file: str, number: int, line: str, numbers: Mapping[str, int]) -> dict:
    words = line.split()
    try:
        name, (score, x1, y1, x2, y2) = words[0], map(float, words[1:])
    except ValueError:
        raise DataError(f"{file}: line {number}: {line.strip()!r} must be `{FIELDS}`. Correct it.") from None
    if name not in numbers:
        raise DataError(f"{file}: line {number}: {name!r} is not an image of this split. Predict the split again.")
    if not all(map(math.isfinite, (score, x1, y1, x2, y2))) or x2 < x1 - 1 or y2 < y1 - 1:
        raise DataError(
            f"{file}: line {number}: {line.strip()!r}: all numbers must be finite, and xmax and ymax not below xmin "
            "and ymin. Correct it."
        )
    return {"image_id": numbers[name], "score": score, "bbox": [x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1]}


def _read_folder(path: Path) -> Iterator[tuple[str, str]]:
    for file in sorted(path.rglob("comp*_det_*.txt")):
        yield str(file.relative_to(path)), file.read_text(encoding="utf-8")


def _read_archive(path: Path) -> Iterator[tuple[str, str]]:
    try:
        with tarfile.open(path) as archive:
            for member in archive.getmembers():
                content = archive.extractfile(member) if Path(member.name).match("comp*_det_*.txt") else None
                if content is not None:
                    yield member.name, content.read().decode("utf-8")
    except (OSError, EOFError, ValueError, tarfile.TarError) as error:
        raise DataError(f"{path}: cannot be read as an archive ({error}). Write it again.") from error


def _write_archive(path: Path, files: Mapping[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, tarfile.open(temporary, "w" if path.suffix == ".tar" else "w:gz") as archive:
        for name, text in files.items():
            content = text.encode("ascii")
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
