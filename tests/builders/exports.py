"""Datasets in COCO's terms written as other tools write them, and the comparison of what is read back."""

import base64
import csv
import io
import json
import os
import shutil
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import numpy as np
import torch
import yaml
from faster_coco_eval.core import mask as coco_mask
from PIL import Image

from maskrcnn.data.dataset import Contents, Dataset
from maskrcnn.data.formats import read_dataset
from maskrcnn.data.readers.coco import to_data
from maskrcnn.ops.contours import trace_contour
from maskrcnn.structures.masks import tight_crop

SHARED = Path(os.environ.get("MASKRCNN_SHARED", Path(__file__).parents[2] / "../shared")) / "data"


def drawn_set(folder, *, count=3, size=(40, 60), keypoints=False, seed=0):
    """Generated images with objects of every kind of annotation: COCO's contents; the images lie in `folder`."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(1, count + 1):
        name = f"p{number}.png"
        Image.fromarray(random.integers(0, 255, (*size, 3), dtype=np.uint8)).save(folder / name)
        images.append({"id": number, "file_name": name, "height": size[0], "width": size[1]})
        if number == 1:
            continue  # an image without objects
        for place in range(2):
            x, y = random.integers(2, 20, 2).tolist()
            polygon = [[x, y, x + 11.5, y + 1, x + 12, y + 9.25, x + 3, y + 8]]
            fields = {"segmentation": polygon, "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": 1 + place, **fields})
            if keypoints:
                annotations[-1]["keypoints"] = [x + 1, y + 2.5, 2, 0, 0, 0, x + 4, y + 5, 1]
    categories = [{"id": number, "name": name} for number, name in ((1, "cat"), (2, "dog"))]
    if keypoints:
        categories = [{**each, "keypoints": ["nose", "left_ear", "right_ear"]} for each in categories]
    return {"images": images, "annotations": annotations, "categories": categories}


def real_set(name):
    """COCO's contents of a real dataset, objects with a polygon without their box, which is rounded; None: absent."""
    file = SHARED / name
    if not file.is_file():
        return None
    coco = json.loads(file.read_text())
    for found in coco["annotations"]:
        if found.get("segmentation"):
            found.pop("bbox", None)
    return coco


def without(coco, unwanted):
    """The contents without some annotations."""
    return {**coco, "annotations": [found for found in coco["annotations"] if not unwanted(found)]}


def is_drawn_at_once(found):
    """Whether an object is one polygon."""
    return isinstance(found.get("segmentation"), list) and len(found["segmentation"]) == 1


def each_image(coco):
    """Each image with its annotations and the names of their classes."""
    names = {category["id"]: category["name"] for category in coco["categories"]}
    objects = defaultdict(list)
    for found in coco["annotations"]:
        objects[found["image_id"]].append((found, names[found["category_id"]]))
    for image in coco["images"]:
        yield image, objects[image["id"]]


def copy_images(coco, images, folder):
    """Copy each image into a folder, and get their places there."""
    folder.mkdir(parents=True, exist_ok=True)
    for image in coco["images"]:
        shutil.copyfile(images / image["file_name"], folder / image["file_name"])


def write_yolo(coco, images, folder, split="train", kind="polygons"):
    """`data.yaml`, images/ and labels/; `kind` is polygons, boxes or keypoints."""
    copy_images(coco, images, folder / "images" / split)
    labels = folder / "labels" / split
    labels.mkdir(parents=True)
    names = [category["name"] for category in coco["categories"]]
    for image, objects in each_image(coco):
        scale = image["width"], image["height"]
        lines = [f"{names.index(name)} {yolo_numbers(found, scale, kind)}" for found, name in objects]
        if lines:
            (labels / image["file_name"]).with_suffix(".txt").write_text("\n".join(lines) + "\n")
    known = {"path": ".", "nc": len(names), "names": dict(enumerate(names))}
    if kind == "keypoints":
        known["kpt_shape"] = [len(coco["categories"][0]["keypoints"]), 3]
        known["kpt_names"] = {0: coco["categories"][0]["keypoints"]}
    path = folder / "data.yaml"
    known = {**(yaml.safe_load(path.read_text()) if path.is_file() else {}), **known, split: f"images/{split}"}
    path.write_text(yaml.safe_dump(known))


def yolo_numbers(found, scale, kind):
    if kind == "polygons":
        (polygon,) = found["segmentation"]
        return " ".join(repr(value / scale[place % 2]) for place, value in enumerate(polygon))
    x, y, width, height = found["bbox"]
    numbers = [(x + width / 2) / scale[0], (y + height / 2) / scale[1], width / scale[0], height / scale[1]]
    if kind == "keypoints":
        numbers += [value / (*scale, 1)[place % 3] for place, value in enumerate(found["keypoints"])]
    return " ".join(map(repr, numbers))


def write_labelme(coco, images, folder):
    """A JSON file beside each image; parts of an object have one `group_id`."""
    copy_images(coco, images, folder)
    (folder / "labels.txt").write_text("__ignore__\n" + "\n".join(each["name"] for each in coco["categories"]))
    for image, objects in each_image(coco):
        shapes = []
        for number, (found, name) in enumerate(objects):
            parts = labelme_parts(found)
            group = number if len(parts) > 1 else None
            flags = {"iscrowd": True} if found.get("iscrowd") else {}
            shapes += [{"label": name, "group_id": group, "flags": flags, **part} for part in parts]
        content = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": image["file_name"]}
        content |= {"imageData": None, "imageHeight": image["height"], "imageWidth": image["width"]}
        (folder / image["file_name"]).with_suffix(".json").write_text(json.dumps(content))


def labelme_parts(found):
    polygons = found.get("segmentation")
    if isinstance(polygons, dict):
        x, y, bitmap = crop_of(polygons)
        png = io.BytesIO()
        Image.fromarray(bitmap.astype(np.uint8)).save(png, "PNG")
        points = [[x, y], [x + bitmap.shape[1] - 1, y + bitmap.shape[0] - 1]]
        return [{"shape_type": "mask", "points": points, "mask": base64.b64encode(png.getvalue()).decode()}]
    if not polygons:
        x, y, width, height = found["bbox"]
        return [{"shape_type": "rectangle", "points": [[x + width, y], [x, y + height]]}]
    return [{"shape_type": "polygon", "points": [part[i : i + 2] for i in range(0, len(part), 2)]} for part in polygons]


def crop_of(segmentation):
    size = segmentation["size"]
    if isinstance(segmentation["counts"], list):
        segmentation = coco_mask.frPyObjects(segmentation, *size)
    return tight_crop(0, 0, coco_mask.decode(segmentation))


def write_cvat(coco, images, folder, subset=None):
    """`annotations.xml` beside images/."""
    copy_images(coco, images, folder / "images" / (subset or ""))
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    labels = SubElement(SubElement(SubElement(root, "meta"), "task"), "labels")
    for category in coco["categories"]:
        pieces = [(category["name"], None), *((name, category["name"]) for name in category.get("keypoints", []))]
        for name, parent in pieces:
            label = SubElement(labels, "label")
            SubElement(label, "name").text = name
            if parent:
                SubElement(label, "parent").text = parent
    keypoints = {category["name"]: category.get("keypoints") for category in coco["categories"]}
    for number, (image, objects) in enumerate(each_image(coco)):
        about = {"id": str(number), "name": image["file_name"], **({"subset": subset} if subset else {})}
        place = SubElement(root, "image", {**about, "width": str(image["width"]), "height": str(image["height"])})
        for group, (found, name) in enumerate(objects, start=1):
            add_cvat_object(place, found, name, group, keypoints[name])
    ElementTree.ElementTree(root).write(folder / "annotations.xml", encoding="utf-8", xml_declaration=True)


def add_cvat_object(place, found, name, group, names):
    polygons, about = found.get("segmentation"), {"label": name, "occluded": "0", "group_id": str(group)}
    if isinstance(polygons, dict):
        x, y, bitmap = crop_of(polygons)
        changes = np.flatnonzero(np.diff(bitmap.ravel().astype(np.int8), prepend=0, append=0))
        runs = np.diff(changes, prepend=0, append=bitmap.size)
        runs = runs[:-1] if runs[-1] == 0 else runs
        window = {"left": str(x), "top": str(y), "width": str(bitmap.shape[1]), "height": str(bitmap.shape[0])}
        shapes = [SubElement(place, "mask", {**about, "rle": ", ".join(map(str, runs.tolist())), **window})]
    elif polygons:
        shapes = [SubElement(place, "polygon", {**about, "points": cvat_points(part)}) for part in polygons]
    else:
        x, y, width, height = found["bbox"]
        corners = {"xtl": x, "ytl": y, "xbr": x + width, "ybr": y + height}
        shapes = [SubElement(place, "box", {**about, **{side: f"{value:.2f}" for side, value in corners.items()}})]
    if found.get("iscrowd"):
        SubElement(shapes[0], "attribute", {"name": "is_crowd"}).text = "true"
    if names and found.get("keypoints"):
        skeleton = SubElement(place, "skeleton", about)
        for point, (x, y, seen) in zip(names, np.reshape(found["keypoints"], (-1, 3)).tolist(), strict=True):
            state = {"outside": str(int(seen == 0)), "occluded": str(int(seen == 1))}
            SubElement(skeleton, "points", {"label": point, **state, "points": f"{x:.2f},{y:.2f}"})


def cvat_points(polygon):
    return ";".join(f"{x:.2f},{y:.2f}" for x, y in zip(polygon[::2], polygon[1::2], strict=True))


def write_via(coco, images, folder, form="project"):
    """One file of VIA beside the images; `form` is project, json or csv."""
    copy_images(coco, images, folder)
    metadata = {}
    for image, objects in each_image(coco):
        regions = [
            {"shape_attributes": via_shape(found), "region_attributes": via_attributes(found, name)}
            for found, name in objects
        ]
        record = {"filename": image["file_name"], "size": 1000, "regions": regions, "file_attributes": {}}
        metadata[f"{image['file_name']}1000"] = record
    options = {each["name"]: "" for each in coco["categories"]}
    attributes = {"region": {"class": {"type": "dropdown", "options": options, "default_options": {}}}, "file": {}}
    project = {"_via_settings": {"core": {"default_filepath": ""}}, "_via_img_metadata": metadata}
    if form == "csv":
        write_via_csv(folder / "via_region_data.csv", metadata)
    else:
        content = metadata if form == "json" else {**project, "_via_attributes": attributes}
        (folder / "via_region_data.json").write_text(json.dumps(content))


def write_via_csv(path, metadata):
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        names = ("filename", "file_size", "file_attributes", "region_count", "region_id")
        rows.writerow((*names, "region_shape_attributes", "region_attributes"))
        for record in metadata.values():
            regions = record["regions"] or [{"shape_attributes": {}, "region_attributes": {}}]
            for number, region in enumerate(regions):
                columns = [json.dumps(region[name]) for name in ("shape_attributes", "region_attributes")]
                rows.writerow((record["filename"], 1000, "{}", len(record["regions"]), number, *columns))


def via_attributes(found, name):
    return {"class": name, **({"iscrowd": "1"} if found.get("iscrowd") else {})}


def via_shape(found):
    polygons = found.get("segmentation")
    if not polygons:
        return {"name": "rect", **dict(zip(("x", "y", "width", "height"), found["bbox"], strict=True))}
    (polygon,) = polygons
    return {"name": "polygon", "all_points_x": polygon[::2], "all_points_y": polygon[1::2]}


def traced(coco):
    """The contents with RLE replaced by the polygon of their largest part."""
    found = []
    for one in coco["annotations"]:
        if isinstance(one.get("segmentation"), dict):
            crop = crop_of(one["segmentation"])
            polygon = trace_contour(crop.bitmap) + np.array([crop.x, crop.y])
            one = {**one, "segmentation": [polygon.ravel().tolist()]}
        found.append(one)
    return {**coco, "annotations": found}


def assert_equal(before: Dataset, after: Dataset, *, closeness: float = 0.0, keypoints: bool = True):
    """Every image has the same objects in the same order: classes, boxes, crowds, masks to the pixel, keypoints."""
    assert set(after.classes.names) <= set(before.classes.names)
    others = {record.path.name: record for record in after.records}
    assert sorted(others) == sorted(record.path.name for record in before.records)
    for record in before.records:
        other = others[record.path.name]
        assert other.size == record.size
        one, two = record.instances, other.instances
        assert [before.classes.names[i] for i in one.labels] == [after.classes.names[i] for i in two.labels]
        assert torch.allclose(one.boxes, two.boxes, rtol=0, atol=closeness)
        assert torch.equal(one.crowd, two.crowd)
        for i in range(len(one)):
            first, second = one.masks.crop(i), two.masks.crop(i)
            assert (first.x, first.y) == (second.x, second.y)
            assert np.array_equal(first.bitmap, second.bitmap)
        if keypoints and one.keypoints is not None:
            assert torch.allclose(one.keypoints, two.keypoints, rtol=0, atol=closeness)


def assert_comes_back(write, coco, images: Path, folder: Path, *, closeness: float = 0.0, **options):
    """Written by one of the functions above and read again, a dataset has the same objects."""
    write(coco, images, folder, **options)
    before = to_data(Contents(folder, images, coco))
    assert_equal(before, read_dataset(folder), closeness=closeness)
