import threading
from pathlib import Path

import pytest
from PIL import Image
from torch import Tensor

from maskrcnn.errors import DataError
from maskrcnn.predict.files import find_images, read_ahead


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (
        "a.png",
        "b.JPG",
        "deep/er/c.tif",
        "deep/a.png",
        "notes.txt",
        ".hidden.png",
        ".git/d.png",
        "deep/x[1].png",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["."], ["a.png", "b.JPG", "deep/a.png", "deep/er/c.tif", "deep/x[1].png"]),
        (["deep/er", "a.png"], ["deep/er/c.tif", "a.png"]),
        (["*"], ["a.png", "b.JPG"]),
        (["deep/../*.png"], ["deep/../a.png"]),
        (["**/a.png"], ["a.png", "deep/a.png"]),
        (["deep/x[1].png"], ["deep/x[1].png"]),
        (["notes.txt"], ["notes.txt"]),
        (["a.png", "./a.png", "deep/../a.png"], ["a.png"]),
        ([], []),
    ],
)
def test_files_folders_and_patterns_are_found_once_each_in_order(folder, inputs, expected):
    assert [path.as_posix() for path in find_images(inputs)] == expected


def test_what_was_drawn_before_is_no_input(folder):
    assert [str(path) for path in find_images(["deep"], leave_out=[Path("deep/er"), Path("no")])] == [
        "deep/a.png",
        "deep/x[1].png",
    ]


def test_an_input_that_is_not_there_is_named(folder):
    with pytest.raises(DataError, match=r"^c\.png: there is no such file or folder\. Check the path\.$"):
        find_images(["a.png", "c.png"])


@pytest.mark.parametrize("words", ["*.gif", "empty", "*.txt"])
def test_an_input_without_images_is_named(folder, words):
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r": no images were found there \(files that end in \.bmp.* name the files"):
        find_images([words])


def test_images_come_in_order_with_errors_in_their_place(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(5)]
    for width, path in enumerate(paths, 1):
        Image.new("RGB", (width, 1)).save(path)
    paths[2].write_bytes(b"no image")
    found = list(read_ahead(paths, count=2))
    assert [path for path, _ in found] == paths
    assert [one.shape[2] if isinstance(one, Tensor) else type(one) for _, one in found] == [1, 2, DataError, 4, 5]


def test_only_so_many_images_are_read_ahead(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", (1, 1)).save(path)
    asked = []

    def paths():
        for number in range(9):
            asked.append(number)
            yield path

    reading = read_ahead(paths(), count=2)
    next(reading)
    assert asked == [0, 1, 2]
    reading.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]
