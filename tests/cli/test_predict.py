import json

import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "photos/a.png", "photos/deep/b.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.effect_noise((40, 30), 90).convert("RGB").save(tmp_path / name)
    return tmp_path


def predicted(folder, name="predictions"):
    return json.loads((folder / name / "predictions.json").read_text())


def test_files_folders_and_patterns_become_json_and_drawn_images(folder, tiny_weights, run_cli):
    done = run_cli("predict", "a.png", "photos/*.png", "photos/deep", "--weights", tiny_weights, "--batch-size", 2)
    assert done.code == 0
    assert all(words in done.err for words in ("300 objects in 3 images: predictions/predictions.json", "0.5"))
    assert [one["file"] for one in predicted(folder)["images"]] == ["a.png", "photos/a.png", "photos/deep/b.jpg"]
    drawings = [one["drawn"] for one in predicted(folder)["images"]]
    assert drawings == ["draw/a.png", "draw/a-2.png", "draw/b.png"]
    assert all((folder / "predictions" / drawing).is_file() for drawing in drawings)


def test_settings_stand_among_the_images(folder, tiny_weights, run_cli):
    words = ["a.png", "box_head.detections_per_image=4", "--weights", tiny_weights, "--output", "out", "--no-draw"]
    assert run_cli("predict", *words).code == 0
    assert len(predicted(folder, "out")["images"][0]["objects"]) == 4
    assert not (folder / "out" / "draw").exists()


def test_polygons_are_written_if_asked_for(folder, tiny_weights, run_cli):
    words = ["a.png", "--weights", tiny_weights, "--no-draw", "--polygons"]
    assert run_cli("predict", *words, "quad").code == 0
    objects = predicted(folder)["images"][0]["objects"]
    assert {len(one["polygon"]) for one in objects} <= {0, 4}
    assert {len(corner) for one in objects for corner in one["polygon"]} == {2}
    done = run_cli("predict", *words, "circle")
    assert done.code != 0
    assert "contour" in done.err


def test_predicting_again_does_not_take_its_own_drawings_for_images(folder, tiny_weights, run_cli):
    for _ in range(2):
        run_cli("predict", ".", "--weights", tiny_weights)
        assert len(predicted(folder)["images"]) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["b.png"], "Error: b.png: "),
        (["*.tif"], "Error: *.tif: "),
        (["a.png", "--device", "gpu"], "Error: device gpu: "),
        (["a.png", "box_head.detection=4"], "Error: box_head.detection=4: "),
        (["a.png", "--output", "a.png"], "Error: a.png: "),
        (["box_head.detections_per_image=4"], "Error: no image"),
    ],
)
def test_wrong_words_give_one_message(folder, tiny_weights, run_cli, words, message):
    done = run_cli("predict", *words, "--weights", tiny_weights)
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not (folder / "predictions").exists()


def test_predictions_are_written_as_annotations_to_correct_and_trained_on(folder, tiny_weights, run_cli):
    words = ["photos", "--weights", tiny_weights, "--score-threshold", "0", "--no-draw", "--format", "coco"]
    done = run_cli("predict", *words)
    assert done.code == 0
    assert "200 objects with a score from 0 on to correct: predictions/coco" in done.err
    assert {path.name for path in (folder / "predictions" / "coco" / "images").iterdir()} == {"a.png", "b.jpg"}
    again = run_cli("predict", *words)
    assert (again.code, "Error: predictions/coco: " in again.err) == (1, True)
    assert run_cli("predict", ".", *words[1:-2]).code == 0
    assert len(predicted(folder)["images"]) == 3  # the copies are not predicted
