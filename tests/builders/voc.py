"""Pascal VOC's and SBD's files, small."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

WIDTH, HEIGHT = 60, 40
Thing = tuple[str, tuple[int, int, int, int], bool]
"""A class, xmin, ymin, xmax, ymax as VOC counts them, and whether it is difficult."""


def write_xml(file: Path, *things: Thing, size: bool = True, more: str = "") -> None:
    """The annotation of one image."""
    objects = "".join(
        f"<object><name>{name}</name><pose>Left</pose><truncated>0</truncated><difficult>{int(difficult)}</difficult>"
        f"<bndbox><xmax>{box[2]}</xmax><xmin>{box[0]}</xmin><ymax>{box[3]}</ymax><ymin>{box[1]}</ymin></bndbox>"
        "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
        "</object>"
        for name, box, difficult in things
    )
    sizes = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>" if size else ""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"<annotation><filename>{file.stem}.jpg</filename>{sizes}{objects}{more}</annotation>")


def write_image(folder: Path, stem: str, ending: str = ".jpg") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / f"{stem}{ending}")


def write_set(root: Path, kind: str, split: str, stems: Sequence[str]) -> None:
    """A list of `ImageSets/`."""
    file = root / "ImageSets" / kind / f"{split}.txt"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{stem}\n" for stem in stems))


def write_segments(root: Path, stem: str, *parts: tuple[int, tuple[int, int, int, int]]) -> None:
    """Label maps with a border of 255 around each object; a part is a class and VOC's box, in the order of the XML."""
    objects, classes = (np.zeros((HEIGHT, WIDTH), dtype=np.uint8) for _ in range(2))
    for number, (category, (x1, y1, x2, y2)) in enumerate(parts, start=1):
        for values, value in ((objects, number), (classes, category)):
            values[max(0, y1 - 2) : y2 + 1, max(0, x1 - 2) : x2 + 1] = 255
            values[y1 - 1 : y2, x1 - 1 : x2] = value
    for folder, values in (("SegmentationObject", objects), ("SegmentationClass", classes)):
        (root / folder).mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(values, mode="L").convert("P")
        image.putdata(values.ravel().tolist())
        image.save(root / folder / f"{stem}.png")


def write_sbd(root: Path, split: str, images: dict[str, list[tuple[int, tuple[int, int, int, int]]]]) -> None:
    """Images of 30 x 20 with rectangles: class, x, y, width, height of each."""
    for folder in ("img", "inst"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (root / f"{split}.txt").write_text("".join(f"{name}\n" for name in images))
    for name, objects in images.items():
        Image.new("RGB", (30, 20)).save(root / "img" / f"{name}.jpg")
        values = np.zeros((20, 30), dtype=np.uint8)
        for number, (_, (x, y, width, height)) in enumerate(objects, start=1):
            values[y : y + height, x : x + width] = number
        categories = np.array([[category] for category, _ in objects], dtype=np.uint8)
        found = {"Segmentation": values, "Categories": categories, "Boundaries": np.zeros((1, 1))}
        scipy.io.savemat(root / "inst" / f"{name}.mat", {"GTinst": found})


DOG, CAT = ("dog", (1, 1, 10, 20), False), ("cat", (31, 11, 50, 30), False)


def lay_out(root: Path, split: str) -> None:
    """Two images with boxes, and one that has masks besides, of which only the masks are scored."""
    write_set(root, "Main", split, ["000001", "000002"])
    write_set(root, "Segmentation", split, ["000003"])
    write_xml(root / "Annotations" / "000001.xml", DOG)
    write_xml(root / "Annotations" / "000002.xml", DOG, (*CAT[:2], True))
    write_xml(root / "Annotations" / "000003.xml", DOG, CAT)
    write_segments(root, "000003", (12, DOG[1]), (8, CAT[1]))
    for stem in ("000001", "000002", "000003"):
        write_image(root / "JPEGImages", stem)
