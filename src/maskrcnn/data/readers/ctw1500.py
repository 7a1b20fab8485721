"""SCUT-CTW1500 (https://github.com/Yuliang-Liu/Curve-Text-Detector): lines of curved text, each of 14 points.

The first version of the annotations has offsets and no texts; the second has absolute points and texts, in XML for
training and as text files for the test.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from ...errors import DataError
from ..dataset import Contents
from .gathering import Format, list_images, read_text
from .words import UNREADABLE_WORD, Word, WordsFile, gather_words, pair_files, read_numbers

IMAGES = {
    "train": ("train_images", "ctw1500_train_images", "train/text_image"),
    "test": ("test_images", "ctw1500_test_images", "test/text_image"),
}
WORDS = {
    "train": ("ctw1500_train_labels", "train_labels", "train/text_label_curve"),
    "test": ("gt_ctw1500", "ctw1500_test_labels", "test_labels", "test/text_label_curve"),
}
"""The second version first."""
LAYOUT = (
    "test_images/1001.jpg, gt_ctw1500/0001001.txt, train_images/0001.jpg, ctw1500_train_labels/0001.xml; or of the "
    "first version {train,test}/text_image/*.jpg, {train,test}/text_label_curve/*.txt"
)
SUFFIXES = (".txt", ".xml")
MARK = ",####"
"""Before the text in the second version; so ### is written #######."""
VALUES = 32


def has_ctw1500(path: Path, split: str) -> bool:
    """Whether a folder holds a split in the layout of one of the versions."""
    return _words_folder(path, split) is not None


def find_ctw1500(path: Path, split: str, images: Path | None = None) -> list[WordsFile]:
    """The images of a split and the files of their words, in the order of their numbers.

    Args:
        path: With the folders of the distribution.
        split: "train" or "test".
        images: Folder of the images, if it is not the usual one.

    Raises:
        DataError: The files of words are not there, or an image has none.
    """
    folder = _words_folder(path, split)
    if folder is None:
        raise DataError(f"{path}: the files of CTW1500's split {split} are not there. The layout is {LAYOUT}.")
    places = [path / name for name in IMAGES[split] if (path / name).is_dir()]
    found_images = images or (places[0] if places else path / IMAGES[split][0])
    words = {_name(file): file for file in sorted(folder.rglob("*")) if file.suffix in SUFFIXES}
    known = {_name(file): file for file in list_images(found_images)}
    return pair_files(known, words, lambda name: found_images / f"{name}.jpg")


def read_ctw1500(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split; lines of the test whose text is ### become crowds, as in MMOCR, but none of training.

    Args:
        path, split, images: As for `find_ctw1500`.

    Raises:
        DataError: As `find_ctw1500`; a line or an element is not as it should be.
    """
    return gather_words(find_ctw1500(path, split, images), read_ctw1500_words, path, images or path)


def read_ctw1500_words(file: Path) -> list[Word]:
    """The lines of text of a file of either version.

    - .xml: elements `box` with `label` and `segs`, x and y of the points.
    - .txt of the second version: `x1,y1,...,####text`.
    - .txt of the first: 32 numbers, `xmin,ymin,xmax,ymax`, then x and y of 14 points from (xmin, ymin).

    Raises:
        DataError: Naming the line or the element.
    """
    if file.suffix == ".xml":
        return _read_xml(file)
    lines = enumerate(read_text(file, "a file of words").splitlines(), start=1)
    return [_read_line(line, f"{file}: line {number}") for number, line in lines if line.strip()]


def _read_line(line: str, where: str) -> Word:
    values, mark, text = line.partition(MARK)
    numbers = read_numbers(values.strip().strip(",").split(","), where)
    if mark:
        _require_points(numbers, where)
        return Word(numbers, text.strip(), text.strip() == UNREADABLE_WORD)
    if len(numbers) != VALUES:
        raise DataError(
            f"{where}: has {len(numbers)} numbers, but must be xmin,ymin,xmax,ymax and 14 offsets (32 numbers), or "
            "points followed by ,####text. Correct the line."
        )
    return Word([value + numbers[place % 2] for place, value in enumerate(numbers[4:])])


def _read_xml(file: Path) -> list[Word]:
    try:
        boxes = list(ElementTree.fromstring(read_text(file, "an XML file of words")).iter("box"))
    except ElementTree.ParseError as error:
        raise DataError(f"{file}: is not complete XML ({error}). Copy it again.") from error
    words = []
    for number, box in enumerate(boxes, start=1):
        where = f"{file}: box {number}"
        points = box.findtext("segs")
        if points is None:
            raise DataError(f"{where}: has no `segs`, the points of its polygon. Take the official file.")
        numbers = read_numbers(points.strip().strip(",").split(","), where)
        _require_points(numbers, where)
        words.append(Word(numbers, box.findtext("label")))
    return words


def _require_points(numbers: list[float], where: str) -> None:
    if len(numbers) < 6 or len(numbers) % 2:
        raise DataError(
            f"{where}: has {len(numbers)} numbers, but x and y of at least 3 points are needed. Correct it."
        )


def _words_folder(path: Path, split: str) -> Path | None:
    folders = [path / name for name in WORDS.get(split, ())]
    return next((folder for folder in folders if folder.is_dir() and _holds_words(folder)), None)


def _holds_words(folder: Path) -> bool:
    return any(file.suffix in SUFFIXES for file in folder.rglob("*"))


def _name(file: Path) -> str:
    """Four digits: the second version calls the words of 1001.jpg 0001001.txt."""
    return f"{int(file.stem):04d}" if file.stem.isdigit() else file.stem


FORMAT = Format("ctw1500", "CTW1500 text", LAYOUT, has_ctw1500, read_ctw1500)
