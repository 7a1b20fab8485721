"""Multi-Human Parsing v2 (Zhao et al. 2018, https://lv-mhp.github.io): people and their parts.

A record of a predicted person may have `parts`: RLE by part id, such as {"3": {"size": ..., "counts": ...}}.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval.core import mask as coco_mask
from PIL import Image

from ...data.images import read_pixels
from ...data.readers.contents import read_text
from ...data.readers.mhp import FOLDERS, LAYOUT, SPLITS, gather_mhp
from ...errors import DataError
from ...evaluation.annotations import Annotations, Size, rle, rle_crop, to_text
from ...evaluation.coco import coco_sections
from ...evaluation.panoptic_quality import best_first, paint_label_map
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section
from ...structures.regions import LabelMap, find_regions
from ..benchmark import Benchmark, Place, find_in_archive, require_any, require_images, write_archive
from .metric import PARTS, VALUES, PartImage, mhp_section

PERSONS = "COCO mask AP and AR of whole people, each the union of its parts; no number of MHP, which scores parts"
REPORTED_EVERY = 100
"""Images between two reports of how far the scoring is."""
LIST = "results.txt"
RESULTS_LAYOUT = f"{LIST}, global_seg/NAME.png and global_tag/NAME.png, in a folder or a zip file"
PARTS_ONLY = (
    "but MHP's server scores nothing else. A Mask R-CNN finds whole people: add their parts with another model, or "
    "score the people alone."
)


class Mhp(Benchmark):
    """People with parts by MHP's own rule, and as whole people by COCO's; of tests usually only images are public."""

    name, title, layout, splits = "mhp", "Multi-Human Parsing v2", LAYOUT, SPLITS
    submits = "file"

    def open(self) -> None:
        contents, self._parts = gather_mhp(self.folder, self.split)
        source = f"{contents.source.parent.name}/{contents.source.name}"
        public = any((self.folder / self.split.partition("_")[0] / name).is_dir() for name in FOLDERS)
        self._annotated(contents, Annotations.parse(contents.coco, source=source), public=public)
        self.counts = {"images": len(self.known.sizes), "objects": len(self.known.objects)}
        self.image_names = {image["id"]: Path(image["file_name"]).stem for image in contents.coco["images"]}

    def parse(self, records: Iterable[dict[str, Any]], source: str = "results") -> Results:
        """As of every benchmark, and `parts` by number.

        Raises:
            DataError: A record cannot be used, or only some have parts.
        """
        if isinstance(records, Results):
            return records
        results = super().parse(records, source)
        with_parts = [record.get("parts") is not None for record in results]
        if any(with_parts) and not all(with_parts):
            raise DataError(
                f"{source}: record {with_parts.index(False)} has no `parts`, but others have. Give parts to all "
                "people, {} to those without, or to none."
            )
        if not any(with_parts):
            return results
        sizes = self.known.sizes
        return replace(
            results, records=tuple({**one, "parts": parse_parts(one, sizes[one["image_id"]])} for one in results)
        )

    def require_submittable(self) -> None:
        raise DataError(f"submission (--submission): a model's records have no `parts`, {PARTS_ONLY}")

    def _score(self, results: Results, say: Say) -> list[Section]:
        require_any(results, ["segmentation", "parts"], "Use weights that find masks.")
        sections = []
        if all("parts" in record for record in results):
            sections.append(mhp_section(self._images(results, say)))
            whole = tuple(self._with_mask(record) for record in results)
            results = replace(results, records=whole)
        (persons,) = coco_sections(self.known, results, iou_types=("segm",), say=say)
        return [*sections, replace(persons, name="persons", title="whole people", protocol=PERSONS)]

    def _with_mask(self, record: dict[str, Any]) -> dict[str, Any]:
        if record.get("segmentation") is not None:
            return record
        return {**record, "segmentation": whole_person(record, self.known.sizes[record["image_id"]])}

    def _images(self, results: Results, say: Say) -> Iterator[PartImage]:
        maps: dict[int, list[LabelMap]] = defaultdict(list)
        for annotated in self.known.objects:
            maps[annotated["image_id"]].append(self._parts[annotated["parts_file"]])
        for number, (image_id, size) in enumerate(self.known.sizes.items()):
            if number % REPORTED_EVERY == 0:
                say(f"parts, image {number} of {len(self.known.sizes)}")
            found = results.by_image.get(image_id, [])
            yield PartImage(
                [person.decode() for person in maps[image_id]],
                [part_map(record, size) for record in found],
                [record["score"] for record in found],
            )

    def _submit(self, results: Results, path: Path) -> None:
        write_people(path, results, self.known.sizes, self.image_names)

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_people(path, self.image_names)


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
    place = find_in_archive(path, [LIST], RESULTS_LAYOUT)
    lines = _read_lines(place / LIST, f"{path}: {LIST}")
    remedy = "Add a line with the name alone where nobody was found."
    require_images(f"{path}: {LIST}", names.values(), lines, remedy)
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
    for number, line in enumerate(read_text(file, "a list of people").splitlines(), start=1):
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
    if not (place / name).is_file():
        raise DataError(f"{place}/{name}: is not there. Write it again.")
    values = read_pixels(io.BytesIO((place / name).read_bytes()), name=f"{place}/{name}")
    if values.ndim != 2 or values.dtype.kind not in "bui":
        raise DataError(f"{place}/{name}: must be a gray image of whole numbers. Write it again.")
    return values


def _png(values: np.ndarray) -> bytes:
    with io.BytesIO() as file:
        Image.fromarray(values).save(file, "PNG")
        return file.getvalue()
