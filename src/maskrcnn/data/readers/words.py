"""Words in images, as text detection has them: a polygon each, what it says, and whether it can be read."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import DataError
from ..dataset import Contents
from ..images import image_size
from .coco_images import NAMED
from .gathering import Gathering

UNREADABLE_WORD = "###"
"""What stands for words that nobody can read: they are not looked for, and become crowds."""


class Word(NamedTuple):
    """An annotated word or line.

    Args:
        points: x and y in turn of at least 3 points.
        text: What it says; None: not known.
        ignored: It is not looked for.
    """

    points: list[float]
    text: str | None = None
    ignored: bool = False


class WordsFile(NamedTuple):
    """An image, or where it should be, and the file of its words."""

    image: Path
    words: Path


def pair_files(images: dict[str, Path], words: dict[str, Path], expected: Callable[[str], Path]) -> list[WordsFile]:
    """Images and files of words of the same name, in the order of the names.

    Args:
        images, words: By name.
        expected: Where the image of a name should be, if it is not there.

    Raises:
        DataError: An image has no file of words.
    """
    missing = [str(images[name]) for name in sorted(images.keys() - words.keys())]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(images)} images have no file of their words: {', '.join(missing[:NAMED])}"
            f"{', ...' if len(missing) > NAMED else ''}. Add them (empty if there is no word), or take the "
            "images out."
        )
    return [WordsFile(images.get(name) or expected(name), words[name]) for name in sorted(words)]


def gather_words(
    files: Sequence[WordsFile], read: Callable[[Path], list[Word]], source: Path, images: Path
) -> Contents:
    """The words of files in COCO's terms: the class `text`, polygons with `text`, crowds where they are ignored.

    Args:
        files: One per image. Where an image is not there, its size is taken from the words that lie farthest.
        read: Reads the words of a file.
        source: For messages.
        images: Folder that the images' file names start from.
    """
    found = Gathering(["text"], source, images)
    for image, file in files:
        words = read(file)
        image_id = found.add_image(image, image_size(image) if image.is_file() else _extent(words))
        for word in words:
            x, y = word.points[::2], word.points[1::2]
            box = [min(x), min(y), max(x) - min(x), max(y) - min(y)]
            said = {} if word.text is None else {"text": word.text}
            found.add_object(image_id, "text", crowd=word.ignored, bbox=box, segmentation=[word.points], **said)
    return found.contents()


def read_numbers(words: Sequence[str], where: str) -> list[float]:
    """Finite numbers of a line.

    Raises:
        DataError: One is none; the message begins with `where`.
    """
    numbers = []
    for word in words:
        try:
            numbers.append(float(word))
        except ValueError as error:
            raise DataError(f"{where}: {word.strip()!r} is not a number. Correct the line.") from error
        if not math.isfinite(numbers[-1]):
            raise DataError(f"{where}: {word.strip()} is not a finite number. Correct the line.")
    return numbers


def _extent(words: Sequence[Word]) -> tuple[int, int]:
    """(height, width) of the smallest image that holds some words."""
    reach = [
        max((math.ceil(value) for word in words for value in word.points[start::2]), default=1) for start in (1, 0)
    ]
    return max(1, reach[0]), max(1, reach[1])
