"""Predicted segments as COCO's panoptic format has them: a PNG file of ids, and a record of each segment."""

from pathlib import Path
from typing import Any

from PIL import Image

from ..ops.atomic import replacing
from ..structures.classes import Classes
from ..structures.panoptic import Panoptic, describe_segments, encode_ids

SEGMENTS = "panoptic"


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
