"""LVIS: boxes and masks of more than 1,200 classes (https://www.lvisdataset.org)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster

from ..data.readers.lvis import read_lvis
from ..errors import DataError
from ..evaluation.annotations import Annotations
from ..evaluation.coco import AREAS, IOU_TYPES, TITLES, Curves, mean_of_known, none_where_undefined, scores_of
from ..evaluation.coco_input import silent
from ..evaluation.results import IouType, Results
from ..evaluation.sections import Say, Section, say_nothing
from .benchmark import Benchmark, iou_types_given

THRESHOLDS = np.linspace(0.5, 0.95, 10)
DETECTIONS = 300
"""Detections that count in each image, over all classes."""
FREQUENCIES = {"r": "rare", "c": "common", "f": "frequent"}
"""In at most 10, at most 100 and more training images."""
PROTOCOL = (
    "LVIS AP and AR at IoU 0.50:0.05:0.95, the 300 best detections of each image over all classes; detections of "
    "classes that were not looked for in the image are dropped, unmatched ones of classes that are not annotated "
    "exhaustively there do not count (lvis 0.5.3)"
)
LAYOUT = "lvis_{version}_val.json (or in annotations/), with COCO's train2017/, val2017/ and test2017/ beside it"


@dataclass(frozen=True)
class LvisTruth:
    """Ground truth that says what is known of each image.

    Args:
        annotations: Images, classes and objects.
        absent: By image, the classes that are known not to be in it.
        incomplete: By image, the classes of which not all objects are annotated.
        frequencies: "r", "c" or "f" of each class.
    """

    annotations: Annotations
    absent: dict[int, frozenset[int]]
    incomplete: dict[int, frozenset[int]]
    frequencies: dict[int, str]

    @classmethod
    def parse(cls, content: Mapping[str, Any], annotations: Annotations) -> LvisTruth:
        """The ground truth of LVIS.

        Args:
            content: Of its JSON file.
            annotations: What the file says in COCO's terms.

        Raises:
            DataError: An image or a class lacks what LVIS's files say of it.
        """
        source = annotations.source
        for image in content["images"]:
            for field in ("neg_category_ids", "not_exhaustive_category_ids"):
                if not isinstance(image.get(field), list):
                    raise DataError(
                        f"{source}: image {image['id']}: `{field}` is {image.get(field)!r}, but LVIS scores need the "
                        "list of classes. Give LVIS's own annotation file."
                    )
        for category in content["categories"]:
            if category.get("frequency") not in FREQUENCIES:
                raise DataError(
                    f"{source}: category {category['id']} ({category['name']}): `frequency` is "
                    f"{category.get('frequency')!r}, but must be one of {', '.join(FREQUENCIES)}. Give LVIS's own file."
                )
        return cls(
            annotations,
            {image["id"]: frozenset(image["neg_category_ids"]) for image in content["images"]},
            {image["id"]: frozenset(image["not_exhaustive_category_ids"]) for image in content["images"]},
            {category["id"]: category["frequency"] for category in content["categories"]},
        )


def lvis_sections(
    truth: LvisTruth, results: Results, *, iou_types: Sequence[IouType] = IOU_TYPES, say: Say = say_nothing
) -> list[Section]:
    """Score predictions as LVIS's own evaluator does (https://github.com/lvis-dataset/lvis-api, lvis/eval.py).

    Args:
        truth: What is known of each image.
        results: May be empty.
        iou_types: "bbox" boxes, "segm" masks; the size of an object is that of its mask in the latter.
        say: Called with what is being scored.

    Returns:
        Of each AP, AP50, AP75, APs, APm, APl, APr, APc, APf, AR@300, ARs@300, ARm@300, ARl@300, and AP, AP50 and
        AP75 of each class that has objects; None where there is nothing to find.
    """
    return [_section(truth, results.of_type(iou_type), iou_type, say) for iou_type in iou_types]


def _section(truth: LvisTruth, records: list[dict], iou_type: IouType, say: Say) -> Section:
    objects = _objects_by_class(truth, iou_type)
    found = _records_by_class(truth, records, {category: _images_of(each) for category, each in objects.items()})
    precision = np.full((len(THRESHOLDS), 101, len(truth.frequencies), len(AREAS), 1), -1.0)
    recall = np.full((len(THRESHOLDS), *precision.shape[2:]), -1.0)
    for place, category in enumerate(sorted(truth.frequencies)):
        if category in objects:
            say(f"{TITLES[iou_type]}: class {place + 1} of {len(truth.frequencies)}")
            precision[:, :, place], recall[:, place] = _score_class(
                truth, category, objects[category], found[category], iou_type
            )
    scores = scores_of(Curves(precision, recall, THRESHOLDS), truth.annotations, [DETECTIONS], list(AREAS))
    frequencies = np.array([truth.frequencies[category] for category in sorted(truth.frequencies)])
    numbers = {name: value for name, value in scores.numbers.items() if name.startswith("AP")}
    numbers |= {f"AP{name}": mean_of_known(precision[:, :, frequencies == name, 0]) for name in FREQUENCIES}
    numbers |= {f"AR{name}@{DETECTIONS}": mean_of_known(recall[..., area, 0]) for area, name in enumerate(AREAS)}
    per_class = {name: row for name, row in scores.per_class.items() if row["AP"] != -1}
    return Section(iou_type, TITLES[iou_type], PROTOCOL, none_where_undefined(numbers), per_class)


def _objects_by_class(truth: LvisTruth, iou_type: IouType) -> dict[int, list[dict]]:
    """The objects of each class that has any, as the evaluator takes them."""
    annotations = truth.annotations
    masks: Iterable[dict | None] = annotations.masks if iou_type == "segm" else [None] * len(annotations.objects)
    classes = defaultdict(list)
    for found, mask in zip(annotations.complete, masks, strict=True):
        if found["area"] > 0:  # the official evaluator loses objects and detections without an area
            classes[found["category_id"]].append({**found, "iscrowd": 0, **({"segmentation": mask} if mask else {})})
    return classes


def _images_of(objects: list[dict]) -> set[int]:
    return {found["image_id"] for found in objects}


def _records_by_class(
    truth: LvisTruth, records: list[dict], present: dict[int, set[int]]
) -> defaultdict[int, list[dict]]:
    """The records of each class that count: the best of each image, of classes that were looked for there.

    Args:
        present: By class, the images with objects of it.
    """
    images = defaultdict(list)
    for record in records:
        images[record["image_id"]].append(record)
    classes = defaultdict(list)
    for image_id, of_image in images.items():
        if len(of_image) > DETECTIONS:
            of_image = sorted(of_image, key=lambda record: record["score"], reverse=True)[:DETECTIONS]
        for record in of_image:
            category = record["category_id"]
            if category in truth.absent[image_id] or image_id in present.get(category, ()):
                classes[category].append(record)
    return classes


def _score_class(
    truth: LvisTruth, category: int, objects: list[dict], records: list[dict], iou_type: IouType
) -> tuple[np.ndarray, np.ndarray]:
    """[T, R, A, 1] precisions by IoU threshold, recall and range of areas, and [T, A, 1] recalls of one class."""
    image_ids = sorted(_images_of(objects) | _images_of(records))
    images: list[dict] = []
    for image_id in image_ids:
        height, width = truth.annotations.sizes[image_id]
        known = {
            "neg_category_ids": [category] if category in truth.absent[image_id] else [],
            "not_exhaustive_category_ids": [category] if category in truth.incomplete[image_id] else [],
        }
        images.append({"id": image_id, "height": height, "width": width, **known})
    categories = [{"id": category, "name": "", "frequency": truth.frequencies[category]}]
    annotated = COCO({"images": images, "annotations": objects, "categories": categories}, print_function=silent)
    detected = annotated.loadRes(records)
    detected.dataset["annotations"] = [found for found in detected.dataset["annotations"] if found["area"] > 0]
    detected.createIndex()
    evaluation = COCOeval_faster(annotated, detected, iouType=iou_type, print_function=silent, lvis_style=True)
    evaluation.params.maxDets = [DETECTIONS]
    evaluation.params.areaRng = [list(limits) for limits in AREAS.values()]
    evaluation.params.areaRngLbl = list(AREAS)
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval["precision"][:, :, 0], evaluation.eval["recall"][:, 0]


class Lvis(Benchmark):
    """LVIS in a folder with the annotation file, or `annotations/`; of the tests only the images are known."""

    name, title, layout = "lvis", "LVIS v1", LAYOUT.format(version="v1")
    max_detections = DETECTIONS
    skip_invalid = True
    submits = "file"
    files: ClassVar[Mapping[str, str]] = {
        "val": "lvis_v1_val.json",
        "minival": "lvis_v1_minival.json",
        "train": "lvis_v1_train.json",
        "test-dev": "lvis_v1_image_info_test_dev.json",
        "test-challenge": "lvis_v1_image_info_test_challenge.json",
    }
    """The annotation file of each split."""
    splits = tuple(files)

    def open(self) -> None:
        name = self.files[self.split]
        contents = read_lvis(self.find_file(self.folder / name, self.folder / "annotations" / name))
        contents.coco.setdefault("annotations", [])
        hidden = self.split.startswith("test")
        # Errors and comparisons by COCO's rule would blame detections of classes that nobody looked for.
        self._annotated(contents, public=not hidden, coco=False)
        self._truth = None if hidden else LvisTruth.parse(contents.coco, self.known)

    def _score(self, results: Results, say: Say) -> list[Section]:
        assert self._truth is not None, "the ground truth is public"
        return lvis_sections(self._truth, results, iou_types=iou_types_given(results, IOU_TYPES), say=say)

    def _submit(self, results: Results, path: Path) -> None:
        results.write(path, "segm")  # the server takes masks


class LvisV05(Lvis):
    """The first version."""

    name, title, layout = "lvis-v0.5", "LVIS v0.5", LAYOUT.format(version="v0.5")
    files = {"val": "lvis_v0.5_val.json", "train": "lvis_v0.5_train.json", "test": "lvis_v0.5_image_info_test.json"}
    splits = tuple(files)
