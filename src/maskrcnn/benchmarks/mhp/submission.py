"""The results that MHP v2's server takes (https://lv-mhp.github.io/evaluate, `eval_submission.py`).

`results.txt` has a line for each image, `NAME id score id score ...`; in `global_tag/NAME.png` each person's pixels
have the person's id, and `global_seg/NAME.png` has the part of each pixel.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coco_mask
from PIL import Image

from ...data.images import read_pixels
from ...errors import DataError
from ...evaluation.annotations import Size, rle, rle_crop, to_text
from ...evaluation.panoptic_quality import best_first, paint_label_map
from ...evaluation.results import Results
from ...structures.regions import find_regions
from ..archives import Place, find_in_archive, write_archive
from .metric import PARTS, VALUES

LIST = "results.txt"
LAYOUT = f"{LIST}, global_seg/NAME.png and global_tag/NAME.png, in a folder or a zip file"
PARTS_ONLY = (
    "but MHP's server scores nothing else. A Mask R-CNN finds whole people: add their parts with another model, or "
    "score the people alone."
)


def parse_parts(record: Mapping[str, Any], size: Size) -> dict[int, dict[str, Any]]:
    """The RLE of a record's `parts` by their ids.

    Args:
        record: The person; ids are numbers or text.
        size: (height, width) of its image.

    Raises:
        DataError: A part has no known id, or its RLE cannot be used.
    """
    name = f"results: `parts` of a person in image {record['image_id']}"
    try:
        parts = {int(part): segmentation for part, segmentation in record["parts"].items()}
    except (AttributeError, TypeError, ValueError):
        parts = {0: None}
    if any(not 0 < part < VALUES for part in parts):
        raise DataError(
            f"{name} must be RLE by part id, 1 to {len(PARTS)}, but it is {record['parts']!r:.60}. Write the "
            "results again."
        )
    try:
        return {part: to_text(rle(segmentation, size)) for part, segmentation in parts.items()}
    except ValueError as error:
        raise DataError(f"{name}: {error}. Write the results again.") from error


def part_map(record: Mapping[str, Any], size: Size) -> np.ndarray:
    """[H, W] uint8 of a record's parsed `parts`, 0 where it has none; where two overlap, the one with the higher id."""
    painted = np.zeros(size, dtype=np.uint8)
    for part, encoded in sorted(record["parts"].items()):
        x, y, bitmap = rle_crop(encoded)
        painted[y : y + bitmap.shape[0], x : x + bitmap.shape[1]][bitmap] = part
    return painted


def read_people(path: Path, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Results in the server's format as records with `parts`. Lines of images of other splits are left out.

    Args:
        path: The folder or the zip file.
        names: Of the images of the split, by id.

    Raises:
        DataError: A file is missing or broken, or an image of the split has no line.
    """
    place = find_in_archive(path, [LIST], LAYOUT)
    lines = _read_lines(place / LIST, f"{path}: {LIST}")
    missing = [name for name in names.values() if name not in lines]
    if missing:
        raise DataError(
            f"{path}: {LIST} has no line for {len(missing)} of {len(names)} images, such as "
            f"{missing[0]}. Add a line with the name alone where nobody was found."
        )
    records: list[dict[str, Any]] = []
    for image_id, name in names.items():
        if lines[name]:
            tags, parts = (_read_map(place, f"{folder}/{name}.png") for folder in ("global_tag", "global_seg"))
            if tags.shape != parts.shape:
                raise DataError(f"{path}: global_tag and global_seg of {name} differ in size. Write them again.")
            records += _people(image_id, lines[name], tags, parts)
    return records


def write_people(path: Path, results: Results, sizes: Mapping[int, Size], names: Mapping[int, str]) -> None:
    """Write the zip file that the server takes. Where people overlap, pixels belong to the one with the best score.

    Args:
        path: The zip file.
        results: With parsed `parts`.
        sizes: (height, width) of each image by its id.
        names: Of all images by their ids.

    Raises:
        DataError: A record has no parts.
    """
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for number, record in enumerate(results):
        if record.get("parts") is None:
            raise DataError(f"results: record {number} has no `parts`, {PARTS_ONLY}")
        found[record["image_id"]].append({**record, "segmentation": whole_person(record, sizes[record["image_id"]])})
    write_archive(path, _members({key: best_first(found[key], score_threshold=-np.inf) for key in names}, sizes, names))


def _members(
    found: Mapping[int, Sequence[dict[str, Any]]], sizes: Mapping[int, Size], names: Mapping[int, str]
) -> Iterator[tuple[str, bytes]]:
    lines = []
    for image_id, name in names.items():
        people, size = found[image_id], sizes[image_id]
        tags = paint_label_map([person["segmentation"] for person in people], size)
        parts = np.zeros(size, dtype=np.uint8)
        for number, person in enumerate(people, start=1):
            np.copyto(parts, part_map(person, size), where=tags == number)
        yield f"global_tag/{name}.png", _png(tags.astype(np.uint8 if len(people) < 256 else np.uint16))
        yield f"global_seg/{name}.png", _png(parts)
        lines.append(" ".join([name, *(f"{n} {person['score']!r}" for n, person in enumerate(people, start=1))]))
    yield LIST, "".join(f"{line}\n" for line in lines).encode()


def whole_person(record: Mapping[str, Any], size: Size) -> dict[str, Any]:
    """RLE of a person: its mask, if the record has one, and its parsed parts together."""
    masks = [record["segmentation"]] if record.get("segmentation") is not None else []
    pieces = [*masks, *record["parts"].values()]
    whole = coco_mask.merge(pieces) if pieces else coco_mask.encode(np.zeros(size, dtype=np.uint8, order="F"))
    return to_text(whole)


def _read_lines(file: Place, name: str) -> dict[str, list[tuple[int, float]]]:
    """Ids and scores of the people of each image."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        image, *items = line.split() or [""]
        if not image:
            continue
        try:
            people = [(int(tag), float(score)) for tag, score in zip(items[::2], items[1::2], strict=True)]
        except ValueError:
            people = [(0, 0.0)]
        if any(tag < 1 for tag, _ in people):
            raise DataError(f"{name}: line {number}: {line!r:.60} is not `NAME id score id score ...`. Correct it.")
        if image in lines:
            raise DataError(f"{name}: line {number}: {image} has a line already. Join them, or remove one.")
        lines[image] = people
    return lines


def _people(
    image_id: int, people: Sequence[tuple[int, float]], tags: np.ndarray, parts: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Records of the people of an image; those without a pixel are left out, as the official script does."""
    masks = {region.value: region for region in find_regions(tags)}
    pieces: dict[int, dict[str, Any]] = defaultdict(dict)
    for region in find_regions(tags.astype(np.int64) * 256 + parts):
        tag, part = divmod(region.value, 256)
        if part:
            pieces[tag][str(part)] = region.rle()
    for tag, score in people:
        if tag in masks:
            record: dict[str, Any] = {"image_id": image_id, "category_id": 1, "score": score}
            mask = {"bbox": list(masks[tag].box), "segmentation": masks[tag].rle()}
            yield {**record, **mask, "parts": pieces.get(tag, {})}


def _read_map(place: Place, name: str) -> np.ndarray:
    try:
        content = (place / name).read_bytes()
    except (OSError, KeyError) as error:
        raise DataError(f"{place}/{name}: cannot be read ({error}). Write it again.") from error
    values = read_pixels(io.BytesIO(content), name=f"{place}/{name}")
    if values.ndim != 2 or values.dtype.kind not in "bui":
        raise DataError(f"{place}/{name}: must be a gray image of whole numbers. Write it again.")
    return values


def _png(values: np.ndarray) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(values).save(file, "PNG")
        return file.getvalue()
