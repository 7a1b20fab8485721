"""What kind of file holds weights: its first bytes tell, whatever it is called."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from ..errors import WeightsError
from .torch_files import LEGACY, ZIP

Kind = Literal["torch", "pickle", "safetensors"]

START = 512
WEB_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<(!doctype|html|head|\?xml|!--)", re.IGNORECASE)
# The length of the header, below 2**32, and the brace with which the header begins.
SAFETENSORS = re.compile(rb"....\0\0\0\0\{", re.DOTALL)
# Binary protocols (but not the number with which old torch files begin), and dictionaries and objects in older ones.
PICKLE = re.compile(rb"\x80[\x02-\x05][^\x8a]|\(d|\}q|c\w[\w.]*\n", re.DOTALL)
BY_SUFFIX: dict[str, Kind] = {".pth": "torch", ".pt": "torch", ".pkl": "pickle"}


def find_kind(path: Path) -> Kind:
    """Whether a file is one of `torch.save`, a pickle or safetensors.

    Only if its beginning tells nothing (it was cut off or damaged), its suffix says what it should have been.

    Raises:
        WeightsError: It cannot be read, is empty or is a web page.
    """
    try:
        with path.open("rb") as file:
            start = file.read(START)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror}).") from error
    if not start:
        raise WeightsError(f"{path}: the weights file is empty (0 bytes). Copy or download it again.")
    if WEB_PAGE.match(start):
        raise WeightsError(
            f"{path}: this is a web page, not weights, perhaps one that asks to log in or from which the file is "
            "fetched. Fetch the file itself."
        )
    if SAFETENSORS.match(start):
        return "safetensors"
    if start.startswith((ZIP, LEGACY)):
        return "torch"
    if PICKLE.match(start):
        return "pickle"
    return BY_SUFFIX.get(path.suffix.lower(), "safetensors")
