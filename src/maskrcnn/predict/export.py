"""Predictions as annotations: a folder that an annotation tool opens, to be corrected there and trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, get_args

import shapely

from ..config import SCORE_THRESHOLD
from ..data.annotation_files import ANNOTATION_FORMATS, Outlined, OutlinedImage, Outlines, write_annotations
from ..errors import DataError, SettingError, require_choice
from ..evaluation.prediction_files import is_predictions
from ..ops.contours import trace_parts
from ..ops.files import read_json
from ..progress import Announce, silently
from ..structures.rle import check_counts, counts_from_text, crop_from_counts
from .files import distinct_stems

ExportFormat = Literal["coco", "yolo", "labelme", "cvat", "label-studio", "geojson"]
REMEDY = "Predict again."


def export_predictions(
    predictions: Path | str,
    form: ExportFormat,
    folder: Path | str,
    *,
    score_threshold: float = SCORE_THRESHOLD,
    announce: Announce = silently,
) -> int:
    """Write predictions as annotations to correct; `maskrcnn predict --format`.

    The folder has copies of the images and the files of a format: of "coco" `train.json`, of "yolo" `data.yaml` and
    `labels/`, of "labelme" a JSON file beside each image, of "cvat" `annotations.xml`, of "label-studio" `tasks.json`
    and `label_config.xml`, of "geojson" a file beside each image, as QuPath takes it. Masks become polygons around
    their pixels, simplified by at most a pixel. Only "geojson" has their holes; "yolo" and "label-studio" have the
    largest part of each object. Keypoints are in "coco" and "yolo".

    Args:
        predictions: `predictions.json` of `maskrcnn predict`. Its images are found from the folder in which it was run.
        form: The format.
        folder: Made if it is not there.
        score_threshold: Objects with at least this score are written.
        announce: Shows progress.

    Returns:
        How many objects were written.

    Raises:
        DataError: The file is another one, or an image is not there.
        SettingError: The folder has files already, which may have been corrected.
    """
    require_choice("form", form, get_args(ExportFormat))
    require_new(Path(folder))
    content = read_json(predictions, expected="the predictions of `maskrcnn predict`", remedy=REMEDY)
    if not is_predictions(content):
        raise DataError(f"{predictions}: lacks `classes`, `images` or `failed` of `maskrcnn predict`. {REMEDY}")
    try:
        outlines = _outlines(content, score_threshold)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{predictions}: an image or object in it is not as `maskrcnn predict` writes it ({type(error).__name__}: "
            f"{error!s:.80}). {REMEDY}"
        ) from error
    missing = next((image.source for image in outlines.images if not image.source.is_file()), None)
    if missing is not None:
        raise DataError(
            f"{missing}: this image of {predictions} is not there. Call this in the folder in which it was predicted."
        )
    with announce(f"writing {form}", len(outlines.images)) as say:
        write_annotations(outlines, Path(folder), ANNOTATION_FORMATS[form], say)
    return sum(len(image.objects) for image in outlines.images)


def require_new(folder: Path) -> None:
    """Refuse a folder that has files, which may be the corrections of an earlier export.

    Raises:
        SettingError: It has.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise SettingError(
            f"{folder}: is there already and may have been corrected. Move it away, or give another folder (--output)."
        )


def _outlines(content: dict[str, Any], least: float) -> Outlines:
    categories = [
        {("id" if key == "category_id" else key): value for key, value in one.items() if key != "label"}
        for one in content["classes"]
    ]
    paths = [Path(image["file"]) for image in content["images"]]
    names = [f"{stem}{path.suffix}" for stem, path in zip(distinct_stems(paths), paths, strict=True)]
    images = [
        OutlinedImage(
            path,
            name,
            (image["size"][0], image["size"][1]),
            tuple(_outlined(found) for found in image["objects"] if found["score"] >= least),
        )
        for path, name, image in zip(paths, names, content["images"], strict=True)
    ]
    return Outlines(images, categories)


def _outlined(found: dict[str, Any]) -> Outlined:
    x1, y1, x2, y2 = (float(side) for side in found["box"])
    parts: list[shapely.Polygon] = []
    if "mask" in found:
        size, counts = found["mask"]["size"], counts_from_text(found["mask"]["counts"].encode("ascii"))
        check_counts(counts, size)
        crop = crop_from_counts(counts, size)
        parts = trace_parts(crop.bitmap, crop.x, crop.y)
    return Outlined(found["label"], (x1, y1, x2, y2), found["score"], tuple(parts), tuple(found.get("keypoints", ())))
