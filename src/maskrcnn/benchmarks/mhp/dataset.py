"""Multi-Human Parsing v2 (Zhao et al. 2018, https://lv-mhp.github.io): people and their parts.

A record of a predicted person may have `parts`: RLE by part id, such as {"3": {"size": ..., "counts": ...}}.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...data.readers.mhp import FOLDERS, LAYOUT, SPLITS, gather_mhp
from ...errors import DataError
from ...evaluation.annotations import Annotations
from ...evaluation.coco import coco_sections
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section
from ...structures.regions import LabelMap
from ..benchmark import Benchmark, require_any
from .metric import PartImage, mhp_section
from .submission import PARTS_ONLY, parse_parts, part_map, read_people, whole_person, write_people

PERSONS = "COCO mask AP and AR of whole people, each the union of its parts; no number of MHP, which scores parts"
TOLD = 100
"""Images between two words on how far the scoring is."""


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
        raise DataError(f"--submission: a model's records have no `parts`, {PARTS_ONLY}")

    def _score(self, results: Results, say: Say) -> list[Section]:
        require_any(results, ["segmentation", "parts"], "Use weights that find masks.")
        sections = []
        if all("parts" in record for record in results):
            sections.append(mhp_section(self._images(results, say)))
            whole = tuple(self._with_mask(record) for record in results)
            results = replace(results, records=whole)
        (persons,) = coco_sections(self.known, results, kinds=("segm",), say=say)
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
            if number % TOLD == 0:
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
