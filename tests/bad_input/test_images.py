"""Image files of all kinds, good and broken, from the command line with a real model."""

import json

import numpy as np
import pytest
from PIL import Image

RANDOM = np.random.default_rng(0)


def noise(height: int, width: int, *channels: int, limit: int = 255, kind: type = np.uint8) -> np.ndarray:
    return RANDOM.integers(0, limit, (height, width, *channels)).astype(kind)


def rotated() -> dict:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    return {"exif": exif}


# Name of the file: the image, how it is saved, and the (height, width) people see.
UNUSUAL = {
    "gray.png": (Image.fromarray(noise(30, 40)), {}, (30, 40)),
    "palette.png": (Image.fromarray(noise(30, 40, 3)).quantize(16), {}, (30, 40)),
    "rgba.png": (Image.fromarray(noise(30, 40, 4)), {}, (30, 40)),
    "16bit.tif": (Image.fromarray(noise(30, 40, limit=65535, kind=np.uint16)), {}, (30, 40)),
    "upright.jpg": (Image.fromarray(noise(30, 40, 3)), rotated(), (40, 30)),
    "point.png": (Image.fromarray(noise(1, 1, 3)), {}, (1, 1)),
    "strip.png": (Image.fromarray(noise(40, 12000, 3)), {}, (40, 12000)),
    "tower.png": (Image.fromarray(noise(12000, 40, 3)), {}, (12000, 40)),
}


def whole_jpeg(folder) -> bytes:
    path = folder / "whole.jpg"
    Image.fromarray(noise(64, 64, 3)).save(path)
    content = path.read_bytes()
    path.unlink()
    return content


BROKEN = {
    "zero-byte": lambda folder: b"",
    "corrupt": lambda folder: b"\x89PNG\r\n\x1a\n" + bytes(40),
    "cut off": lambda folder: whole_jpeg(folder)[:1500],
    "text": lambda folder: b"<html>404</html>",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    return tmp_path


def write_data(folder, sizes: dict[str, tuple[int, int]]) -> None:
    """A dataset of the images in `photos`, with an object in the last of them."""
    images = [
        {"id": i, "file_name": name, "height": size[0], "width": size[1]}
        for i, (name, size) in enumerate(sizes.items())
    ]
    found = {"id": 1, "image_id": len(sizes) - 1, "category_id": 1, "bbox": [0, 0, 1, 1]}
    content = {"images": images, "categories": [{"id": 1, "name": "circle"}], "annotations": [found]}
    (folder / "data.json").write_text(json.dumps(content))


def test_images_of_every_kind_and_shape_are_predicted_and_scored(folder, tiny_weights, run_cli):
    for name, (image, how, _) in UNUSUAL.items():
        image.save(folder / "photos" / name, **how)
    done = run_cli("predict", "photos", "--weights", tiny_weights, "--batch-size", 3, "--score-threshold", 0.1)
    assert done.code == 0
    content = json.loads((folder / "predictions" / "predictions.json").read_text())
    sizes = {one["file"].removeprefix("photos/"): tuple(one["size"]) for one in content["images"]}
    assert sizes == {name: size for name, (_, _, size) in UNUSUAL.items()}
    for one in content["images"]:
        assert Image.open(folder / "predictions" / one["drawn"]).size == tuple(one["size"][::-1])
        assert all(found["mask"]["size"] == one["size"] for found in one["objects"])
    write_data(folder, sizes)
    words = ["--data", "data.json", "--images", "photos", "--weights", tiny_weights, "--json", "scores.json"]
    done = run_cli("evaluate", *words)
    assert done.code == 0
    assert json.loads((folder / "scores.json").read_text())["images"] == len(UNUSUAL)


@pytest.mark.parametrize("kind", BROKEN)
def test_an_image_that_cannot_be_read_is_named_and_the_others_are_predicted(folder, tiny_weights, run_cli, kind):
    (folder / "photos" / "broken.jpg").write_bytes(BROKEN[kind](folder))
    Image.fromarray(noise(30, 40, 3)).save(folder / "photos" / "whole.png")
    done = run_cli("predict", "photos", "--weights", tiny_weights)
    assert (done.code, done.out) == (1, "")
    errors = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert errors[0].startswith("Error: photos/broken.jpg: ")
    assert "Traceback" not in done.err
    written = json.loads((folder / "predictions" / "predictions.json").read_text())
    assert [one["file"] for one in written["images"]] == ["photos/whole.png"]
    assert written["failed"] == [{"file": "photos/broken.jpg", "error": errors[0].removeprefix("Error: ")}]
    assert [path.name for path in (folder / "predictions" / "draw").iterdir()] == ["whole.png"]


@pytest.mark.parametrize("kind", BROKEN)
def test_an_evaluation_stops_at_an_image_that_cannot_be_read(folder, tiny_weights, run_cli, kind):
    (folder / "photos" / "broken.jpg").write_bytes(BROKEN[kind](folder))
    write_data(folder, {"broken.jpg": (64, 64)})
    words = ["--data", "data.json", "--images", "photos", "--weights", tiny_weights, "--json", "scores.json"]
    done = run_cli("evaluate", *words)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert done.err.startswith("Error: photos/broken.jpg: ")
    assert not (folder / "scores.json").exists()
