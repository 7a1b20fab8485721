"""Words in images, as text detection has them: a polygon each, what it says, and whether it can be read.

ICDAR 2015's Incidental Scene Text (https://rrc.cvc.uab.es/?ch=4) has a text file of four-cornered words per image.
SCUT-CTW1500 (https://github.com/Yuliang-Liu/Curve-Text-Detector) has lines of curved text, each of 14 points: the first
version of its annotations has offsets and no texts, the second absolute points and texts, in XML for training and as
text files for the test.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ...errors import DataError
from ..dataset import Contents
from .contents import ContentsBuilder, Format, files_by_name, list_images, read_text, read_xml, require_partners

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


def pair_files(
    place: Path, images: dict[str, Path], words: dict[str, Path], expected: Callable[[str], Path]
) -> list[WordsFile]:
    """Images and files of words of the same name, in the order of the names.

    Args:
        place: Folder of the words, for messages.
        images, words: By name.
        expected: Where the image of a name should be, if it is not there.

    Raises:
        DataError: An image has no file of words.
    """
    remedy = "Add them (empty if there is no word), or take the images out."
    require_partners(place, images, words, "file of their words", remedy)
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
    found = ContentsBuilder(["text"], source, images)
    for image, file in files:
        words = read(file)
        image_id = found.add_image(image, found.size_of(image) if image.is_file() else _extent(words))
        for word in words:
            x, y = word.points[::2], word.points[1::2]
            box = [min(x), min(y), max(x) - min(x), max(y) - min(y)]
            more = {} if word.text is None else {"text": word.text}
            found.add_object(image_id, "text", crowd=word.ignored, bbox=box, segmentation=[word.points], **more)
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


ICDAR_FOLDERS = {
    "train": (("ch4_training_images",), ("ch4_training_localization_transcription_gt",)),
    "test": (("ch4_test_images",), ("Challenge4_Test_Task1_GT", "ch4_test_localization_transcription_gt")),
}
"""Of the images and of the words of each split."""
ICDAR_LAYOUT = (
    "ch4_test_images/img_N.jpg, Challenge4_Test_Task1_GT/gt_img_N.txt; ch4_training_images/img_N.jpg, "
    "ch4_training_localization_transcription_gt/gt_img_N.txt"
)
ICDAR_PREFIX = "gt_"


def has_icdar(path: Path, split: str) -> bool:
    """Whether a folder holds a split in the official layout, or is itself one of files gt_NAME.txt."""
    return path.is_dir() and _icdar_folder(path, split) is not None


def find_icdar(path: Path, split: str, images: Path | None = None) -> list[WordsFile]:
    """The images of a split and the files of their words, in the order of their names.

    Args:
        path: With the official folders, or the folder of files gt_NAME.txt itself, which is the split "train".
        split: "train" or "test".
        images: Folder of the images; None: the official one, or beside the files.

    Raises:
        DataError: The files of words are not there, or an image has none.
    """
    folder = _icdar_folder(path, split)
    if folder is None:
        raise DataError(f"{path}: the files of ICDAR's split {split} are not there. The layout is {ICDAR_LAYOUT}.")
    photos = images or _image_folder(path, folder, split)
    words = {file.stem.removeprefix(ICDAR_PREFIX): file for file in sorted(folder.glob(f"{ICDAR_PREFIX}*.txt"))}
    return pair_files(folder, files_by_name(list_images(photos)), words, lambda name: photos / f"{name}.jpg")


def read_icdar(path: Path, split: str, images: Path | None = None) -> Contents:
    """Read a split; words whose text is ### become crowds.

    Args:
        path, split, images: As for `find_icdar`.

    Raises:
        DataError: As `find_icdar`; a line is not as it should be.
    """
    return gather_words(find_icdar(path, split, images), read_icdar_words, path, images or path)


def read_icdar_words(file: Path) -> list[Word]:
    """The words of a file, whose lines are x1,y1,x2,y2,x3,y3,x4,y4,text; the text may have commas, or be missing.

    Raises:
        DataError: Naming the line.
    """
    words = []
    for number, line in enumerate(read_text(file, "a file of words").splitlines(), start=1):
        parts = line.lstrip("\ufeff").split(",", 8)
        where = f"{file}: line {number}"
        if not line.strip():
            continue
        if len(parts) < 8:
            raise DataError(
                f"{where}: has {len(parts)} values, but must be x1,y1,x2,y2,x3,y3,x4,y4,text. Correct the line."
            )
        text = parts[8].strip() if len(parts) > 8 else None
        words.append(Word(read_numbers(parts[:8], where), text, text == UNREADABLE_WORD))
    return words


def _icdar_folder(path: Path, split: str) -> Path | None:
    if split in ICDAR_FOLDERS:
        for name in ICDAR_FOLDERS[split][1]:
            if _holds_icdar(path / name):
                return path / name
    return path if split == "train" and _holds_icdar(path) else None


def _holds_icdar(folder: Path) -> bool:
    return folder.is_dir() and any(True for _ in folder.glob(f"{ICDAR_PREFIX}*.txt"))


def _image_folder(path: Path, words: Path, split: str) -> Path:
    return path if words == path else path / ICDAR_FOLDERS[split][0][0]


ICDAR = Format("icdar", "ICDAR 2015 text", ICDAR_LAYOUT, has_icdar, read_icdar)


CTW1500_IMAGES = {
    "train": ("train_images", "ctw1500_train_images", "train/text_image"),
    "test": ("test_images", "ctw1500_test_images", "test/text_image"),
}
CTW1500_WORDS = {
    "train": ("ctw1500_train_labels", "train_labels", "train/text_label_curve"),
    "test": ("gt_ctw1500", "ctw1500_test_labels", "test_labels", "test/text_label_curve"),
}
"""The second version first."""
CTW1500_LAYOUT = (
    "test_images/1001.jpg, gt_ctw1500/0001001.txt, train_images/0001.jpg, ctw1500_train_labels/0001.xml; or of the "
    "first version {train,test}/text_image/*.jpg, {train,test}/text_label_curve/*.txt"
)
CTW1500_SUFFIXES = (".txt", ".xml")
MARK = ",####"
"""Before the text in the second version; so ### is written #######."""
VALUES = 32


def has_ctw1500(path: Path, split: str) -> bool:
    """Whether a folder holds a split in the layout of one of the versions."""
    return _ctw1500_folder(path, split) is not None


def find_ctw1500(path: Path, split: str, images: Path | None = None) -> list[WordsFile]:
    """The images of a split and the files of their words, in the order of their numbers.

    Args:
        path: With the folders of the distribution.
        split: "train" or "test".
        images: Folder of the images, if it is not the usual one.

    Raises:
        DataError: The files of words are not there, or an image has none.
    """
    folder = _ctw1500_folder(path, split)
    if folder is None:
        raise DataError(f"{path}: the files of CTW1500's split {split} are not there. The layout is {CTW1500_LAYOUT}.")
    places = [path / name for name in CTW1500_IMAGES[split] if (path / name).is_dir()]
    photos = images or (places[0] if places else path / CTW1500_IMAGES[split][0])
    words = {_number(file): file for file in sorted(folder.rglob("*")) if file.suffix in CTW1500_SUFFIXES}
    known = {_number(file): file for file in list_images(photos)}
    return pair_files(folder, known, words, lambda name: photos / f"{name}.jpg")


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
        return _read_ctw1500_xml(file)
    lines = enumerate(read_text(file, "a file of words").splitlines(), start=1)
    return [_read_ctw1500_line(line, f"{file}: line {number}") for number, line in lines if line.strip()]


def _read_ctw1500_line(line: str, where: str) -> Word:
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


def _read_ctw1500_xml(file: Path) -> list[Word]:
    boxes = read_xml(file, "an XML file of words").iter("box")
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


def _ctw1500_folder(path: Path, split: str) -> Path | None:
    folders = [path / name for name in CTW1500_WORDS.get(split, ())]
    return next((folder for folder in folders if folder.is_dir() and _holds_ctw1500(folder)), None)


def _holds_ctw1500(folder: Path) -> bool:
    return any(file.suffix in CTW1500_SUFFIXES for file in folder.rglob("*"))


def _number(file: Path) -> str:
    """Four digits: the second version calls the words of 1001.jpg 0001001.txt."""
    return f"{int(file.stem):04d}" if file.stem.isdigit() else file.stem


CTW1500 = Format("ctw1500", "CTW1500 text", CTW1500_LAYOUT, has_ctw1500, read_ctw1500)
