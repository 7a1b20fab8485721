"""Writers of the formats in which annotation tools take objects to correct: a folder with the images and one format."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import numpy as np
import shapely
import yaml

from ..ops.files import write_json, write_text

DECIMALS = 2
"""Of a pixel, in all files."""
LABELME = "5.5.0"


@dataclass(frozen=True)
class Outlined:
    """An object as annotation tools draw it.

    Args:
        label: Its class, counted from 0.
        box: x1, y1, x2, y2 in pixels.
        score: From 0 to 1.
        parts: Its polygons with their holes, in continuous pixels, the largest first; none: only the box is known.
        keypoints: x, y, score of each in turn, in COCO's whole pixels; none: there are none.
    """

    label: int
    box: tuple[float, float, float, float]
    score: float
    parts: tuple[shapely.Polygon, ...] = ()
    keypoints: tuple[float, ...] = ()

    @property
    def rings(self) -> list[list[list[float]]]:
        """The outer x, y of each part, without the hole that some tools cannot draw."""
        return [_points(part.exterior) for part in self.parts]


@dataclass(frozen=True)
class OutlinedImage:
    """An image and its objects.

    Args:
        source: Its file.
        name: What the file is called in the folder; all differ, also without their endings.
        size: (height, width) of it.
        objects: What is in it.
    """

    source: Path
    name: str
    size: tuple[int, int]
    objects: tuple[Outlined, ...]


@dataclass(frozen=True)
class Outlines:
    """Annotated images.

    Args:
        images: All of them.
        categories: One for each class, as COCO has it: `id`, `name` and perhaps `keypoints` and so on.
    """

    images: Sequence[OutlinedImage]
    categories: Sequence[dict[str, Any]]

    @property
    def names(self) -> list[str]:
        """Of the classes."""
        return [category["name"] for category in self.categories]


@dataclass(frozen=True)
class AnnotationFormat:
    """A format that tools read.

    Args:
        images: Folder for the images inside the one that is written.
        write: Writes all but the images.
    """

    images: str
    write: Callable[[Outlines, Path], None]


def write_annotations(
    outlines: Outlines, folder: Path, form: AnnotationFormat, say: Callable[[int], None] = lambda _: None
) -> None:
    """Write a folder that a tool opens: copies of the images, and what is in them.

    Args:
        outlines: What is written.
        folder: Made if it is not there.
        form: One of `ANNOTATION_FORMATS`.
        say: Called with 1 for each image that is copied.
    """
    (folder / form.images).mkdir(parents=True, exist_ok=True)
    for image in outlines.images:
        shutil.copyfile(image.source, folder / form.images / image.name)
        say(1)
    form.write(outlines, folder)


def _coco(outlines: Outlines, folder: Path) -> None:
    images = [
        {"id": number, "file_name": image.name, "height": image.size[0], "width": image.size[1]}
        for number, image in enumerate(outlines.images, start=1)
    ]
    pairs = [(number, one) for number, image in enumerate(outlines.images, start=1) for one in image.objects]
    annotations = [
        {"id": place, "image_id": number, **_coco_object(one, outlines.categories)}
        for place, (number, one) in enumerate(pairs, start=1)
    ]
    contents = {"images": images, "categories": list(outlines.categories), "annotations": annotations}
    write_json(folder / "train.json", contents)


def _coco_object(one: Outlined, categories: Sequence[dict[str, Any]]) -> dict[str, Any]:
    x1, y1, x2, y2 = one.box
    area = sum(shapely.Polygon(ring).area for ring in one.rings) if one.parts else (x2 - x1) * (y2 - y1)
    found = {
        "category_id": categories[one.label]["id"],
        "bbox": [round(side, DECIMALS) for side in (x1, y1, x2 - x1, y2 - y1)],
        "area": round(area, DECIMALS),
        "iscrowd": 0,
        "segmentation": [[value for point in ring for value in point] for ring in one.rings],
        "score": one.score,
    }
    if one.keypoints:
        points = np.reshape(one.keypoints, (-1, 3))
        found["keypoints"] = [value for x, y, _ in points.round(DECIMALS).tolist() for value in (x, y, 2)]
        found["num_keypoints"] = len(points)
    return found


def _yolo(outlines: Outlines, folder: Path) -> None:
    described: dict[str, Any] = {"train": "images/train", "names": dict(enumerate(outlines.names))}
    points = outlines.categories[0].get("keypoints", []) if outlines.categories else []
    if points:
        pairs = {first - 1: other - 1 for first, other in outlines.categories[0].get("flip_pairs", [])}
        pairs |= {other: first for first, other in pairs.items()}
        described["kpt_shape"] = [len(points), 3]
        described["flip_idx"] = [pairs.get(place, place) for place in range(len(points))]
        described["kpt_names"] = {label: list(points) for label in range(len(outlines.names))}
    dumped = yaml.safe_dump(described, sort_keys=False, allow_unicode=True)
    write_text(folder / "data.yaml", dumped)
    for image in outlines.images:
        lines = [_yolo_line(one, image.size, keypoints=bool(points)) for one in image.objects]
        write_text(folder / "labels" / "train" / f"{Path(image.name).stem}.txt", "".join(lines))


def _yolo_line(one: Outlined, size: tuple[int, int], *, keypoints: bool) -> str:
    """The class and shares of the width and height: a box and keypoints, or the largest outline, or a box."""
    sides = size[1], size[0]
    x1, y1, x2, y2 = one.box
    numbers = [(x1 + x2) / 2 / sides[0], (y1 + y2) / 2 / sides[1], (x2 - x1) / sides[0], (y2 - y1) / sides[1]]
    if keypoints:
        for x, y, _ in np.reshape(one.keypoints, (-1, 3)).tolist():
            numbers += [x / sides[0], y / sides[1], 2]
    elif one.parts:
        numbers = [value / side for point in one.rings[0] for value, side in zip(point, sides, strict=True)]
    return " ".join([str(one.label), *(f"{number:.8g}" for number in numbers)]) + "\n"


def _labelme(outlines: Outlines, folder: Path) -> None:
    write_text(folder / "labels.txt", "".join(f"{name}\n" for name in outlines.names))
    for image in outlines.images:
        shapes: list[dict[str, Any]] = []
        for group, one in enumerate(image.objects):
            x1, y1, x2, y2 = one.box
            kind, drawn = ("polygon", one.rings) if one.parts else ("rectangle", [[[x1, y1], [x2, y2]]])
            common: dict[str, Any] = {
                "label": outlines.names[one.label],
                "group_id": group if len(drawn) > 1 else None,
                "description": f"{one.score:.2f}",
                "shape_type": kind,
                "flags": {},
                "mask": None,
            }
            shapes += [{**common, "points": points} for points in drawn]
        content: dict[str, Any] = {
            "version": LABELME,
            "flags": {},
            "shapes": shapes,
            "imagePath": image.name,
            "imageData": None,
            "imageHeight": image.size[0],
            "imageWidth": image.size[1],
        }
        write_json(folder / f"{Path(image.name).stem}.json", content, indent=2)


def _cvat(outlines: Outlines, folder: Path) -> None:
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    labels = ElementTree.SubElement(ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task"), "labels")
    for name in outlines.names:
        ElementTree.SubElement(ElementTree.SubElement(labels, "label"), "name").text = name
    for number, image in enumerate(outlines.images):
        height, width = map(str, image.size)
        words = {"id": str(number), "name": image.name, "width": width, "height": height}
        element = ElementTree.SubElement(root, "image", words)
        for group, one in enumerate(image.objects, start=1):
            common = {"label": outlines.names[one.label], "source": "auto", "occluded": "0", "z_order": "0"}
            if len(one.parts) > 1:
                common["group_id"] = str(group)
            for ring in one.rings:
                points = ";".join(f"{x},{y}" for x, y in ring)
                ElementTree.SubElement(element, "polygon", {**common, "points": points})
            if not one.parts:
                sides = dict(zip(("xtl", "ytl", "xbr", "ybr"), map(str, one.box), strict=True))
                ElementTree.SubElement(element, "box", {**common, **sides})
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    write_text(folder / "annotations.xml", f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n')


def _label_studio(outlines: Outlines, folder: Path) -> None:
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", {"name": "image", "value": "$image"})
    for tag in ("PolygonLabels", "RectangleLabels"):
        labels = ElementTree.SubElement(view, tag, {"name": tag.lower(), "toName": "image"})
        for name in outlines.names:
            ElementTree.SubElement(labels, "Label", {"value": name})
    ElementTree.indent(view)
    write_text(folder / "label_config.xml", ElementTree.tostring(view, encoding="unicode") + "\n")
    tasks = []
    for image in outlines.images:
        found = [_label_studio_region(one, place, image, outlines.names) for place, one in enumerate(image.objects)]
        mean = sum(one.score for one in image.objects) / max(1, len(image.objects))
        predictions = [{"model_version": "maskrcnn", "score": round(mean, 6), "result": found}]
        place = {"image": f"/data/local-files/?d=images/{quote(image.name)}"}
        tasks.append({"data": place, "predictions": predictions})
    write_json(folder / "tasks.json", tasks)


def _label_studio_region(one: Outlined, place: int, image: OutlinedImage, names: Sequence[str]) -> dict[str, Any]:
    """The largest outline, or the box, in percent of the width and height."""
    height, width = image.size
    x1, y1, x2, y2 = one.box
    kind = "polygonlabels" if one.parts else "rectanglelabels"
    value: dict[str, Any] = {"x": 100 * x1 / width, "y": 100 * y1 / height, "rotation": 0}
    value |= {"width": 100 * (x2 - x1) / width, "height": 100 * (y2 - y1) / height}
    if one.parts:
        value = {"points": [[100 * x / width, 100 * y / height] for x, y in one.rings[0]], "closed": True}
    return {
        "id": f"object{place}",
        "type": kind,
        "from_name": kind,
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": one.score,
        "value": {**value, kind: [names[one.label]]},
    }


def _geojson(outlines: Outlines, folder: Path) -> None:
    for image in outlines.images:
        features = [
            {
                "type": "Feature",
                "geometry": _geometry(one),
                "properties": {
                    "objectType": "annotation",
                    "classification": {"name": outlines.names[one.label]},
                    "measurements": {"score": one.score},
                },
            }
            for one in image.objects
        ]
        content = {"type": "FeatureCollection", "features": features}
        write_json(folder / f"{Path(image.name).stem}.geojson", content)


def _geometry(one: Outlined) -> dict[str, Any]:
    parts = one.parts or (shapely.box(*one.box),)
    whole = parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
    rounded: dict[str, Any] = json.loads(shapely.to_geojson(shapely.transform(whole, lambda at: at.round(DECIMALS))))
    return rounded


def _points(ring: shapely.LinearRing) -> list[list[float]]:
    """x, y of the corners, each once."""
    points: list[list[float]] = shapely.get_coordinates(ring)[:-1].round(DECIMALS).tolist()
    return points


ANNOTATION_FORMATS = {
    "coco": AnnotationFormat("images", _coco),
    "yolo": AnnotationFormat("images/train", _yolo),
    "labelme": AnnotationFormat(".", _labelme),
    "cvat": AnnotationFormat("images", _cvat),
    "label-studio": AnnotationFormat("images", _label_studio),
    "geojson": AnnotationFormat(".", _geojson),
}
"""By the name on the command line."""
