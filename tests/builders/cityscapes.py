"""Cityscapes' official folders, made of a few label maps."""

from pathlib import Path

import numpy as np
from PIL import Image


def write_city(
    folder: Path, maps: dict[str, np.ndarray], split: str = "val", *, images: bool = True, labels: bool = True
) -> Path:
    """Write `gtFine` and `leftImg8bit`.

    Args:
        folder: Where.
        maps: What each instanceIds file holds, by the official name of its image.
        split: "train", "val" or "test".
        images, labels: Whether these are written.
    """
    for name, values in maps.items():
        city = name.split("_")[0]
        for part in ("gtFine", "leftImg8bit"):
            (folder / part / split / city).mkdir(parents=True, exist_ok=True)
        if labels:
            Image.fromarray(values).save(folder / "gtFine" / split / city / f"{name}_gtFine_instanceIds.png")
        if images:
            file = folder / "leftImg8bit" / split / city / f"{name}_leftImg8bit.png"
            Image.new("RGB", values.shape[1::-1]).save(file)
    return folder


FIRST, SECOND = "aachen_000000_000019", "bonn_000001_000019"


def street(*values: int) -> np.ndarray:
    """Road with a stripe of 20 x 20 pixels for each value."""
    image = np.full((30, 60), 7, dtype=np.uint16)
    for place, value in enumerate(values):
        image[5:25, 20 * place : 20 * place + 20] = value
    return image
