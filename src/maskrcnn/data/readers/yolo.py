"""YOLO's datasets (https://docs.ultralytics.com/datasets/): boxes, polygons or keypoints in a text file per image.

`data.yaml` names the classes and where the images of each split are: a folder, a text file that lists images, or
several of them. `images/train/a.jpg` has its objects in `labels/train/a.txt`, one per line, the class counted from 0:

    class x y width height                          a box by its middle
    class x1 y1 x2 y2 x3 y3 ...                     a polygon
    class x y width height x1 y1 [v1] x2 y2 [v2]    a box and keypoints, if `data.yaml` has `kpt_shape: [count, 2 or 3]`

All are shares of the image's width and height, in continuous pixels: x = 0 is the left edge, 1 the right one.
Keypoints are COCO's numbers, as Ultralytics' own conversion writes them: half a pixel is added where COCO's are read.
Without `data.yaml`, a `classes.txt` beside `images/` and `labels/` names the classes, as Label Studio writes it.
Category ids are the classes counted from 1. Coordinates may reach 1 % over the image, as Ultralytics lets them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import DataError
from ...ops.yaml_text import parse_yaml
from ...structures.classes import COCO_PERSON
from ..dataset import Contents
from ..images import IMAGES
from .coco_folders import SPLITS, split_names
from .contents import ContentsBuilder, Format, list_images, read_text

SUFFIXES = (".yaml", ".yml")
MOST_CLASSES = 100_000
CLASSES = ("classes.txt", "labels/classes.txt")
"""Where Label Studio and labelImg name the classes, one per line, instead of `data.yaml`."""
LABELS = ("labels/*.txt", "labels/*/*.txt", "*/labels/*.txt")
OVER = 0.01
"""How far coordinates may reach over the image, in shares of it (`verify_image_label`)."""
DECIMALS = 6
"""Of a pixel: what remains of numbers that were divided by the image's size."""


class KeypointShape(NamedTuple):
    """Keypoints per object, and numbers per keypoint: 2, or 3 with visibility."""

    points: int
    numbers: int


def is_yolo(path: Path, split: str) -> bool:
    """Whether a path is a `data.yaml`, or a folder with one or with a `classes.txt`, that names a split."""
    file = _description(path)
    if file is None:
        return False
    try:
        known = _read(file)
    except DataError:
        return path.is_file()  # a damaged file is said to be so when it is read
    return _is_description(known) and _places(known, split) is not None


def require_description(path: Path) -> None:
    """Check that a folder with images and labels as YOLO's has a file that names the classes and the splits.

    Raises:
        DataError: It has none, or one that cannot be used.
    """
    if not path.is_dir() or not any(True for form in LABELS for _ in path.glob(form)):
        return
    file = _description(path)
    example = "`train: images/train`, `val: images/val` and `names: [cat, dog]`"
    if file is None:
        raise DataError(
            f"{path}: its images and labels lie as YOLO's do, but there is no data.yaml. Add one with {example}, or "
            "a classes.txt with a class per line."
        )
    _names(file, _read(file))


def read_yolo(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split of a dataset in YOLO's format.

    An image without a label file, or with an empty one, has no objects.

    Args:
        path: `data.yaml`, or the folder it is in.
        split: "train", "val" or "test".
        images: Folder of the images of this split; None: as `data.yaml` says.

    A label file with objects beside no image is listed in `skipped`.

    Raises:
        DataError: Naming the file, the line, the value, the rule and the remedy.
    """
    file = _description(path)
    if file is None:
        raise DataError(f"{path}: holds no data.yaml. Give the YAML file that names the classes and the images.")
    known = _read(file)
    names, keypoints = _names(file, known), _keypoint_shape(file, known)
    _require_mirrored(file, known, keypoints)
    root = _root(file, known)
    paths = list_images(images) if images else _split_images(file, known, root, split)
    found = ContentsBuilder(names, file, root, dict.fromkeys(names, _category(known, keypoints)))
    labels = [_label_file(image) for image in paths]
    if paths and not any(label.is_file() for label in labels):
        raise DataError(
            f"{file}: none of the {len(paths)} images of `{split}` has a label file; the first was looked for at "
            f"{labels[0]}. Lay labels/ beside images/, with the same folders and names inside."
        )
    owners: dict[Path, Path] = {}
    for image, label in zip(paths, labels, strict=True):
        if owners.setdefault(label, image) != image:
            found.skipped.append(f"{label}: belongs to {owners[label].name}, so that {image.name} has none")
            continue
        size = found.size_of(image)
        image_id = found.add_image(image, size)
        for number, line in label_lines(label):
            with found.skipping(f"{label}: line {number}"):
                name, fields = label_object(line, names, size, keypoints)
                found.add_object(image_id, name, **fields)
    found.skipped += _orphans(paths)
    return found.contents()


def _description(path: Path) -> Path | None:
    """The file that names the classes."""
    if path.is_file():
        return path if path.suffix.lower() in SUFFIXES else None
    named = [path / "data.yaml", path / "dataset.yaml", path / f"{path.resolve().name}.yaml"]
    others = sorted(found for suffix in SUFFIXES for found in path.glob(f"*{suffix}"))
    plain = [path / name for name in CLASSES if (path / "labels").is_dir()]
    return next((file for file in (*named, *others, *plain) if file.is_file()), None)


def _read(file: Path) -> dict[str, Any]:
    """What a description says."""
    return _read_yaml(file) if file.suffix.lower() in SUFFIXES else _read_classes(file)


def _read_classes(file: Path) -> dict[str, Any]:
    """A list of classes, and the folders of the images as they lie, in the words of `data.yaml`."""
    root = file.parent.parent if file.parent.name == "labels" else file.parent
    names = [line.strip() for line in read_text(file, "a list of classes").splitlines() if line.strip()]
    split = {name: f"images/{name}" for words in SPLITS.values() for name in words if (root / "images" / name).is_dir()}
    return {"path": str(root.resolve()), "names": names, **(split or {"train": "images"})}


def _read_yaml(file: Path) -> dict[str, Any]:
    text = read_text(file, "the YAML file of a YOLO dataset")
    try:
        known = parse_yaml(text)
    except ValueError as error:
        raise DataError(f"{file}: the file is not valid YAML ({error}). Correct it.") from error
    return known if isinstance(known, dict) else {}


def _is_description(known: dict[str, Any]) -> bool:
    return "names" in known or "nc" in known


def _names(file: Path, known: dict[str, Any]) -> list[str]:
    names, count = known.get("names"), known.get("nc")
    if names is None and isinstance(count, int):
        if count > MOST_CLASSES:
            raise DataError(f"{file}: `nc` is {count}, but at most {MOST_CLASSES:,} classes can be. Correct it.")
        names = [f"class_{number}" for number in range(count)]
    if isinstance(names, dict):
        if sorted(map(str, names)) != sorted(map(str, range(len(names)))):
            rule = f"the {len(names)} classes must be numbered 0 to {len(names) - 1}"
            raise DataError(
                f"{file}: `names` has the numbers {', '.join(map(str, names))}, but {rule}. Number them so."
            )
        names = [name for _, name in sorted(names.items(), key=lambda pair: int(pair[0]))]
    if not isinstance(names, list) or not names:
        raise DataError(f"{file}: `names` must list the classes, e.g. `names: [cat, dog]`. Add it.")
    if count is not None and count != len(names):
        raise DataError(f"{file}: `nc` is {count!r}, but `names` has {len(names)} classes. Make both agree.")
    texts = [str(name) for name in names]
    twice, times = Counter(texts).most_common(1)[0]
    if times > 1:
        raise DataError(f"{file}: `names` has {twice!r} twice. Give each class its own name.")
    return texts


def _keypoint_shape(file: Path, known: dict[str, Any]) -> KeypointShape | None:
    shape = known.get("kpt_shape")
    if shape is None:
        return None
    if not (isinstance(shape, list) and len(shape) == 2 and isinstance(shape[0], int) and shape[0] > 0):
        shape = None
    if shape is None or shape[1] not in (2, 3):
        rule = "it must be [keypoints, numbers of each], and these are 2 or 3"
        raise DataError(f"{file}: `kpt_shape` is {known['kpt_shape']!r}, but {rule}. Correct it.")
    return KeypointShape(*shape)


def _require_mirrored(file: Path, known: dict[str, Any], keypoints: KeypointShape | None) -> None:
    """Check that `flip_idx`, if there is one, has each keypoint once."""
    mirrored = known.get("flip_idx")
    if keypoints is None or not mirrored:
        return
    if not isinstance(mirrored, list) or sorted(map(str, mirrored)) != sorted(map(str, range(keypoints.points))):
        rule = f"it must have each of the {keypoints.points} keypoints, 0 to {keypoints.points - 1}, once"
        raise DataError(f"{file}: `flip_idx` is {mirrored!r:.80}, but {rule}. Correct it.")


def _category(known: dict[str, Any], keypoints: KeypointShape | None) -> dict[str, Any]:
    """Entries of the categories on their keypoints: names from `kpt_names`, flip pairs from `flip_idx`."""
    if keypoints is None:
        return {}
    mirrored = known["flip_idx"] if isinstance(known.get("flip_idx"), list) else []
    if keypoints.points == len(COCO_PERSON) and (not mirrored or tuple(mirrored) == COCO_PERSON.mirrored):
        return {"keypoints": list(COCO_PERSON.names)}
    listed = known.get("kpt_names")
    if isinstance(listed, dict):
        listed = next(iter(listed.values()), None)
    if not isinstance(listed, list) or len(listed) != keypoints.points:
        listed = [f"keypoint {number}" for number in range(1, keypoints.points + 1)]
    pairs = [[i + 1, k + 1] for i, k in enumerate(mirrored) if isinstance(k, int) and i < k]
    return {"keypoints": [str(name) for name in listed], "flip_pairs": pairs}


def _root(file: Path, known: dict[str, Any]) -> Path:
    """`path` of the YAML file, where it exists from there, and the file's own folder otherwise."""
    folder = file.resolve().parent
    named = Path(str(known.get("path") or ""))
    return next((place for place in (folder / named, folder / named.name) if place.is_dir()), folder)


def _places(known: dict[str, Any], split: str) -> list[str] | None:
    value = next((known[name] for name in split_names(split) if known.get(name)), None)
    if value is None:
        return None
    return [str(place) for place in value] if isinstance(value, list) else [str(value)]


def _split_images(file: Path, known: dict[str, Any], root: Path, split: str) -> list[Path]:
    places = _places(known, split)
    if places is None:
        raise DataError(f"{file}: names no images of the split `{split}`. Add `{split}: images/{split}` to it.")
    found: list[Path] = []
    for place in places:
        # Exports for notebooks have `../train/images` for a folder beside the file.
        forms = dict.fromkeys((place, place.replace("\\", "/")))
        tried = [
            path
            for form in forms
            for path in (root / form, file.resolve().parent / form, root / form.removeprefix("../"))
        ]
        there = next((path for path in tried if path.exists()), None)
        if there is None:
            raise DataError(
                f"{file}: `{split}: {place}` is not there; looked for {', '.join(map(str, dict.fromkeys(tried)))}. "
                "Correct `path` or the entry."
            )
        found += list_images(there) if there.is_dir() else list(_listed(there, root))
    if not found:
        raise DataError(f"{file}: the split `{split}` ({', '.join(places)}) has no image. Check its folders.")
    return sorted(dict.fromkeys(found))


def _listed(file: Path, root: Path) -> Iterator[Path]:
    for number, line in enumerate(read_text(file, "a list of images").splitlines(), start=1):
        if not line.strip():
            continue
        path = Path(line.strip())
        tried = [file.parent / path, root / path]
        there = next((place for place in tried if place.is_file()), None)
        if there is None or path.suffix.lower() not in IMAGES:
            raise DataError(f"{file}: line {number}: {line.strip()!r} is no image that is there. Correct the list.")
        yield there


def _label_file(image: Path) -> Path:
    """Where the last folder `images` of the path is called `labels`."""
    parts = list(image.parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(*parts).with_suffix(".txt")


def _orphans(paths: Iterable[Path]) -> Iterator[str]:
    """A message for each label file with objects whose image is not there, in the folders of some images."""
    folders = {image.parent: _label_file(image).parent for image in paths}
    names = {Path(name).name for name in CLASSES}
    for images, labels in folders.items():
        if not images.is_dir():
            continue
        there = {file.stem for file in images.iterdir() if file.suffix.lower() in IMAGES}
        for label in sorted(labels.glob("*.txt")):
            if label.stem not in there and label.name not in names and any(True for _ in label_lines(label)):
                yield f"{label}: has objects, but its image {images / label.stem}.* is not there"


def label_lines(label: Path) -> Iterator[tuple[int, str]]:
    """The lines of a label file that hold an object, numbered from 1; none if there is no file."""
    if label.is_file():
        for number, line in enumerate(read_text(label, "YOLO labels").splitlines(), start=1):
            if line.strip():
                yield number, line


def label_object(
    line: str, names: list[str], size: tuple[int, int], keypoints: KeypointShape | None
) -> tuple[str, dict[str, Any]]:
    """The class of one line, and its box, polygon or keypoints as COCO's entries.

    Args:
        line: Of a label file.
        names: Of the classes.
        size: (height, width) of the image.
        keypoints: What follows the box; None: nothing, or the line is a polygon.

    Raises:
        ValueError: What is wrong with it.
    """
    words, values = line.split(), []
    for word in words:
        try:
            values.append(float(word))
        except ValueError:
            rule = "a line is `class x y width height` or `class x1 y1 ...`"
            raise ValueError(f"{word!r} is not a number; {rule}") from None
    label, numbers = values[0], values[1:]
    if not label.is_integer() or not 0 <= label < len(names):
        raise ValueError(f"class {words[0]} is none of the {len(names)} classes, which are 0 to {len(names) - 1}")
    name = names[int(label)]
    if keypoints is not None:
        return name, _box_and_keypoints(numbers, size, keypoints)
    if len(numbers) == 4:
        return name, {"bbox": _box(numbers, size)}
    if len(numbers) < 6 or len(numbers) % 2:
        rule = "a box has 4, a polygon x and y of at least 3 points"
        raise ValueError(f"there are {len(numbers)} numbers after the class, but {rule}")
    return name, {"segmentation": [_points(numbers, size)]}


def _require_shares(numbers: list[float]) -> None:
    for value in numbers:
        if not -OVER <= value <= 1 + OVER:
            raise ValueError(f"{value:g} lies outside 0..1; coordinates are shares of the image's width and height")


def _points(numbers: list[float], size: tuple[int, int]) -> list[float]:
    _require_shares(numbers)
    return [round(value * size[1 - place % 2], DECIMALS) for place, value in enumerate(numbers)]


def _box(numbers: list[float], size: tuple[int, int]) -> list[float]:
    _require_shares(numbers)
    (height, width), (x, y, w, h) = size, numbers
    return [round(value, DECIMALS) for value in ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)]


def _box_and_keypoints(numbers: list[float], size: tuple[int, int], keypoints: KeypointShape) -> dict[str, Any]:
    count = 4 + keypoints.points * keypoints.numbers
    if len(numbers) != count:
        rule = f"a box and {keypoints.points} keypoints of {keypoints.numbers} (`kpt_shape`) have {count}"
        raise ValueError(f"there are {len(numbers)} numbers after the class, but {rule}")
    found: list[float] = []
    for start in range(4, count, keypoints.numbers):
        x, y, *rest = numbers[start : start + keypoints.numbers]
        seen = rest[0] if rest else float(x >= 0 and y >= 0) * 2
        if seen not in (0, 1, 2):
            raise ValueError(f"visibility {seen:g} is not 0, 1 or 2")
        found += [*(_points([x, y], size) if seen else (0, 0)), int(seen)]
    return {"bbox": _box(numbers[:4], size), "keypoints": found, "num_keypoints": sum(seen > 0 for seen in found[2::3])}


FORMAT = Format(
    "yolo", "YOLO", "data.yaml or classes.txt, images/train/ and labels/train/", is_yolo, read_yolo, is_yolo
)
