"""Scalabel (https://doc.scalabel.ai/format.html), also BDD100K's format: frames with labels in one JSON file.

A file is a list of frames, or an object with `frames` and perhaps `config`. Of a label, `rle` is its mask, or else its
closed `poly2d`, or else its `box2d`; labels with none of these, such as lanes, are no objects. A crowd is what has the
attribute `crowd` or `ignored`, as in Scalabel's own conversion to COCO (`scalabel.label.to_coco`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from ...ops.files import read_json
from ...structures.coco_forms import is_number
from ..dataset import Contents
from .coco_folders import SPLITS, split_names, split_of
from .coco_records import is_id
from .contents import ContentsBuilder, Format, first_bytes

KIND = "labels of Scalabel"
FRAMES = re.compile(rb'^\s*(\[\s*\{(?=.*"name"\s*:)(?=.*"labels"\s*:)|\{.*"frames"\s*:\s*\[)', re.DOTALL)
GAP = 0.05
"""How far, in pixels, the corners that stand for a curve may be off it."""
Size = tuple[int, int]


@dataclass(frozen=True)
class Taxonomy:
    """What the categories of labels become.

    Args:
        names: Classes in the order of their category ids.
        renamed: Other names of classes.
        ignored: Class of each category whose labels need not be found.
        strict: Whether a label of an unknown category is an error; if not, it is left out.
    """

    names: tuple[str, ...]
    renamed: Mapping[str, str] = field(default_factory=dict)
    ignored: Mapping[str, str] = field(default_factory=dict)
    strict: bool = True


def is_scalabel(path: Path, split: str) -> bool:
    """Whether a path is a file of Scalabel, or a folder that holds one of a split."""
    return _is_file(path) if path.is_file() else _find(path, split) is not None


def read_scalabel(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split.

    The classes are those of the file's `config`, or else the categories of its labels, sorted.

    Args:
        path: The JSON file, or a folder with `train.json`, `val.json` and so on.
        split: "train", "val" or "test", for a folder.
        images: Folder of the images; None: `images/` beside the file with or without a folder of the split in it, or
            the file's own.

    Raises:
        DataError: Naming the file, the frame, the label, the value, the rule and the remedy.
    """
    file = path if path.is_file() else _find(path, split)
    if file is None:
        raise DataError(f"{path}: holds no file of Scalabel for the split `{split}`. Give the JSON file.")
    frames, config = load_frames(file)
    taxonomy = _taxonomy(file, frames, config)
    inside = [images] if images else _places(file, split_of(file))
    return frames_contents(
        file,
        frames,
        taxonomy,
        next((place for frame in frames for place in inside if (place / frame["name"]).is_file()), inside[0]),
        size=_size(file, "config", (config or {}).get("imageSize")),
    )


def load_frames(file: Path) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """The frames of a file sorted by name, and its `config`.

    Raises:
        DataError: It is no file of Scalabel, or a frame has no name or the name of another.
    """
    content = read_json(file, expected=KIND)
    config = content.get("config") if isinstance(content, dict) else None
    frames = content.get("frames") if isinstance(content, dict) else content
    if not isinstance(frames, list) or not isinstance(config, dict | None):
        raise DataError(f"{file}: must be a list of frames, or an object with `frames`. Export it again.")
    seen: set[str] = set()
    for place, frame in enumerate(frames):
        name = frame.get("name") if isinstance(frame, dict) else None
        if not isinstance(name, str) or not name or name in seen:
            wrong = "is there twice" if name in seen else "must be the name of an image"
            raise DataError(f"{file}: frame {place}: `name` {name!r:.60} {wrong}. Correct the file.")
        labels = frame.get("labels")
        if not isinstance(labels, list | None) or not all(isinstance(label, dict) for label in labels or []):
            raise DataError(f"{file}: frame {name}: `labels` must be a list of labels. Correct the file.")
        seen.add(name)
    return sorted(frames, key=lambda frame: frame["name"]), config


def frames_contents(
    source: Path, frames: Sequence[dict[str, Any]], taxonomy: Taxonomy, images: Path, *, size: Size | None = None
) -> Contents:
    """Frames in COCO's terms; annotations keep `attributes`.

    Args:
        source: The file, for messages.
        frames: Sorted by name.
        taxonomy: Of their labels.
        images: Folder of the images.
        size: (height, width) of images without a `size` of their own and without masks; None: read from the image.

    Raises:
        DataError: A frame's size is none, or a label's category is not known.
    """
    found = ContentsBuilder(taxonomy.names, source, images)
    for frame in frames:
        labels, name = frame.get("labels") or [], frame["name"]
        image = images / name
        own = _size(source, f"frame {name}", frame.get("size")) or _mask_size(labels) or size
        image_id = found.add_image(image, own or found.size_of(image))
        for place, label in enumerate(labels):
            with found.skipping(f"{source}: frame {name}: label {label.get('id', place)!r}"):
                fields = label_fields(label)
                category, ignored = class_of(label, taxonomy) if fields else ("", False)
                if category:
                    attributes = {**_attributes(label), **({"ignored": True} if ignored else {})}
                    crowd = bool(attributes.get("crowd")) or bool(attributes.get("ignored"))
                    found.add_object(image_id, category, crowd=crowd, attributes=attributes, **fields)
    return found.contents()


def class_of(label: Mapping[str, Any], taxonomy: Taxonomy) -> tuple[str, bool]:
    """The class of a label, "" for none, and whether it need not be found.

    Raises:
        ValueError: Its category is none of the taxonomy, which is strict.
    """
    category = label.get("category")
    if not isinstance(category, str):
        raise ValueError(f"`category` is {category!r:.60}, but must be a text")
    name = taxonomy.renamed.get(category, category)
    if name in taxonomy.names:
        return name, False
    if name in taxonomy.ignored:
        return taxonomy.ignored[name], True
    if taxonomy.strict:
        known = ", ".join([*taxonomy.names, *taxonomy.renamed, *taxonomy.ignored])
        raise ValueError(f"`category` {category!r} is not one of {known}")
    return "", False


def label_fields(label: Mapping[str, Any]) -> dict[str, Any]:
    """`segmentation` or `bbox` of a label as COCO has them; nothing if it is no object.

    Raises:
        ValueError: What is wrong with it, and the rule it breaks.
    """
    if label.get("rle") is not None:
        rle = label["rle"]
        if not isinstance(rle, dict) or not {"counts", "size"} <= rle.keys():
            raise ValueError(f"`rle` is {rle!r:.60}, but must have `counts` and `size`")
        return {"segmentation": {"size": rle["size"], "counts": rle["counts"]}}
    polygons = label.get("poly2d")
    if polygons is not None:
        if not isinstance(polygons, list) or not all(isinstance(polygon, dict) for polygon in polygons):
            raise ValueError("`poly2d` must be a list of polygons with `vertices`, `types` and `closed`")
        closed = [poly2d_polygon(polygon) for polygon in polygons if polygon.get("closed", True)]
        if closed:
            return {"segmentation": closed}
    box = label.get("box2d")
    if box is None:
        return {}
    sides = [box.get(name) if isinstance(box, dict) else None for name in ("x1", "y1", "x2", "y2")]
    if not all(map(is_number, sides)):
        raise ValueError(f"`box2d` {box!r:.80} must have the finite numbers x1, y1, x2, y2")
    x1, y1, x2, y2 = (float(side) for side in sides if side is not None)
    return {"bbox": [x1, y1, x2 - x1 + 1, y2 - y1 + 1]}  # Scalabel's boxes end with their last pixel


def poly2d_polygon(polygon: Mapping[str, Any]) -> list[float]:
    """Corners x, y, x, y, ... of a closed polygon.

    `types` has a letter for each vertex: L for a corner, C for a point of a cubic Bezier curve, of which there are
    three: two control points and the end.

    Raises:
        ValueError: What is wrong with it, and the rule it breaks.
    """
    vertices, types = polygon.get("vertices"), polygon.get("types")
    pairs = isinstance(vertices, list) and all(isinstance(v, list) and len(v) == 2 for v in vertices)
    if not pairs or not all(is_number(side) for vertex in vertices or [] for side in vertex) or len(vertices or []) < 3:
        raise ValueError("the `vertices` of `poly2d` must be at least 3 pairs of finite numbers x, y")
    points = np.array(vertices, dtype=np.float64)
    letters = "L" * len(points) if types is None else types
    if not isinstance(letters, str) or len(letters) != len(points) or set(letters) - {"L", "C"}:
        raise ValueError(f"`types` {letters!r:.60} must be an L or a C for each of the {len(points)} vertices")
    return [float(side) for side in np.concatenate(list(_corners(points, letters))).ravel()]


def _corners(points: np.ndarray, letters: str) -> Iterator[np.ndarray]:
    ring = np.concatenate([points, points[:1]])  # the last curve may end where the polygon begins
    yield ring[:1]
    place = 1
    while place < len(points):
        if letters[place] == "L":
            yield ring[place : place + 1]
            place += 1
        elif place + 2 <= len(points):
            yield _curve(ring[place - 1 : place + 3])
            place += 3
        else:
            raise ValueError("a curve of `poly2d` (C in `types`) lacks its end: it has two control points and an end")


def _curve(points: np.ndarray) -> np.ndarray:
    """[n, 2] points after the first on the cubic Bezier curve of [4, 2] points."""
    bend = float(np.abs(np.diff(points, 2, axis=0)).sum(axis=1).max())
    t = np.linspace(0, 1, min(100, max(2, math.ceil(math.sqrt(0.75 * bend / GAP)))) + 1)[1:, None]
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3)
    return sum((weight * point for weight, point in zip(weights, points, strict=True)), np.zeros(2))


def _attributes(label: Mapping[str, Any]) -> dict[str, Any]:
    attributes = label.get("attributes")
    return attributes if isinstance(attributes, dict) else {}


def _taxonomy(file: Path, frames: Sequence[dict[str, Any]], config: dict[str, Any] | None) -> Taxonomy:
    if config and config.get("categories"):
        return Taxonomy(tuple(_leaves(file, config["categories"])), strict=False)
    labels = [label for frame in frames for label in frame.get("labels") or []]
    objects = [label for label in labels if any(label.get(shape) is not None for shape in ("rle", "poly2d", "box2d"))]
    return Taxonomy(tuple(sorted({label["category"] for label in objects if isinstance(label.get("category"), str)})))


def _leaves(file: Path, categories: Any) -> Iterator[str]:
    """Names of the categories that have no others below them."""
    for category in categories if isinstance(categories, list) else [None]:
        if not isinstance(category, dict) or not isinstance(category.get("name"), str):
            raise DataError(f"{file}: `config`: `categories` must be a list of categories with a `name`. Correct it.")
        below = category.get("subcategories")
        yield from [category["name"]] if below is None else _leaves(file, below)


def _size(file: Path, what: str, size: Any) -> Size | None:
    if size is None:
        return None
    sides = (size.get("height"), size.get("width")) if isinstance(size, dict) else (None, None)
    if not all(is_id(side) and side > 0 for side in sides):
        raise DataError(f"{file}: {what}: the size {size!r:.60} must have a `height` and `width` above 0. Correct it.")
    return int(sides[0] or 0), int(sides[1] or 0)


def _mask_size(labels: Sequence[dict[str, Any]]) -> Size | None:
    sizes = [label["rle"].get("size") for label in labels if isinstance(label.get("rle"), dict)]
    return next(((s[0], s[1]) for s in sizes if isinstance(s, list) and len(s) == 2 and all(map(is_id, s))), None)


def _is_file(path: Path) -> bool:
    return path.suffix.lower() == ".json" and FRAMES.match(first_bytes(path)) is not None


def _find(folder: Path, split: str) -> Path | None:
    names = [f"{inside}{name}.json" for inside in ("", "annotations/", "labels/") for name in split_names(split)]
    return next((folder / name for name in names if _is_file(folder / name)), None)


def _places(file: Path, split: str) -> list[Path]:
    roots = [file.parent, *([file.parent.parent] if file.parent.name in ("annotations", "labels") else [])]
    inside = [*(f"images/{name}" for name in SPLITS[split]), *SPLITS[split], "images", "."]
    return [root / name for root in roots for name in inside]


FORMAT = Format("scalabel", "Scalabel", "train.json and val.json beside images/", is_scalabel, read_scalabel)
