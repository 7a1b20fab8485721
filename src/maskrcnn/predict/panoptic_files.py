"""Files of COCO's panoptic format (https://cocodataset.org/#format-results): annotated segments to score against, and
predicted ones read and written, as a JSON file and beside it a folder of the same name with a PNG file per image."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ..data.dataset import Dataset
from ..data.images import image_size
from ..data.readers.coco_panoptic import LARGEST_ID, segment_folder
from ..data.readers.coco_records import is_id
from ..data.segments import read_segment_ids
from ..errors import DataError
from ..evaluation.annotations import Size
from ..evaluation.panoptic_quality import (
    VOID,
    PanopticTruth,
    SegmentClass,
    best_first,
    paint_label_map,
    panoptic_sections,
)
from ..evaluation.report import Report, library_versions
from ..evaluation.sections import Say, Section, say_nothing
from ..ops.files import read_json, write_json
from ..structures.panoptic import encode_ids
from ..structures.regions import find_regions


def panoptic_truth(
    file: Path, contents: Mapping[str, Any], *, image_ids: Collection[int] | None = None
) -> PanopticTruth:
    """The annotated segments of a file; images without a list of segments are not scored.

    Args:
        file: The JSON file.
        contents: What it holds: of `parse_coco`.
        image_ids: Only these images.

    Raises:
        DataError: The folder of segments is not there, or a record cannot be used.
    """
    folder = segment_folder(file)
    shapes = {image["id"]: (image.get("height"), image.get("width")) for image in contents["images"]}
    classes = {
        category["id"]: SegmentClass(str(category.get("name", category["id"])), category.get("isthing", 1) == 1)
        for category in contents["categories"]
    }
    annotated: dict[int, dict[str, Any]] = {}
    for annotation in contents.get("annotations", []):
        image_id = annotation.get("image_id")
        if image_id not in shapes or image_id in annotated:
            wrong = "which is listed twice" if image_id in annotated else "which no image of the file has"
            raise DataError(f"{file}: a list of segments has image_id {image_id!r}, {wrong}. Correct it.")
        if image_ids is None or image_id in image_ids:
            annotated[image_id] = annotation
            _check_segments(file, annotation, image_id)
            unknown = {segment["category_id"] for segment in annotation["segments_info"]} - classes.keys()
            if unknown:
                raise DataError(
                    f"{file}: image {image_id}: a segment has the unknown category_id {min(unknown)}. Correct it."
                )
    sizes = {image_id: _size(shapes[image_id], folder / annotated[image_id]["file_name"]) for image_id in annotated}

    def read(image_id: int) -> tuple[np.ndarray, list[dict[str, Any]]]:
        ids = read_segment_ids(folder / annotated[image_id]["file_name"], sizes[image_id])
        return ids, [_completed(segment, ids) for segment in annotated[image_id]["segments_info"]]

    return PanopticTruth(file.name, sizes, classes, read)


def read_panoptic_results(path: Path, names: Mapping[int, str]) -> list[dict]:
    """Predicted segments of the official format as COCO results with a mask each.

    Args:
        path: The JSON file, or a folder with one JSON file. A list of COCO results in it is returned as it is.
        names: Of the images that are scored, by their ids; their segments may go by either.

    Raises:
        DataError: An image has no prediction or two, or its segments in the JSON file and in its PNG file differ.
    """
    file = _only_json(path) if path.is_dir() else path
    contents = read_json(file)
    if isinstance(contents, list):
        return contents
    annotations = contents.get("annotations") if isinstance(contents, dict) else None
    if not isinstance(annotations, list) or not all(isinstance(one, dict) for one in annotations):
        raise DataError(
            f"{file}: has no list `annotations` of segments. Give a results file of COCO's panoptic format."
        )
    folder = segment_folder(file)
    by_image = _by_image(file, annotations, names)
    missing = [name for image_id, name in names.items() if image_id not in by_image]
    if missing:
        raise DataError(
            f"{file}: there is no prediction for the image {missing[0]} ({len(missing)} of {len(names)} have none). "
            "Every image needs its list of segments, if only an empty one."
        )
    return [record for image_id in names for record in _read_segments(file, folder, image_id, by_image[image_id])]


def write_panoptic_results(
    path: Path, records: Sequence[dict], sizes: Mapping[int, Size], names: Mapping[int, str], *, by_name: bool = False
) -> None:
    """Write `path`.json and a folder `path` of PNG files, as the servers take them; masks are painted by falling score.

    Args:
        path: With or without the ending.
        records: COCO results with masks.
        sizes: (height, width) of the images by their ids; each gets its PNG file.
        names: Of the images, and of their PNG files.
        by_name: The official `image_id` is the image's name.
    """
    folder = path.with_suffix("") if path.suffix == ".json" else path
    folder.mkdir(parents=True, exist_ok=True)
    by_image: dict[int, list[dict]] = {image_id: [] for image_id in sizes}
    for record in records:
        by_image[record["image_id"]].append(record)
    annotations = []
    for image_id, size in sizes.items():
        painted, segments = _paint_segments(by_image[image_id], size)
        file_name = f"{names[image_id]}.png"
        Image.fromarray(encode_ids(torch.from_numpy(painted))).save(folder / file_name)
        shown = names[image_id] if by_name else image_id
        annotations.append({"image_id": shown, "file_name": file_name, "segments_info": segments})
    write_json(folder.with_name(f"{folder.name}.json"), {"annotations": annotations})


def _paint_segments(records: Sequence[dict], size: Size) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """[h, w] int32 ids, and the `segments_info` of those that have a pixel."""
    kept = best_first(records, score_threshold=0)
    painted = paint_label_map([record["segmentation"] for record in kept], size)
    areas = np.bincount(painted.ravel(), minlength=len(kept) + 1).tolist()
    return painted, [
        {"id": number, "category_id": record["category_id"], "area": areas[number], "iscrowd": 0}
        for number, record in enumerate(kept, start=1)
        if areas[number]
    ]


def _by_image(file: Path, annotations: list[dict[str, Any]], names: Mapping[int, str]) -> dict[int, dict[str, Any]]:
    known: dict[int | str, int] = {image_id: image_id for image_id in names}
    known |= {name: image_id for image_id, name in names.items()}
    by_image: dict[int, dict[str, Any]] = {}
    for annotation in annotations:
        shown = annotation.get("image_id")
        if not isinstance(shown, int | str) or shown not in known:
            raise DataError(
                f"{file}: image_id {shown!r} is not among the {len(names)} images that are scored. Give results of "
                "these images."
            )
        if known[shown] in by_image:
            raise DataError(f"{file}: image_id {shown!r} has two lists of segments. Keep one of them.")
        by_image[known[shown]] = annotation
    return by_image


def _only_json(folder: Path) -> Path:
    files = sorted(folder.glob("*.json"))
    if len(files) != 1:
        raise DataError(f"{folder}: holds {len(files)} JSON files, but one is needed. Give the results file itself.")
    return files[0]


def _check_segments(file: Path, annotation: dict[str, Any], image: int | str) -> None:
    name, segments = annotation.get("file_name"), annotation.get("segments_info")
    if not isinstance(name, str) or not isinstance(segments, list):
        raise DataError(
            f"{file}: the segments of image {image}: `file_name` must be the name of a PNG file and "
            "`segments_info` a list of records. Export the file again."
        )
    for segment in segments:
        number, category = segment.get("id"), segment.get("category_id")
        if not is_id(number) or not VOID < number <= LARGEST_ID or not is_id(category):
            raise DataError(
                f"{file}: image {image}: a segment has the id {number!r} and the category_id {category!r}, but the "
                f"id must be a whole number from 1 to {LARGEST_ID} and the category_id one, too. Correct it."
            )


def _completed(segment: dict[str, Any], ids: np.ndarray) -> dict[str, Any]:
    area = segment.get("area")
    counted = int((ids == segment["id"]).sum()) if area is None else area
    return {**segment, "area": counted, "iscrowd": segment.get("iscrowd", 0)}


def _size(shape: tuple[int | None, int | None], file: Path) -> tuple[int, int]:
    height, width = shape
    if height is None or width is None:
        return image_size(file)
    return height, width


def _read_segments(file: Path, folder: Path, image_id: int, annotation: dict[str, Any]) -> list[dict]:
    """The records of one image, all with the score 1."""
    name = annotation["image_id"]
    _check_segments(file, annotation, name)
    labels = {segment["id"]: segment["category_id"] for segment in annotation["segments_info"]}
    areas = find_regions(read_segment_ids(folder / annotation["file_name"]))
    regions = {region.value: region for region in areas if region.value != VOID}
    for where, elsewhere, numbers in (
        ("the PNG file", "`segments_info`", regions.keys() - labels.keys()),
        ("`segments_info`", "the PNG file", labels.keys() - regions.keys()),
    ):
        if numbers:
            raise DataError(
                f"{file}: image {name}: segment {min(numbers)} is in {where} but not in {elsewhere}. Write both again."
            )
    return [
        {"image_id": image_id, "category_id": labels[value], "score": 1.0, "segmentation": region.rle()}
        for value, region in regions.items()
    ]


def has_segments(data: Dataset) -> bool:
    """Whether every pixel's segment is annotated in images of a dataset."""
    return any(record.segments is not None for record in data.records)


def score_segments(data: Dataset, records: Sequence[dict], say: Say = say_nothing) -> list[Section]:
    """Score predicted segments.

    Args:
        data: One that `has_segments`; only its images count.
        records: As `to_segment_results` makes them.
        say: As for `panoptic_sections`.

    Raises:
        DataError: As `panoptic_truth` and `PanopticTruth.parse`.
    """
    image_ids = {record.image_id for record in data.records}
    assert data.coco is not None  # segments are scored by the list they were read from
    truth = panoptic_truth(data.source, data.coco, image_ids=image_ids)
    return panoptic_sections(truth, truth.parse(records), say)


def score_saved_segments(
    file: Path, contents: Mapping[str, Any], results: Path | str | Iterable[dict], say: Say = say_nothing
) -> Report:
    """Score segments that were saved; no image is needed.

    Args:
        file: Annotated segments.
        contents: What it holds: of `parse_coco`.
        results: Predictions in COCO's panoptic format, or a file or list of COCO results.
        say: As for `panoptic_sections`.

    Raises:
        DataError: As `panoptic_truth`, `read_panoptic_results` and `PanopticTruth.parse`.
    """
    truth = panoptic_truth(file, contents)
    if isinstance(results, str | Path):
        source, results = Path(results).name, read_panoptic_results(Path(results), image_names(contents, truth))
        predicted = truth.parse(results, source=source)
    else:
        predicted = truth.parse(results)
    annotated = contents.get("annotations", [])
    facts = {
        "annotations": file.name,
        "images": len(annotated),
        "objects": sum(len(one["segments_info"]) for one in annotated),
        "predictions": len(predicted),
        "versions": library_versions(),
    }
    return Report(tuple(panoptic_sections(truth, predicted, say)), facts, predicted)


def image_names(contents: Mapping[str, Any], truth: PanopticTruth) -> dict[int, str]:
    """Names of the annotated images' files, without their endings, by their ids."""
    images = {image["id"]: image for image in contents["images"]}
    return {image_id: Path(images[image_id].get("file_name", str(image_id))).stem for image_id in truth.sizes}
