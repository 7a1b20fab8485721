"""A dataset's images lie in its folders, unless the user allows others."""

import json
import os
import sys
from contextlib import contextmanager
from functools import cache

import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.confinement import VARIABLE
from maskrcnn.data.formats import read_dataset
from maskrcnn.errors import DataError


@pytest.fixture
def secret(tmp_path, monkeypatch):
    """An image outside of the folder `set`."""
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "set" / "images").mkdir(parents=True)
    place = tmp_path / "private" / "secret.png"
    place.parent.mkdir()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(place)
    return place


def write(folder, name):
    image = {"id": 1, "file_name": name, "height": 8, "width": 8}
    found = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4]}
    content = {"images": [image], "annotations": [found], "categories": [{"id": 1, "name": "a"}]}
    (folder / "set" / "train.json").write_text(json.dumps(content))
    return folder / "set"


@pytest.mark.parametrize("kind", ["above", "absolute", "link to a file", "link to a folder"])
def test_an_image_outside_is_refused_and_read_where_it_is_allowed(tmp_path, secret, monkeypatch, kind):
    names = {"above": "../../private/secret.png", "absolute": str(secret), "link to a folder": "folder/secret.png"}
    if kind == "link to a file":
        (tmp_path / "set" / "images" / "link.png").symlink_to(secret)
    (tmp_path / "set" / "images" / "folder").symlink_to(secret.parent)
    data = write(tmp_path, names.get(kind, "link.png"))
    with pytest.raises(DataError, match=f"train.json.*{secret}"):
        read_dataset(data)
    monkeypatch.setenv(VARIABLE, "1")
    assert len(read_dataset(data)) == 1


def test_a_folder_of_images_that_is_named_or_linked_is_a_part_of_the_dataset(tmp_path, secret):
    data = write(tmp_path, "secret.png")
    assert len(read_dataset(data, images=secret.parent)) == 1
    (data / "images").rmdir()
    (data / "images").symlink_to(secret.parent)
    assert len(read_dataset(data)) == 1


def test_a_list_of_yolo_cannot_name_files_elsewhere(tmp_path, secret):
    data = tmp_path / "set"
    (data / "data.yaml").write_text("train: train.txt\nnames: [a]\n")
    (data / "train.txt").write_text(f"{secret}\n")
    secret.with_suffix(".txt").write_text("0 .5 .5 .2 .2\n")
    with pytest.raises(DataError, match=str(secret)):
        read_dataset(data)


WATCHERS: list[list[str]] = []


@cache
def watch():
    """Note each file that is opened from here on, while somebody asks; Python never takes such a hook away."""
    sys.addaudithook(lambda event, words: [one.append(str(words[0])) for one in WATCHERS if event == "open"])


@contextmanager
def opened_files():
    watch()
    WATCHERS.append([])
    try:
        yield WATCHERS[-1]
    finally:
        WATCHERS.pop()


VIA = """{"x": {"filename": "%s", "regions": [{"shape_attributes": {"name": "rect", "x": 1, "y": 1, "width": 4,
"height": 4}, "region_attributes": {"class": "a"}}]}}"""
CVAT = """<annotations><meta><task><labels><label><name>a</name></label></labels></task></meta><image id="0" name="%s">
<box label="a" xtl="1" ytl="1" xbr="4" ybr="4"/></image></annotations>"""


@pytest.mark.parametrize(
    ("file", "text", "form"),
    [
        ("via_region_data.json", VIA, "via"),
        ("annotations.xml", CVAT, "cvat"),
        ("ImageSets/Main/train.txt", "%s", "voc"),
        ("dataset/train.txt", "%s", "sbd"),
    ],
)
def test_what_lies_outside_is_not_even_opened_for_its_size(tmp_path, secret, monkeypatch, file, text, form):
    for name in ("dataset/img", "dataset/inst", "Annotations", "JPEGImages"):
        (tmp_path / "set" / name).mkdir(parents=True)
    (tmp_path / "set" / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "set" / file).write_text(text % secret)
    secret.with_suffix(".xml").write_text("<annotation/>")
    with opened_files() as opened, pytest.raises(DataError, match=str(secret)):
        read_dataset(tmp_path / "set", form=form)
    assert opened
    assert [name for name in opened if str(secret.parent) in name] == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
@pytest.mark.parametrize("kind", ["pipe", "folder"])
def test_what_is_no_file_never_blocks(tmp_path, secret, kind):
    place = tmp_path / "set" / "images" / "a.png"
    os.mkfifo(place) if kind == "pipe" else place.mkdir()
    data = write(tmp_path, "a.png")
    content = json.loads((data / "train.json").read_text())
    del content["images"][0]["height"]
    (data / "train.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="a.png"):
        read_dataset(data)
