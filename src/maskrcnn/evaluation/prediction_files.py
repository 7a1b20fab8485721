"""`predictions.json` of `maskrcnn predict` as COCO records: its images are found in a dataset by their names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PureWindowsPath
from typing import Any

from ..errors import DataError

NAMED = 5
"""How many images a message lists."""


PARTS = ("classes", "images", "failed")


def is_predictions(content: Any) -> bool:
    """Whether a JSON file's content is that of `predictions.json`."""
    return isinstance(content, dict) and all(isinstance(content.get(name), list) for name in PARTS)


def records_of_predictions(
    content: Mapping[str, Any], names: Mapping[int, str], categories: Mapping[int, str], source: str
) -> list[dict]:
    """COCO records of the images and classes of a dataset.

    Args:
        content: Of the file.
        names: File name of each of the dataset's images by its id.
        categories: Name of each of its categories by its id. They are found by name, without regard to case; one class
            on both sides matches whatever the names. Objects of other classes are left out, as `evaluate` does.
        source: The file, for messages.

    Raises:
        DataError: The images are not those of the dataset, each once, or no class is; or something is not as
            `predict_files` writes it.
    """
    try:
        return _records(content, names, categories, source)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{source}: an image or object in it is not as `maskrcnn predict` writes it ({type(error).__name__}: "
            f"{error!s:.80}). Predict again."
        ) from error


def _records(
    content: Mapping[str, Any], names: Mapping[int, str], categories: Mapping[int, str], source: str
) -> list[dict]:
    files = [str(image["file"]) for image in content["images"]]
    image_ids = _match_images(files, names, source)
    if len(files) < len(names):
        missing = [names[number] for number in names.keys() - set(image_ids)]
        raise DataError(
            f"{source}: has {len(files)} of the dataset's {len(names)} images; without {_some(missing)}. Those would "
            "count as if nothing was found. Predict all images, or score on a dataset of these images."
        )
    category_ids = _match_classes([str(one["name"]) for one in content["classes"]], categories, source)
    return [
        _record(found, image_id, category_ids[found["label"]])
        for image_id, image in zip(image_ids, content["images"], strict=True)
        for found in image["objects"]
        if found["label"] in category_ids
    ]


def _match_images(files: Sequence[str], names: Mapping[int, str], source: str) -> list[int]:
    """The id of each image: that of the same file name, and of several the one with most folders in common."""
    known: dict[str, list[int]] = defaultdict(list)
    for number, name in names.items():
        known[_parts(name)[0]].append(number)
    chosen: dict[int, str] = {}
    for file in files:
        there = known.get(_parts(file)[0], [])
        shared = {number: _common(_parts(file), _parts(names[number])) for number in there}
        best = [number for number in there if shared[number] == max(shared.values())]
        if len(best) != 1:
            reason = f"may be {_some([names[number] for number in best])}" if best else "is not one of the dataset's"
            raise DataError(f"{source}: the image {file} {reason}. Predict the very files of the dataset.")
        if best[0] in chosen:
            raise DataError(f"{source}: {chosen[best[0]]} and {file} are both {names[best[0]]}. Predict each once.")
        chosen[best[0]] = file
    return list(chosen)


def _match_classes(ours: Sequence[str], categories: Mapping[int, str], source: str) -> dict[int, int]:
    """Category id of each label that the dataset has."""
    if len(ours) == len(categories) == 1:
        return {0: next(iter(categories))}
    known = {name.casefold(): number for number, name in categories.items()}
    found = {label: known[name.casefold()] for label, name in enumerate(ours) if name.casefold() in known}
    if not found:
        raise DataError(
            f"{source}: its classes are {_some(ours)}, but those of the dataset are {_some([*categories.values()])}. "
            "Give predictions of a model that has learnt one of these."
        )
    return found


def _record(found: Mapping[str, Any], image_id: int, category_id: int) -> dict:
    x1, y1, x2, y2 = found["box"]
    record = {"image_id": image_id, "category_id": category_id, "score": found["score"]}
    record["bbox"] = [x1, y1, x2 - x1, y2 - y1]
    more = {"segmentation": found.get("mask"), "keypoints": found.get("keypoints")}
    return record | {name: value for name, value in more.items() if value is not None}


def _parts(name: str) -> list[str]:
    """The file and its folders, the file first; separators of any system."""
    return [*reversed(PureWindowsPath(name).parts)]


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    same = [one == other for one, other in zip(first, second, strict=False)]
    return (*same, False).index(False)


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    return ", ".join(listed[:NAMED]) + (", ..." if len(listed) > NAMED else "")
