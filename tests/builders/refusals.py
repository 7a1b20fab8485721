"""What every reader promises of objects that cannot be used."""

import re

import pytest

from maskrcnn.data.formats import read_dataset
from maskrcnn.errors import DataError


def assert_refused_or_left_out(folder, *named: str, split: str = "train") -> None:
    """One of the first image's two objects is an error that names all of this, and is left out if that is asked for."""
    with pytest.raises(DataError) as error:
        read_dataset(folder, split)
    missing = [words for words in named if not re.search(words, str(error.value))]
    assert not missing, str(error.value)
    data = read_dataset(folder, split, skip_invalid=True)
    assert (len(data[0].instances), len(data.skipped)) == (1, 1)
    assert str(error.value).startswith(data.skipped[0])
