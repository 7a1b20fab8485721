"""Annotation files that break a rule, from the command line: one message, and nothing written."""

import json
import re

import pytest
from PIL import Image

POLYGON = [[4, 4, 24, 4, 24, 24, 4, 24]]


def content(**first) -> dict:
    """Two images with an object each; `first` changes the first object."""
    objects = [
        {"id": number, "image_id": number, "category_id": 1, "bbox": [4, 4, 20, 20], "segmentation": POLYGON}
        for number in (1, 2)
    ]
    objects[0] |= first
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 48, "height": 32} for i in (1, 2)],
        "categories": [{"id": 1, "name": "circle"}],
        "annotations": objects,
    }


def with_lists(**lists) -> dict:
    return content() | lists


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    for number in (1, 2):
        Image.effect_noise((48, 32), 90).convert("RGB").save(tmp_path / "images" / f"{number}.png")
    return tmp_path


def write(folder, annotations):
    text = annotations if isinstance(annotations, str) else json.dumps(annotations)
    (folder / "data.json").write_text(text)


# One of each place that checks annotations: the file, its lists, its images, an object. Values: see the reader.
BROKEN = {
    "truncated JSON": (json.dumps(content())[:150], "line 1"),
    "no categories": (with_lists(categories=[]), "`categories`"),
    "a missing image": (
        with_lists(images=[*content()["images"], {"id": 3, "file_name": "3.png", "width": 48, "height": 32}]),
        r"1 of its 3 .*images/3\.png",
    ),
    "an unknown image": (content(image_id=9), "annotation 1: `image_id` is 9"),
    "a box of no area": (content(bbox=[4, 4, 0, 9]), r"annotation 1 \(1\.png\): box \[4, 4, 0, 9\]"),
}
COMMANDS = {
    "evaluate": ["evaluate", "--json", "scores.json", "--results", "results.json"],
    "train": ["train", "--output", "run"],
}


@pytest.mark.parametrize("verb", COMMANDS)
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_annotation_file_gives_one_message_and_nothing_is_written(folder, tiny_weights, run_cli, kind, verb):
    annotations, message = BROKEN[kind]
    write(folder, annotations)
    before = sorted(folder.rglob("*"))
    words = ["--data", "data.json", "--images", "images", "--weights", tiny_weights]
    done = run_cli(*COMMANDS[verb], *words)
    assert (done.code, done.out) == (1, "")
    assert re.fullmatch(rf"Error: \S*data\.json: .*({message}).*\n", done.err)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("kind", ["a box of no area", "an unknown image"])
def test_broken_objects_can_be_left_out(folder, tiny_weights, run_cli, kind):
    write(folder, BROKEN[kind][0])
    done = run_cli(
        *("evaluate", "--data", "data.json", "--images", "images", "--weights", tiny_weights),
        *("--json", "scores.json", "--skip-invalid"),
    )
    assert done.code == 0
    assert "Left out: data.json: annotation 1" in done.err
    assert json.loads((folder / "scores.json").read_text())["objects"] == 1


def test_a_data_set_without_objects_can_be_evaluated_but_not_trained_on(folder, tiny_weights, run_cli):
    write(folder, with_lists(annotations=[]))
    words = ["--data", "data.json", "--images", "images", "--weights", tiny_weights]
    assert run_cli(*COMMANDS["evaluate"], *words).code == 0
    scores = json.loads((folder / "scores.json").read_text())
    assert (scores["segm"]["AP"], scores["images"], scores["objects"]) == (-1, 2, 0)
    done = run_cli(*COMMANDS["train"], *words)
    assert done.code == 1
    assert "data.json: none of the 2 images" in done.err
    assert not (folder / "run").exists()
