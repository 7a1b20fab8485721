"""Predictions of image files: `predictions.json`, each image with its objects drawn over it, segments as PNG files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from glob import glob, has_magic
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from torch import Tensor

from ..config import InputSettings
from ..data.annotation_files import ANNOTATION_FORMATS
from ..data.dataset import to_rgb
from ..data.dataset_range import DatasetRange, with_dataset_range
from ..data.images import IMAGES, begins_as_image, read_image
from ..draw.images import write_image
from ..draw.instances import draw_instances
from ..errors import DataError
from ..ops.files import read_json, replacing, write_json
from ..structures.classes import Classes, in_whole_pixels
from ..structures.instances import Instances
from ..structures.masks import PolygonKind
from ..structures.panoptic import Panoptic, describe_segments, encode_ids
from .class_match import find_threshold
from .limits import detections_note, shrunk_note
from .predictor import Predictor

Read = Callable[[Path], Tensor | DataError]
PREDICTIONS = "predictions.json"
DRAWINGS = "draw"
SEGMENTS = "panoptic"
AHEAD = 2
"""Batches of images that are read before they are needed."""


class PredictedFiles(NamedTuple):
    """What became of the images.

    Args:
        images, objects: How many were predicted, and found in them.
        failed: One message per image that could not be read.
        shown_from: The score from which on objects were drawn; None: nothing was drawn.
        values: The range that images of more than 8 bits were scaled by, where the weights have none.
        notes: What limits of the settings have hidden, as of `limits`.
    """

    images: int
    objects: int
    failed: list[str]
    shown_from: float | None
    values: DatasetRange | None = None
    notes: tuple[str, ...] = ()


class FoundImages(NamedTuple):
    """What inputs name.

    Args:
        images: Image files in the order of the inputs, each once.
        others: Files of the folders among the inputs that are no images; hidden ones are not named.
    """

    images: list[Path]
    others: list[Path]


def find_inputs(words: Sequence[str], folder: Path) -> FoundImages:
    """Image files as of `find_images`, without what `maskrcnn predict` has written into its folder.

    Raises:
        DataError: As `find_images`; or no image is named.
    """
    if not words:
        raise DataError("no image was named. Give files, folders or patterns such as 'photos/*.jpg'.")
    ours = (DRAWINGS, SEGMENTS, PREDICTIONS, *ANNOTATION_FORMATS)
    return find_images(words, leave_out=[folder / name for name in ours])


def predict_files(
    predictor: Predictor,
    paths: Sequence[Path],
    folder: Path,
    *,
    draw: bool = True,
    score_threshold: float | None = None,
    polygons: PolygonKind | None = None,
    batch_size: int = 1,
    resume: bool = False,
    on_progress: Callable[[int], None] = lambda count: None,
) -> PredictedFiles:
    """Predict image files and write what was found into a folder, also if it is stopped by Ctrl-C or an error.

    `predictions.json` holds `classes`; `images` with `file`, `size` [height, width], `drawn` (the drawn image's
    path in the folder) and `objects` with `box` [x1, y1, x2, y2], `label`, `class`, `category_id`, `score` and `mask`
    (COCO RLE), if asked for also `polygon` (the [x, y] of its corners; it goes around the mask's largest part,
    or around the box where there are no masks), all in the image's own pixels; and `failed` with the `file` and
    `error` of each image that could not be read, which does not keep the others from being predicted. Where the model
    finds keypoints, objects also have `keypoints` (x, y, score of each in turn, in whole pixels as in COCO's files),
    and classes the names, lines, flip pairs and sigmas of them, as the categories of COCO's files. Where it finds
    segments, there are a list `stuff` beside `classes`, a PNG file of each image's segments in `panoptic`, and for
    each image `panoptic` with its `file_name` and `segments_info`, as in COCO's files; segments are drawn instead of
    objects.

    Args:
        predictor: The model.
        paths: Image files.
        folder: Made if it is not there; files of the same names are replaced.
        draw: Draw the objects.
        score_threshold: Objects with at least this score are drawn; None: as the weights note, or the usual one. The
            JSON has all objects.
        polygons: "quad": a rectangle at any angle around each object; "contour": the polygon of its pixels.
        batch_size: Images that are predicted together.
        resume: Leave out the images whose objects the folder's `predictions.json` has already, and keep those.
        on_progress: Called with the number of images that are done since the last call.

    Raises:
        DataError: The folder cannot be written, or has predictions of other classes to resume.
        WeightsError: What the weights note about their threshold is no fraction.
    """
    shown_from = find_threshold(score_threshold, predictor.notes).score if draw else None
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    names = dict(zip(paths, drawing_names(paths), strict=True))
    described, failed = _described(predictor.classes), list[dict[str, str]]()
    entries = _earlier_entries(folder / PREDICTIONS, described, paths) if resume else []
    on_progress(len(entries))
    known = {entry["file"] for entry in entries}
    inputs, values = with_dataset_range(predictor.inputs[0], paths)
    read = partial(_image_or_error, settings=inputs)
    waiting = [path for path in paths if str(path) not in known]
    try:
        for path, image, result in _predicted(predictor, waiting, read, batch_size, on_progress):
            if isinstance(result, DataError) or image is None:
                failed.append({"file": str(path), "error": str(result)})
                continue
            entry = _entry(path, result, predictor.classes, names[path] if draw else None, polygons)
            with _writing(folder):
                if result.panoptic is not None:
                    segments = write_segments(folder, Path(names[path]).stem, result.panoptic, predictor.classes)
                    entry["panoptic"] = segments
                if shown_from is not None:
                    drawing = draw_instances(to_rgb(image), result, predictor.classes, score_threshold=shown_from)
                    write_image(folder / names[path], drawing)
            entries.append(entry)
    finally:
        places = {str(path): place for place, path in enumerate(paths)}
        entries.sort(key=lambda entry: places[entry["file"]])
        with _writing(folder):
            write_json(folder / PREDICTIONS, described | {"images": entries, "failed": failed})
    counts = [len(entry["objects"]) for entry in entries]
    sizes = [(entry["size"][0], entry["size"][1]) for entry in entries]
    notes = detections_note(counts, predictor.settings), shrunk_note(sizes, inputs)
    errors = [one["error"] for one in failed]
    return PredictedFiles(len(entries), sum(counts), errors, shown_from, values, tuple(filter(None, notes)))


def _earlier_entries(path: Path, described: dict[str, Any], paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The entries of some images in a file of predictions; none without a file."""
    if not path.exists():
        return []
    content = read_json(path, expected="a file of predictions")
    try:
        if any(content[name] != value for name, value in described.items()):
            raise DataError(f"{path}: has predictions of a model of other classes. Give another folder.")
        wanted = {str(one) for one in paths}
        return [entry for entry in content["images"] if entry["file"] in wanted and len(entry["size"]) == 2]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: is no file of predictions of this model. Give another folder.") from error


def drawing_names(paths: Iterable[Path]) -> list[str]:
    """A PNG file below the output folder for each image, named after it and numbered where names repeat."""
    return [f"{DRAWINGS}/{stem}.png" for stem in distinct_stems(paths)]


def distinct_stems(paths: Iterable[Path]) -> list[str]:
    """The name of each file without folder and ending, numbered where names repeat."""
    taken: set[str] = set()
    stems = []
    for path in paths:
        stem, number = path.stem, 1
        while stem.casefold() in taken:  # some file systems take A.png and a.png for the same file
            number += 1
            stem = f"{path.stem}-{number}"
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def write_segments(folder: Path, name: str, panoptic: Panoptic, classes: Classes) -> dict[str, Any]:
    """Write `panoptic/<name>.png` below a folder.

    Args:
        folder: Of all results; the one below it is made if it is not there.
        name: Of the file, without its ending.
        panoptic: What is written.
        classes: Its category ids.

    Returns:
        `file_name` and `segments_info`, as an annotation of COCO's panoptic format has them.
    """
    file_name = f"{name}.png"
    (folder / SEGMENTS).mkdir(parents=True, exist_ok=True)
    with replacing(folder / SEGMENTS / file_name) as temporary:
        Image.fromarray(encode_ids(panoptic.map)).save(temporary, format="PNG")
    return {"file_name": file_name, "segments_info": describe_segments(panoptic, classes)}


def _predicted(
    predictor: Predictor, paths: Sequence[Path], read: Read, batch_size: int, on_progress: Callable[[int], None]
) -> Iterator[tuple[Path, Tensor, Instances] | tuple[Path, None, DataError]]:
    """Each image with its objects, or with the error that it gives; in batches, in the order of the paths."""
    sources = read_ahead(paths, read, count=AHEAD * batch_size)
    while group := list(islice(sources, batch_size)):
        readable = [image for _, image in group if isinstance(image, Tensor)]
        predicted = predictor.predict_all(readable, batch_size=batch_size)
        for path, image in group:
            yield (path, None, image) if isinstance(image, DataError) else (path, image, next(predicted))
        on_progress(len(group))


def _entry(
    path: Path, instances: Instances, classes: Classes, drawn: str | None, polygons: PolygonKind | None
) -> dict[str, Any]:
    objects = _objects(instances, classes)
    if polygons:
        for one, polygon in zip(objects, instances.to_polygons(polygons), strict=True):
            one["polygon"] = polygon.round(2).tolist()
    return {"file": str(path), "size": list(instances.size), "drawn": drawn, "objects": objects}


def _objects(instances: Instances, classes: Classes) -> list[dict[str, Any]]:
    """Objects as JSON; one mask at a time is in memory as pixels."""
    if instances.scores is None:
        raise ValueError("predictions need scores, but these instances have none")
    columns = zip(instances.boxes.tolist(), instances.labels.tolist(), instances.scores.tolist(), strict=True)
    objects: list[dict[str, Any]] = [
        {
            "box": [round(side, 3) for side in box],
            "label": label,
            "class": classes.names[label],
            "category_id": classes.category_ids[label],
            "score": round(score, 6),
        }
        for box, label, score in columns
    ]
    if instances.masks is not None:
        for one, mask in zip(objects, instances.to_rle(), strict=True):
            one["mask"] = mask
    if instances.keypoints is not None:
        for one, points in zip(objects, in_whole_pixels(instances.keypoints).tolist(), strict=True):
            one["keypoints"] = [round(number, 3) for number in points]
    return objects


def _described(classes: Classes) -> dict[str, Any]:
    """What the labels mean: `classes`, and `stuff` if there is any."""
    keypoints = classes.keypoint_schema.described() if classes.keypoint_schema else {}
    things = [one | keypoints for one in _named(classes.names, classes.category_ids)]
    return {"classes": things} | ({"stuff": _named(classes.stuff, classes.stuff_ids)} if classes.stuff else {})


def _named(names: Sequence[str], category_ids: Sequence[int]) -> list[dict[str, Any]]:
    pairs = enumerate(zip(names, category_ids, strict=True))
    return [{"label": label, "name": name, "category_id": category_id} for label, (name, category_id) in pairs]


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{folder}: predictions cannot be written there ({error.strerror}). Choose a folder that can be written "
            "and has room."
        ) from error


def find_images(inputs: Sequence[str], *, leave_out: Sequence[Path] = ()) -> FoundImages:
    """Image files in the order of the inputs, each once, and what else is in their folders.

    Args:
        inputs: Files, folders (with all folders below them) or patterns such as `photos/*.jpg` and `photos/**/a*.png`.
            Of folders and patterns, files of the endings in `IMAGES` are taken, in any letter case, and those of other
            endings that begin as an image does; hidden files in folders are left out. A file named by itself may be
            any.
        leave_out: Files, and folders whose images are left out, too, such as the one that earlier results were drawn
            into.

    Raises:
        DataError: An input is not there, or brings no image.
    """
    ours = {place.resolve() for place in leave_out}
    images: dict[Path, Path] = {}
    others: dict[Path, Path] = {}
    for words in inputs:
        paths = {path.resolve(): path for path in _named_by(words)}
        paths = {resolved: path for resolved, path in paths.items() if ours.isdisjoint([resolved, *resolved.parents])}
        named = Path(words).is_file()
        chosen = {resolved: path for resolved, path in paths.items() if named or _is_image(path)}
        if not chosen:
            raise DataError(
                f"{words}: no images were found there (files that end in {', '.join(IMAGES)}, or begin as an image "
                "does). Check the path, or name the files themselves."
            )
        images |= {resolved: path for resolved, path in chosen.items() if resolved not in images}
        others |= {resolved: path for resolved, path in paths.items() if resolved not in chosen}
    return FoundImages([*images.values()], [path for resolved, path in others.items() if resolved not in images])


def read_ahead(paths: Iterable[Path], read: Read, *, count: int) -> Iterator[tuple[Path, Tensor | DataError]]:
    """Each image, or the error it gives, read in another thread up to `count` images before it is asked for."""
    waiting: deque[tuple[Path, Future[Tensor | DataError]]] = deque()
    with ThreadPoolExecutor(1) as reader:
        for path in paths:
            waiting.append((path, reader.submit(read, path)))
            if len(waiting) > count:
                ready, future = waiting.popleft()
                yield ready, future.result()
        for ready, future in waiting:
            yield ready, future.result()


def _named_by(words: str) -> list[Path]:
    path = Path(words)
    if path.is_dir():
        return [file for file in sorted(path.rglob("*")) if file.is_file() and not _is_hidden(file, path)]
    if path.exists():
        return [path]
    if has_magic(words):
        return [file for file in map(Path, sorted(glob(words, recursive=True))) if file.is_file()]
    raise DataError(f"{words}: there is no such file or folder. Check the path.")


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGES or begins_as_image(path)


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _image_or_error(path: Path, settings: InputSettings) -> Tensor | DataError:
    try:
        return read_image(path, settings.channels, value_range=settings.range, stretch=settings.stretch)
    except DataError as error:
        return error
