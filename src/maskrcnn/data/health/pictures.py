"""Every picture file of a data set, read whole once: whether it can be, what kind it is, what it looks like."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import ExifTags

from ...errors import DataError
from ..loading import default_workers
from ..pictures import open_image, read_picture

THUMB = 16
"""Side of the small picture that is kept of each."""
STEPS = 8
"""Of the difference hash: 8 x 8 = 64 comparisons of neighbours."""


@dataclass(frozen=True, eq=False)
class PictureFacts:
    """What is known of a picture file.

    Args:
        path: The file.
        digest: Of its bytes; empty if it is not there.
        problem: Why it cannot be read; None if it can.
        size: (height, width) as it is shown; (0, 0) if it cannot be read.
        mode: Pillow's name of what a pixel is in the file: RGB, L (grey), CMYK, I;16, ...
        orientation: EXIF's number; 1 is upright.
        pages: Of the file.
        grey: All channels of every part of it are (nearly) the same.
        bright: 99th percentile of its brightness, 0..255.
        hash: 64-bit difference hash of it: each bit says whether a part is brighter than the one to its left.
        thumb: [16, 16] uint8 grey.
    """

    path: Path
    digest: str = ""
    problem: str | None = None
    size: tuple[int, int] = (0, 0)
    mode: str = ""
    orientation: int = 1
    pages: int = 1
    grey: bool = False
    bright: float = 0.0
    hash: int = 0
    thumb: np.ndarray | None = None


def look_at_pictures(
    paths: Sequence[Path], *, workers: int | None = None, on_progress: Callable[[int], None] = lambda pictures: None
) -> list[PictureFacts]:
    """The facts of each picture, in their order. Files are decoded in threads, which Pillow and OpenCV leave free.

    Args:
        paths: The files; one that cannot be read has a `problem`.
        workers: Threads; None: as many as the machine has processors to spare, and one more.
        on_progress: Called with 1 for each picture that is done.
    """
    facts = []
    pool = ThreadPoolExecutor(default_workers() + 1 if workers is None else workers)
    try:
        for one in pool.map(look_at_picture, paths):
            facts.append(one)
            on_progress(1)
    finally:
        pool.shutdown(cancel_futures=True)  # so that Ctrl-C does not wait for all others
    return facts


def look_at_picture(path: Path) -> PictureFacts:
    """Read one picture file to its last byte."""
    try:
        digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    except OSError as error:
        return PictureFacts(path, problem=f"{path}: the file cannot be read ({error.strerror}).")
    try:
        picture = read_picture(path).permute(1, 2, 0).numpy()
        with open_image(path) as opened:
            mode, pages = opened.mode, int(getattr(opened, "n_frames", 1))
            orientation = int(opened.getexif().get(ExifTags.Base.Orientation, 1) or 1)
    except DataError as error:
        return PictureFacts(path, digest, str(error))
    thumb = cv2.resize(np.ascontiguousarray(picture), (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(thumb, cv2.COLOR_RGB2GRAY)
    return PictureFacts(
        path,
        digest,
        size=(picture.shape[0], picture.shape[1]),
        mode=mode,
        orientation=orientation,
        pages=pages,
        grey=bool(np.ptp(thumb.astype(np.int16), axis=2).max() <= 2),
        bright=_percentile(picture, 99),
        hash=difference_hash(picture),
        thumb=grey,
    )


def difference_hash(picture: np.ndarray) -> int:
    """64 bits of a picture [H, W, 3] uint8 that hardly change when it is resized, recoded or made brighter.

    The picture is shrunk to 9 x 8 grey parts; each bit says whether a part is brighter than the one to its left
    (dHash, N. Krawetz 2013).
    """
    small = cv2.resize(np.ascontiguousarray(picture), (STEPS + 1, STEPS), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.int16)
    bits = grey[:, 1:] > grey[:, :-1]
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _percentile(picture: np.ndarray, percent: float) -> float:
    """Of the brightness of a picture [H, W, 3] uint8, from its histogram."""
    grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    shares = np.cumsum(cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel()) / grey.size
    return float(np.searchsorted(shares, percent / 100))
