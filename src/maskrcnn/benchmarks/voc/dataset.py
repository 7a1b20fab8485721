"""Pascal VOC 2007 and 2012: boxes, and masks by two rules (http://host.robots.ox.ac.uk/pascal/VOC)."""

from __future__ import annotations

import io
import math
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from ...data.dataset import Contents
from ...data.readers.contents import read_text
from ...data.readers.voc import CLASSES, SBD_LAYOUT, list_voc_set, read_sbd, read_segments, read_voc_images
from ...errors import DataError
from ...evaluation.annotations import Annotations
from ...evaluation.results import Results, read_records
from ...evaluation.sections import Say, Section
from ...ops.files import replacing
from ..benchmark import Benchmark, complete, part_of
from .metric import voc_box_section, voc_mask_sections

LAYOUT = (
    "VOC{year}/ or VOCdevkit/VOC{year}/ with ImageSets/Main/, Annotations/, JPEGImages/ and, for masks, "
    "ImageSets/Segmentation/, SegmentationObject/, SegmentationClass/"
)
ARCHIVES = (".tar", ".gz", ".tgz")
FIELDS = "image score xmin ymin xmax ymax"


class Voc2012(Benchmark):
    """The challenge of 2012, whose test only its server can score.

    Boxes are scored on the images of `ImageSets/Main`, masks on those of `ImageSets/Segmentation`, if there are any.
    """

    name, title, layout = "voc2012", "Pascal VOC 2012", LAYOUT.format(year="2012")
    splits = ("val", "train", "trainval", "test")
    skip_invalid = True
    submits = "folder"
    year: ClassVar[str] = "2012"
    eleven_points: ClassVar[bool] = False
    """Whether the challenge's AP is that at 11 recalls."""
    hidden: ClassVar[Sequence[str]] = ("test",)

    def open(self) -> None:
        places = (self.folder / "VOCdevkit" / f"VOC{self.year}", self.folder / f"VOC{self.year}", self.folder)
        self._root = root = next((place for place in places if (place / "ImageSets").is_dir()), places[1])
        listed = list_voc_set(root, "Main", self.split)
        if listed is None:
            raise DataError(
                f"{root / 'ImageSets' / 'Main' / self.split}.txt: the list of the images of VOC{self.year}'s "
                f"{self.split} is not there. The layout is {self.layout}."
            )
        if self.split in self.hidden:
            self._open_hidden(listed)
            return
        segmented = []
        if (root / "SegmentationObject").is_dir():
            segmented = list_voc_set(root, "Segmentation", self.split) or []
        # In this order the ids of the first do not depend on whether the label maps were unpacked, too.
        contents = complete(read_voc_images(root, [*listed, *sorted({*segmented} - {*listed})]))
        self._annotated(contents, Annotations.parse(contents.coco, source=f"VOC{self.year} {self.split}"))
        self.image_names = {image["id"]: Path(image["file_name"]).stem for image in contents.coco["images"]}
        numbers = {name: number for number, name in self.image_names.items()}
        self._listed, self._segmented = ({numbers[name] for name in names} for names in (listed, segmented))

    def _open_hidden(self, listed: Sequence[str]) -> None:
        self.image_names = dict(enumerate(listed, start=1))
        images = [{"id": number, "file_name": f"{name}.jpg"} for number, name in self.image_names.items()]
        classes = dict(enumerate(CLASSES, start=1))
        categories = [{"id": number, "name": name} for number, name in classes.items()]
        coco = {"images": images, "categories": categories, "annotations": []}
        sizes = dict.fromkeys(self.image_names, (0, 0))  # boxes, which are all that is sent, need none
        known = Annotations(f"VOC{self.year} {self.split}", sizes, classes, [])
        self._annotated(Contents(self._root, self._root / "JPEGImages", coco), known, public=False)

    def parse(self, records: Iterable[dict[str, Any]], source: str = "results") -> Results:
        if not self.public:
            fields = ("image_id", "category_id", "score", "bbox")
            records = [{name: record[name] for name in fields if name in record} for record in records]
        return super().parse(records, source)

    @cached_property
    def _masks(self) -> Annotations:
        """The objects of the label maps in place of those of the XML files."""
        category_ids = {name: category for category, name in self.known.categories.items()}
        objects = [
            {
                "image_id": image_id,
                "category_id": category_ids[str(segment.name)],
                "bbox": list(segment.region.box),
                "area": segment.region.area,
                "segmentation": segment.region.rle(),
            }
            for image_id in self._segmented
            for segment in read_segments(self._root, self.image_names[image_id])
        ]
        return replace(self.known, objects=objects)

    def _score(self, results: Results, say: Say) -> list[Section]:
        boxes = part_of(self.known, results, self._listed)
        sections = [voc_box_section(*boxes, eleven_points=self.eleven_points, say=say)]
        if self._segmented and (not results or "segm" in results.iou_types):
            say("reading label maps")
            sections += voc_mask_sections(*part_of(self._masks, results, self._segmented), say=say)
        return sections

    def _submit(self, results: Results, path: Path) -> None:
        write_voc_files(results, path, names=self.image_names, year=self.year, split=self.split)

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_voc_files(path, self.image_names)


class Voc2007(Voc2012):
    """The challenge of 2007."""

    name, title, layout = "voc2007", "Pascal VOC 2007", LAYOUT.format(year="2007")
    splits = ("test", "val", "train", "trainval")
    year, eleven_points, hidden = "2007", True, ()


class Sbd(Benchmark):
    """SBD in `benchmark_RELEASE/`, its `dataset/`, or `VOCdevkitSDS/`, whose val.txt has the 5,732 images of SDS."""

    name, title, layout, splits = "sbd", "SBD masks of Pascal VOC 2012", SBD_LAYOUT, ("val", "train")
    skip_invalid = True

    def open(self) -> None:
        contents = complete(read_sbd(self.folder, self.split))
        self._annotated(contents, Annotations.parse(contents.coco, source=f"SBD {self.split}"))

    def _score(self, results: Results, say: Say) -> list[Section]:
        return voc_mask_sections(self.known, results, say=say)


def write_voc_files(results: Results, path: Path, *, names: Mapping[int, str], year: str, split: str) -> None:
    """Write `results/VOC2012/Main/comp4_det_test_<class>.txt` and so on: other data than VOC's was used for training.

    Args:
        results: Those without a box are left out.
        path: A folder, or an archive (`.tar`, `.tar.gz`, `.tgz`), which the server takes.
        names: Of the images by id.
        year: Of the challenge.
        split: Of the images.
    """
    lines: dict[str, list[str]] = {name: [] for name in CLASSES}
    for record in results.of_type("bbox"):
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
        yield str(file.relative_to(path)), read_text(file, "a list of boxes")


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
