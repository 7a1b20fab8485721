"""COCO-O: COCO's classes in six other domains (https://github.com/alibaba/easyrobust, benchmarks/coco_o)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...data.readers.coco import parse_coco, to_data
from ...data.records import Contents
from ...errors import DataError
from ...evaluation.annotations import Annotations, load_annotations
from ...evaluation.coco_o import DOMAINS, box_average_precision, coco_o_sections
from ...evaluation.results import checked_results, read_results
from ...evaluation.sections import Say, Section
from .benchmark import Benchmark, Opened, Records

LAYOUT = "sketch/annotations/instances_val2017.json, sketch/val2017/ and so for weather, cartoon, painting, tattoo, "
LAYOUT += "handmake; for effective robustness COCO itself as coco/annotations/instances_val2017.json, coco/val2017/"
REFERENCE = "coco"
"""Folder of COCO's own val2017, which is predicted and scored in the same run."""


@dataclass(frozen=True)
class _Domains:
    """All pictures under ids of their own: the domains' files use the same ones.

    Args:
        coco: Everything in COCO's terms.
        parts: The same of each domain, and of COCO's val2017 if it is there.
        names: Of each picture its domain and its id there, such as "sketch/17".
    """

    coco: dict[str, Any]
    parts: dict[str, Annotations]
    names: dict[int, str]


def open_coco_o(folder: Path, split: str) -> Opened:
    """Find the six domains, and COCO's own val2017 beside them.

    Args:
        folder: With the domains, or with `ood_coco/`, which holds them.
        split: There is only "val".

    Raises:
        DataError: A domain is missing, or two of the files have different classes.
    """
    root = folder / "ood_coco" if (folder / "ood_coco").is_dir() else folder
    files = {domain: root / domain / "annotations" / "instances_val2017.json" for domain in DOMAINS}
    missing = [file for file in files.values() if not file.is_file()]
    if missing:
        raise DataError(
            f"{missing[0]}: COCO-O's annotation file is not there, nor {len(missing) - 1} others of the 6 domains. "
            f"The layout is {LAYOUT}."
        )
    for place in (root, folder):
        if (file := place / REFERENCE / "annotations" / "instances_val2017.json").is_file():
            files[REFERENCE] = file
    found = _join(folder, files)
    truth = replace(load_annotations(found.coco), source=str(root))

    def score(records: Records, say: Say) -> list[Section]:
        return _score(found.parts, checked_results(records, truth), say)

    return Opened(
        source=str(root),
        pictures=lambda: to_data(Contents(root, folder, found.coco), skip_invalid=True),
        score=score,
        truth=truth,
        counts={"pictures": len(truth.sizes), "objects": len(truth.objects)},
        image_names=found.names,
    )


def _score(parts: dict[str, Annotations], records: Records, say: Say) -> list[Section]:
    found = {name: (truth, [one for one in records if one["image_id"] in truth.sizes]) for name, truth in parts.items()}
    truth, predicted = found.pop(REFERENCE, (None, []))
    reference = None
    if truth and predicted:
        say("COCO val2017")
        reference = box_average_precision(truth, predicted)
    return coco_o_sections(found, reference, say=say)


def _join(folder: Path, files: dict[str, Path]) -> _Domains:
    images: list[dict] = []
    annotations: list[dict] = []
    names: dict[int, str] = {}
    parts: dict[str, Annotations] = {}
    categories: dict[int, dict] = {}
    for domain, file in files.items():
        load_annotations(file)  # says what is wrong with the file under its own name
        coco = parse_coco(file)
        _add_categories(categories, coco["categories"], file)
        pictures = file.parent.parent.relative_to(folder) / "val2017"
        own = {image["id"]: number for number, image in enumerate(coco["images"], start=len(names) + 1)}
        listed = [
            {**one, "id": own[one["id"]], "file_name": f"{pictures}/{one.get('file_name')}"} for one in coco["images"]
        ]
        objects = [{**one, "image_id": own[one["image_id"]]} for one in coco.get("annotations", [])]
        part = {"images": listed, "categories": coco["categories"], "annotations": objects}
        parts[domain] = replace(load_annotations(part), source=f"{domain}/{file.name}")
        names |= {number: f"{domain}/{image_id}" for image_id, number in own.items()}
        images += listed
        annotations += objects
    numbered = [{**found, "id": number} for number, found in enumerate(annotations, start=1)]
    return _Domains({"images": images, "categories": [*categories.values()], "annotations": numbered}, parts, names)


def _add_categories(known: dict[int, dict], categories: list[dict], file: Path) -> None:
    for category in categories:
        same = known.setdefault(category["id"], category)
        if same["name"] != category["name"]:
            raise DataError(
                f"{file}: category {category['id']} is {category['name']!r}, but {same['name']!r} in another domain; "
                "all have COCO's classes. Unpack COCO-O again."
            )


def read_domains(path: Path, opened: Opened) -> Records:
    """Predictions of all domains.

    Args:
        path: A COCO results file with the ids of `open_coco_o`, or a folder with a COCO results file of each domain
            (`sketch.json` or `sketch.bbox.json`, and `coco.json` of val2017) with that domain's own ids.
        opened: What `open_coco_o` found.

    Raises:
        DataError: A file is missing or cannot be read, or a record names an unknown picture.
    """
    if not path.is_dir():
        return read_results(path)
    numbers = {name: number for number, name in opened.image_names.items()}
    records: list[dict] = []
    for domain in (*DOMAINS, REFERENCE):
        file = next((file for file in (path / f"{domain}.json", path / f"{domain}.bbox.json") if file.is_file()), None)
        if file is None and domain != REFERENCE:
            raise DataError(f"{path / domain}.json: the results of this domain are not there. All six are scored.")
        for place, record in enumerate(read_results(file) if file else []):
            number = numbers.get(f"{domain}/{record.get('image_id')}")
            if number is None:
                raise DataError(
                    f"{file}: record {place}: image_id {record.get('image_id')!r} is not a picture of {domain}. "
                    "Make the predictions again."
                )
            records.append({**record, "image_id": number})
    return records


COCO_O = Benchmark("COCO-O", LAYOUT, ("val",), open_coco_o, read=read_domains)
