"""A dataset's images lie in its folders, unless the user allows others."""

import json
import os

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
