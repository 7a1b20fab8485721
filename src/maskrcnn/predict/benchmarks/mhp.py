"""Multi-Human Parsing v2 (Zhao et al. 2018, https://lv-mhp.github.io): people and their parts.

A record of a predicted person may have `parts`: run lengths by part id, such as {"3": {"size": ..., "counts": ...}}.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ...data.readers.coco import to_data
from ...data.readers.mhp import FOLDERS, LAYOUT, SPLITS, read_mhp, read_parts
from ...errors import DataError
from ...evaluation.annotations import Annotations, load_annotations
from ...evaluation.coco import coco_sections
from ...evaluation.mhp import PartPicture, mhp_section
from ...evaluation.results import checked_results
from ...evaluation.sections import Say, Section
from .benchmark import Benchmark, Opened, Records
from .mhp_results import PARTS_ONLY, part_map, read_results, whole_person, write_results
from .wanted import require_any

PERSONS = "COCO mask AP and AR of whole people, each the union of its parts; no number of MHP, which scores parts"
TOLD = 100
"""Pictures between two words on how far the scoring is."""


def open_mhp(folder: Path, split: str) -> Opened:
    """Find a split of MHP v2. Of the test splits usually only the pictures are public.

    Raises:
        DataError: A file is missing or broken.
    """
    read = partial(read_mhp, folder, split)
    contents = read()
    truth = replace(load_annotations(contents.coco), source=f"{contents.source.parent.name}/{contents.source.name}")
    names = {image["id"]: Path(image["file_name"]).stem for image in contents.coco["images"]}
    hidden = not any((folder / split.partition("_")[0] / name).is_dir() for name in FOLDERS)

    def score(records: Records, say: Say) -> list[Section]:
        return score_mhp(truth, records, folder, say)

    return Opened(
        source=str(contents.source),
        pictures=lambda: to_data(contents),
        score=None if hidden else score,
        submit=lambda records, path: write_results(path, checked_results(records, truth), truth.sizes, names),
        truth=None if hidden else truth,
        counts={"pictures": len(truth.sizes), "objects": len(truth.objects)},
        image_names=names,
        require_submittable=_refuse_whole_people,
    )


def _refuse_whole_people() -> None:
    raise DataError(f"--submission: a model's records have no `parts`, {PARTS_ONLY}")


def score_mhp(truth: Annotations, results: Sequence[dict], folder: Path, say: Say) -> list[Section]:
    """Score people: by MHP's own rule where they have parts, and as whole people by COCO's.

    Args:
        truth: Of `read_mhp`.
        results: COCO records, all with `parts` or none.
        folder: What the annotations' `parts_file` starts from.
        say: Called with what is being scored.

    Raises:
        DataError: A record cannot be used, or only some have parts.
    """
    records = checked_results(results, truth)
    require_any(records, ["segmentation", "parts"], "Use weights that find masks.")
    without = next((number for number, record in enumerate(records) if record.get("parts") is None), None)
    sections = []
    if without is None:
        sections.append(mhp_section(_pictures(truth, records, folder, say)))
    elif any(record.get("parts") is not None for record in records):
        raise DataError(
            f"results: record {without} has no `parts`, but others have. Give parts to all people, {{}} to those "
            "without, or to none."
        )
    if without is None:
        records = [_with_mask(record, truth) for record in records]
    (whole,) = coco_sections(truth, records, kinds=("segm",), say=say)
    return [*sections, replace(whole, name="persons", title="whole people", protocol=PERSONS)]


def _with_mask(record: dict[str, Any], truth: Annotations) -> dict[str, Any]:
    if record.get("segmentation") is not None:
        return record
    return {**record, "segmentation": whole_person(record, truth.sizes[record["image_id"]])}


def _pictures(truth: Annotations, records: Sequence[dict], folder: Path, say: Say) -> Iterator[PartPicture]:
    files: dict[int, list[Path]] = defaultdict(list)
    for annotated in truth.objects:
        files[annotated["image_id"]].append(folder / annotated["parts_file"])
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        found[record["image_id"]].append(record)
    for number, (image_id, size) in enumerate(truth.sizes.items()):
        if number % TOLD == 0:
            say(f"parts, picture {number} of {len(truth.sizes)}")
        yield PartPicture(
            [read_parts(file) for file in files[image_id]],
            [part_map(record, size) for record in found[image_id]],
            [record["score"] for record in found[image_id]],
        )


MHP = Benchmark("Multi-Human Parsing v2", LAYOUT, SPLITS, open_mhp, read=read_results)
