"""COCO-O: COCO's classes in six other domains (https://github.com/alibaba/easyrobust, benchmarks/coco_o)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..data.dataset import Contents
from ..data.readers.coco import parse_coco
from ..errors import DataError
from ..evaluation.annotations import Annotations
from ..evaluation.coco import coco_sections, none_where_undefined
from ..evaluation.results import Results, read_records
from ..evaluation.sections import Numbers, Say, Section, say_nothing
from .benchmark import Benchmark, part_of

REFERENCE = "coco"
"""Folder of COCO's own val2017, which is predicted and scored in the same run."""
FILE = Path("annotations") / "instances_val2017.json"
DOMAINS = ("sketch", "weather", "cartoon", "painting", "tattoo", "handmake")
SLOPE = 0.45
"""AP on COCO-O that a detector is expected to have, as a share of its AP on COCO's val2017. Inferred: it gives the rows
that the authors publish (https://github.com/alibaba/easyrobust/issues/21)."""
ROW = ("AP", "AP50", "AP75", "APs", "APm", "APl")


class CocoO(Benchmark):
    """The six domains, and COCO's own val2017 beside them; the folder has them, or `ood_coco/`, which does.

    All images get ids of their own, as the domains' files use the same ones; `image_names` has the domain and the id
    there, such as "sketch/17".
    """

    name, title, splits = "coco-o", "COCO-O", ("val",)
    layout = (
        "sketch/annotations/instances_val2017.json, sketch/val2017/ and so for weather, cartoon, painting, tattoo, "
        "handmake; for effective robustness COCO itself as coco/annotations/instances_val2017.json, coco/val2017/"
    )
    skip_invalid = True

    def open(self) -> None:
        root = self.folder / "ood_coco" if (self.folder / "ood_coco").is_dir() else self.folder
        files = {domain: root / domain / FILE for domain in DOMAINS}
        missing = [file for file in files.values() if not file.is_file()]
        if missing:
            raise DataError(
                f"{missing[0]}: COCO-O's annotation file is not there, nor {len(missing) - 1} others of the 6 domains. "
                f"The layout is {self.layout}."
            )
        for place in (root, self.folder):
            if (place / REFERENCE / FILE).is_file():
                files[REFERENCE] = place / REFERENCE / FILE
        self._parts: dict[str, Annotations] = {}
        coco = self._join(files)
        self._annotated(Contents(root, self.folder, coco), Annotations.parse(coco, source=str(root)))

    def _join(self, files: dict[str, Path]) -> dict[str, Any]:
        images: list[dict[str, Any]] = []
        objects: list[dict[str, Any]] = []
        categories: dict[int, dict[str, Any]] = {}
        names: dict[int, str] = {}
        for domain, file in files.items():
            coco = parse_coco(file)
            truth = Annotations.parse(coco, source=str(file))
            _add_categories(categories, coco["categories"], file)
            folder = file.parent.parent.relative_to(self.folder) / "val2017"
            own = {image_id: number for number, image_id in enumerate(truth.sizes, start=len(names) + 1)}
            images += [
                {**one, "id": own[one["id"]], "file_name": f"{folder}/{one.get('file_name')}"} for one in coco["images"]
            ]
            found = [{**one, "image_id": own[one["image_id"]]} for one in truth.objects]
            sizes = {own[image_id]: size for image_id, size in truth.sizes.items()}
            self._parts[domain] = replace(truth, source=f"{domain}/{file.name}", sizes=sizes, objects=found)
            names |= {number: f"{domain}/{image_id}" for image_id, number in own.items()}
            objects += [{**one, "id": number} for number, one in enumerate(found, start=len(objects) + 1)]
        self.image_names = names
        return {"images": images, "categories": [*categories.values()], "annotations": objects}

    def _score(self, results: Results, say: Say) -> list[Section]:
        domains = {name: part_of(truth, results, truth.sizes) for name, truth in self._parts.items()}
        truth, predicted = domains.pop(REFERENCE, (None, None))
        reference = None
        if truth and predicted:
            say("COCO val2017")
            reference = box_average_precision(truth, predicted)
        return coco_o_sections(domains, reference, say=say)

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        """Predictions of all domains.

        Args:
            path: A COCO results file with this class's ids, or a folder with a COCO results file of each domain
                (`sketch.json` or `sketch.bbox.json`, and `coco.json` of val2017) with that domain's own ids.
        """
        if not path.is_dir():
            return read_records(path)
        numbers = {name: number for number, name in self.image_names.items()}
        records: list[dict[str, Any]] = []
        for domain in (*DOMAINS, REFERENCE):
            places = (path / f"{domain}.json", path / f"{domain}.bbox.json")
            file = next((file for file in places if file.is_file()), None)
            if file is None and domain != REFERENCE:
                raise DataError(f"{places[0]}: the results of this domain are not there. All six are scored.")
            for place, record in enumerate(read_records(file) if file else []):
                number = numbers.get(f"{domain}/{record.get('image_id')}")
                if number is None:
                    raise DataError(
                        f"{file}: record {place}: image_id {record.get('image_id')!r} is not an image of {domain}. "
                        "Make the predictions again."
                    )
                records.append({**record, "image_id": number})
        return records


def _add_categories(known: dict[int, dict[str, Any]], categories: list[dict[str, Any]], file: Path) -> None:
    for category in categories:
        same = known.setdefault(category["id"], category)
        if same["name"] != category["name"]:
            raise DataError(
                f"{file}: category {category['id']} is {category['name']!r}, but {same['name']!r} in another domain; "
                "all have COCO's classes. Unpack COCO-O again."
            )


def coco_o_sections(
    domains: Mapping[str, tuple[Annotations, Results]], reference: float | None, *, say: Say = say_nothing
) -> list[Section]:
    """Score boxes in each domain by COCO's rule.

    Args:
        domains: Ground truth and predictions by the domain's name.
        reference: AP of boxes of the same model on COCO's val2017, as a fraction; None: not known.
        say: Called with the domain that is being scored.

    Returns:
        One section: AP, the plain mean of the domains' APs (images are not pooled), `effective robustness`, None
        without a reference, and the reference itself; a row of each domain stands in `per_class`.
    """
    rows: dict[str, Numbers] = {}
    for domain, (truth, results) in domains.items():
        say(domain)
        rows[domain] = _row(truth, results)
    average = mean_of_domains({domain: row["AP"] for domain, row in rows.items()})
    numbers = {
        "AP": average,
        "effective robustness": effective_robustness(average, reference),
        "AP on val2017": reference,
    }
    protocol = (
        f"COCO AP of boxes at IoU 0.50:0.05:0.95, at most 100 detections per image and class, in each domain; mean "
        f"of the {len(rows)} domains; effective robustness = AP - {SLOPE} AP on COCO val2017 (COCO-O)"
    )
    return [Section("bbox", "boxes", protocol, numbers, rows, row="domain")]


def box_average_precision(truth: Annotations, results: Results) -> float | None:
    """COCO's AP of boxes; None where there is no object."""
    return _row(truth, results)["AP"]


def mean_of_domains(found: Mapping[str, float | None]) -> float | None:
    """Plain mean of the APs of those domains that have objects; None if none has."""
    known = [value for value in found.values() if value is not None]
    return sum(known) / len(known) if known else None


def effective_robustness(average: float | None, reference: float | None) -> float | None:
    """How much better a detector is on COCO-O than its AP on COCO lets expect; of fractions, or of percents.

    Args:
        average: Mean AP of the domains.
        reference: AP on COCO's val2017.
    """
    return None if average is None or reference is None else average - SLOPE * reference


def _row(truth: Annotations, results: Results) -> Numbers:
    (section,) = coco_sections(truth, results, iou_types=("bbox",))
    return none_where_undefined({name: section.numbers[name] for name in ROW})
