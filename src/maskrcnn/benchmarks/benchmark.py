"""What a benchmark is: its dataset, its metric, and what its server takes."""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from ..config import SCORE_THRESHOLD
from ..data.dataset import Contents, Dataset
from ..data.readers.coco import to_data
from ..errors import DataError, SettingError
from ..evaluation.annotations import Annotations
from ..evaluation.coco_input import Measure, field_of
from ..evaluation.results import Results, read_records
from ..evaluation.sections import Say, Section, say_nothing
from ..ops.files import replacing
from ..progress import counted

IouTypes = TypeVar("IouTypes", bound=Measure)
Submits = Literal["file", "folder"] | None
"""What is submitted is one file, or the files of a folder."""
Place = Path | zipfile.Path
"""A folder or file on disk or in a zip file."""
NAMED = 3
"""How many missing files a message names."""


class Benchmark(ABC):
    """A split of a benchmark of the literature, found on disk: what is predicted, how it is scored, what is submitted.

    A subclass states what all splits have in common as class attributes, finds the files of a split in `open`, and has
    `_score`; `_submit` where there is a server, and `_read` where results have a format of their own.

    Args:
        folder: The files as they lie on disk after unpacking.
        split: Of `splits`; None: the first.

    Raises:
        SettingError: There is no such split.
        DataError: A file is missing or cannot be used.
    """

    name: ClassVar[str]
    """As in the registry, and on the command line."""
    title: ClassVar[str]
    """For people."""
    layout: ClassVar[str]
    """The files in the folder, for help and messages."""
    splits: ClassVar[tuple[str, ...]]
    """The first is the usual one."""
    max_detections: ClassVar[int] = 100
    """Most detections per image that a model should give."""
    panoptic: ClassVar[bool] = False
    """Every pixel's segment is scored, not objects."""
    thresholded: ClassVar[bool] = False
    """Predictions count from `score_threshold` on; otherwise they are ranked by their scores."""
    own_json: ClassVar[bool] = False
    """Results in the benchmark's own format are JSON files, which `_read` tells from COCO's."""
    skip_invalid: ClassVar[bool] = False
    """The official files have objects that break a rule of datasets, such as boxes without an area."""
    submits: Submits = None
    """What `submit` writes; None: there is no server."""

    source: str
    """The file or folder with the ground truth, for messages and reports."""
    contents: Contents
    """What the reader of the files found, in COCO's terms."""
    known: Annotations
    """The images and classes that predictions may name."""
    truth: Annotations | None = None
    """The ground truth where it is objects as COCO has them, for the analysis of errors and for comparisons."""
    public: bool = True
    """Whether the ground truth is there, so that predictions can be scored."""
    counts: Mapping[str, int]
    """Of the ground truth, such as {"images": 500, "objects": 2036}."""
    image_names: Mapping[int, str]
    """Names of the images by their ids, where results of the benchmark's own format name them."""

    def __init__(self, folder: Path | str, split: str | None = None) -> None:
        split = split or self.splits[0]
        if split not in self.splits:
            raise SettingError(f"split {split} (--split): {self.name} has {', '.join(self.splits)}. Give one of these.")
        self.folder, self.split, self.score_threshold = Path(folder), split, SCORE_THRESHOLD
        self.image_names = {}
        self.open()

    @abstractmethod
    def open(self) -> None:
        """Find the files of the split and set what the class documents, most of it by `_annotated`."""

    def dataset(self) -> Dataset:
        """The images that are predicted, with the benchmark's classes.

        Raises:
            DataError: An image is not there, or an object cannot be used.
        """
        return to_data(self.contents, skip_invalid=self.skip_invalid)

    @abstractmethod
    def _score(self, results: Results, say: Say) -> list[Section]: ...

    def _submit(self, results: Results, path: Path) -> None:
        raise NotImplementedError

    def _read(self, path: Path) -> Iterable[dict[str, Any]]:
        return read_records(path)

    def score(self, records: Iterable[dict[str, Any]], say: Say = say_nothing) -> list[Section]:
        """Score predictions by the benchmark's rules.

        Args:
            records: COCO results, of `read` or of a model.
            say: Called with what is being done.

        Raises:
            SettingError: Only the benchmark's server knows the ground truth.
            DataError: A record cannot be used, or none has what is scored.
        """
        if not self.public:
            raise SettingError(f"{self.name} {self.split}: the ground truth is not public, so nothing can be scored.")
        return self._score(self.parse(records), say)

    def submit(self, records: Iterable[dict[str, Any]], path: Path) -> None:
        """Write what the server takes.

        Args:
            records: As for `score`.
            path: The file or folder, see `submits`.

        Raises:
            SettingError: There is no server.
            DataError: A record cannot be used.
        """
        if self.submits is None:
            raise SettingError(
                f"submission {path} (--submission): {self.name} {self.split} has no server. Leave it out."
            )
        self._submit(self.parse(records), path)

    def require_submittable(self) -> None:  # noqa: B027 (most have nothing to refuse)
        """Raise what keeps a model's predictions from being submitted, before they are made."""

    def read(self, path: Path) -> Results:
        """Predictions from a COCO results file, or in the format that the server takes.

        Raises:
            DataError: They cannot be read, or not scored.
        """
        of_coco = path.is_file() and path.suffix == ".json" and not self.own_json
        return self.parse(read_records(path) if of_coco else self._read(path), source=path.name)

    def find_file(self, *places: Path) -> Path:
        """The first of the places where a file of the split may be.

        Raises:
            DataError: It is in none of them.
        """
        for place in places:
            if place.is_file():
                return place
        raise DataError(
            f"{places[0]}: the file of {self.title}, split {self.split}, is not there. Unpack it into {self.folder}, "
            f"so that it holds {self.layout}."
        )

    def parse(self, records: Iterable[dict[str, Any]], source: str = "results") -> Results:
        """Predictions checked against the benchmark's images and classes; a `source` names them in messages."""
        return Results.parse(records, self.known, source=source)

    def _annotated(
        self, contents: Contents, known: Annotations | None = None, *, public: bool = True, coco: bool = True
    ) -> None:
        """Set what follows from the annotations.

        Args:
            contents: What a reader found.
            known: None: as the contents have it.
            public: Whether the ground truth is there.
            coco: Whether it is objects as COCO has them.
        """
        known = known or Annotations.parse(contents.coco, source=contents.source.name)
        self.source, self.contents, self.known, self.public = str(contents.source), contents, known, public
        self.truth = known if public and coco else None
        self.counts = {"images": len(known.sizes)} | ({"objects": len(known.objects)} if public else {})


def complete(contents: Contents) -> Contents:
    """The contents themselves; DataError if an object had to be left out."""
    if contents.skipped:
        raise DataError(f"{contents.skipped[0]}. Correct the file, or unpack it again.")
    return contents


def part_of(truth: Annotations, results: Results, image_ids: Collection[int]) -> tuple[Annotations, Results]:
    """The ground truth and the predictions of some images."""
    sizes = {image_id: size for image_id, size in truth.sizes.items() if image_id in image_ids}
    objects = [one for one in truth.objects if one["image_id"] in sizes]
    part = replace(truth, sizes=sizes, objects=objects)
    return part, results.where(lambda record: record["image_id"] in sizes)


def iou_types_given(results: Results, iou_types: Sequence[IouTypes]) -> Sequence[IouTypes]:
    """Of what a benchmark scores, what the predictions have; all of it where there is no prediction at all.

    Raises:
        DataError: They have nothing of it.
    """
    require_any(results, list(dict.fromkeys(field_of(iou_type) for iou_type in iou_types)), "Use weights that find it.")
    given = [
        iou_type for iou_type in iou_types if any(record.get(field_of(iou_type)) is not None for record in results)
    ]
    return given or iou_types


def require_any(results: Sequence[dict[str, Any]], fields: Sequence[str], remedy: str) -> None:
    """Refuse predictions that have nothing of what is scored; no prediction at all is a valid result.

    Args:
        results: The predictions.
        fields: Of which one prediction at least must have one.
        remedy: A sentence on what to do.

    Raises:
        DataError: None has any.
    """
    if results and not any(record.get(field) is not None for record in results for field in fields):
        needed = " or ".join(f"`{field}`" for field in fields)
        raise DataError(
            f"results: {counted(len(results), 'prediction')} without {needed}, which is what the benchmark scores. "
            f"{remedy}"
        )


def list_of_records(source: str, content: Any) -> list[dict[str, Any]]:
    """What a JSON file holds, if it is a list of objects; DataError otherwise."""
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        raise DataError(f"{source}: must be a list of records. Write or unpack the file again.")
    return content


def require_images(source: object, names: Collection[str], found: Collection[str], remedy: str) -> None:
    """Refuse results in which an image of the split has no part.

    Args:
        source: Where the results are, for messages.
        names: Of all images.
        found: Of those with results.
        remedy: A sentence on what to do.

    Raises:
        DataError: Naming the first image.
    """
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(
            f"{source}: holds nothing of {len(missing)} of {counted(len(names), 'image')}, {missing[0]} first. {remedy}"
        )


def find_in_archive(path: Path, names: Sequence[str], layout: str) -> Place:
    """The folder that holds one of some files, in a zip file or a folder: the outermost one or one in it.

    Args:
        path: The zip file or the folder.
        names: The files of which it should hold at least one.
        layout: All files it should hold, for the message.

    Raises:
        DataError: It is neither a zip file nor a folder, none of the files is in it, or some are in several folders.
    """
    if not path.is_dir() and not zipfile.is_zipfile(path):
        there = "is neither a zip file nor a folder" if path.exists() else "there is no such file or folder"
        raise DataError(f"{path}: {there}, but results of this benchmark are {layout}. Give these.")
    root = path if path.is_dir() else zipfile.Path(path)
    places = [root, *(inside for inside in root.iterdir() if inside.is_dir())]
    holding = [place for place in places if any((place / name).is_file() for name in names)]
    if not holding:
        raise DataError(
            f"{path}: holds no {' or '.join(names[:NAMED])}, but results of this benchmark are {layout}. Add it."
        )
    if len(holding) > 1:
        raise DataError(f"{path}: there are results in {holding[0]} and in {holding[1]}. Take one of them out.")
    return holding[0]


def write_archive(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write a zip file, whole or not at all.

    Args:
        path: The file; folders on the way are made.
        members: Name and content of each file in it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
