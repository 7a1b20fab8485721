"""Results as a label map for each image; those of HoVer-Net are .mat files of `inst_map`."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import scipy.io

from ...data.readers.label_maps import MATLAB, map_objects, read_label_map
from ...data.readers.mask_images import list_maps
from ...errors import DataError
from ...evaluation.annotations import Annotations
from ...evaluation.label_maps import paint_images
from ...evaluation.results import Results
from ...evaluation.segmentations import Size
from ...ops.files import replacing

LAYOUT = "a folder with NAME.mat (of `inst_map`), NAME.npy, NAME.png or NAME.tif for each image"


def read_label_maps(path: Path, known: Annotations, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Label maps as records, each object with the score 1.

    Args:
        path: The folder; names may end in `_mask` and the like.
        known: The images and classes that may be named.
        names: Of the images by id, without endings.

    Raises:
        DataError: It is no folder, an image has no map, or a map cannot be read or is of another size.
    """
    if not path.is_dir():
        raise DataError(f"{path}: is no folder, but results of this benchmark are {LAYOUT}, or a COCO results file.")
    maps = list_maps(path)
    missing = sorted(name for name in names.values() if name not in maps)
    if missing:
        raise DataError(
            f"{path}: holds no label map of {len(missing)} of {len(names)} images, such as "
            f"{missing[0]}. Results are {LAYOUT}; one without an object is all 0."
        )
    category = min(known.categories)
    records: list[dict[str, Any]] = []
    for image_id, name in names.items():
        values = read_label_map(maps[name])
        if values.shape != known.sizes[image_id]:
            raise DataError(
                f"{maps[name]}: the label map is of size {list(values.shape)} (height, width), but its image is "
                f"{list(known.sizes[image_id])}. Make it again."
            )
        place = {"image_id": image_id, "category_id": category, "score": 1.0}
        records += [
            {**place, "bbox": fields["bbox"], "segmentation": fields["segmentation"]}
            for _, fields in map_objects(values)
        ]
    return records


def write_label_maps(
    results: Results,
    path: Path,
    sizes: Mapping[int, Size],
    names: Mapping[int, str],
    *,
    score_threshold: float,
) -> None:
    """Write a .mat file of `inst_map` for each image, from which HoVer-Net's `compute_stats.py` makes its scores.

    Args:
        results: With masks.
        path: The folder.
        sizes: (height, width) of the images by id.
        names: Of the images by id, without endings.
        score_threshold: Records with at least this score are painted, the best first.
    """
    path.mkdir(parents=True, exist_ok=True)
    for image_id, painted in paint_images(results, sizes, score_threshold=score_threshold):
        content = io.BytesIO()
        scipy.io.savemat(content, {MATLAB: painted})
        with replacing(path / f"{names[image_id]}.mat") as temporary:
            temporary.write_bytes(content.getvalue())
