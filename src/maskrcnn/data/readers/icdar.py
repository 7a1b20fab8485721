"""ICDAR 2015's Incidental Scene Text (https://rrc.cvc.uab.es/?ch=4): a text file of four-cornered words per image."""

from __future__ import annotations

from pathlib import Path

from ...errors import DataError
from ..dataset import Contents
from .gathering import Format, list_images, read_text
from .mask_images import files_by_name
from .words import UNREADABLE_WORD, Word, WordsFile, gather_words, pair_files, read_numbers

FOLDERS = {
    "train": (("ch4_training_images",), ("ch4_training_localization_transcription_gt",)),
    "test": (("ch4_test_images",), ("Challenge4_Test_Task1_GT", "ch4_test_localization_transcription_gt")),
}
"""Of the images and of the words of each split."""
LAYOUT = (
    "ch4_test_images/img_N.jpg, Challenge4_Test_Task1_GT/gt_img_N.txt; ch4_training_images/img_N.jpg, "
    "ch4_training_localization_transcription_gt/gt_img_N.txt"
)
PREFIX = "gt_"


def has_icdar(path: Path, split: str) -> bool:
    """Whether a folder holds a split in the official layout, or is itself one of files gt_NAME.txt."""
    return path.is_dir() and _words_folder(path, split) is not None


def find_icdar(path: Path, split: str, images: Path | None = None) -> list[WordsFile]:
    """The images of a split and the files of their words, in the order of their names.

    Args:
        path: With the official folders, or the folder of files gt_NAME.txt itself, which is the split "train".
        split: "train" or "test".
        images: Folder of the images; None: the official one, or beside the files.

    Raises:
        DataError: The files of words are not there, or an image has none.
    """
    folder = _words_folder(path, split)
    if folder is None:
        raise DataError(f"{path}: the files of ICDAR's split {split} are not there. The layout is {LAYOUT}.")
    found_images = images or _image_folder(path, folder, split)
    words = {file.stem.removeprefix(PREFIX): file for file in sorted(folder.glob(f"{PREFIX}*.txt"))}
    return pair_files(files_by_name(list_images(found_images)), words, lambda name: found_images / f"{name}.jpg")


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


def _words_folder(path: Path, split: str) -> Path | None:
    if split in FOLDERS:
        for name in FOLDERS[split][1]:
            if _holds_words(path / name):
                return path / name
    return path if split == "train" and _holds_words(path) else None


def _holds_words(folder: Path) -> bool:
    return folder.is_dir() and any(True for _ in folder.glob(f"{PREFIX}*.txt"))


def _image_folder(path: Path, words: Path, split: str) -> Path:
    return path if words == path else path / FOLDERS[split][0][0]


FORMAT = Format("icdar", "ICDAR 2015 text", LAYOUT, has_icdar, read_icdar)
