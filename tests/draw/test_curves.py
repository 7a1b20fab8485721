import json

import numpy as np
import pytest
from matplotlib import pyplot
from PIL import Image

from maskrcnn.draw.curves import COLORS, _losses, _scores, _smooth, draw_bars, draw_curves, read_log
from maskrcnn.errors import DataError

STEPS = [{"kind": "step", "step": step, "loss": 2 / step, "losses": {"masks": 1 / step}} for step in (1, 2, 3)]
SCORES = {"kind": "evaluation", "step": 3, "scores": {"bbox": {"AP": 0.25}, "segm": {"AP": 0.5, "AP50": -1}}}
WORKS = {"prediction": {"theirs": 2.0, "ours": 0.5}, "training": {"theirs": 8.0, "ours": 4.0}}


def write(path, entries, end=""):
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries) + end)
    return path


def test_losses_and_scores_become_curves_over_the_steps():
    entries = [{"kind": "settings", "settings": {}}, *STEPS, SCORES]
    assert _losses(entries) == {"total": {1: 2, 2: 1, 3: 2 / 3}, "masks": {1: 1, 2: 0.5, 3: 1 / 3}}
    assert _scores(entries) == {"boxes AP": {3: 25}, "masks AP": {3: 50}}
    assert _scores([{"step": 2, "scores": {"keypoints": {"AP": 0.75}}}]) == {"keypoints AP": {2: 75}}
    assert _scores([{"step": 2, "scores": {"proposals": {"AR@1000": 0.5}}}]) == {"proposals AR@1000": {2: 50}}


def test_the_later_entry_of_a_step_counts():
    assert _losses([STEPS[0], STEPS[0] | {"loss": 7}])["total"] == {1: 7}


def test_a_cut_off_last_line_is_left_out_and_another_is_an_error(tmp_path):
    assert read_log(write(tmp_path / "log.jsonl", STEPS, end='{"step": 4, "lo')) == STEPS
    path = write(tmp_path / "log.jsonl", STEPS[:1], end='{"step"\n' + json.dumps(STEPS[1]))
    with pytest.raises(DataError, match="log.jsonl: line 2"):
        read_log(path)


def test_a_missing_log_is_named(tmp_path):
    with pytest.raises(DataError, match="log.jsonl"):
        read_log(tmp_path / "log.jsonl")


@pytest.mark.parametrize("entries", [[], STEPS[:1], STEPS, [SCORES], [*STEPS, SCORES]])
def test_whatever_was_logged_gives_an_image(entries, tmp_path):
    draw_curves(write(tmp_path / "log.jsonl", entries), tmp_path / "new" / "curves.png")
    image = np.array(Image.open(tmp_path / "new" / "curves.png").convert("L"))
    assert image.shape[1] > 1000
    assert image.min() < 100


def test_no_window_is_opened(tmp_path):
    draw_curves(write(tmp_path / "log.jsonl", STEPS), tmp_path / "curves.png")
    assert pyplot.get_fignums() == []


def test_the_average_is_over_a_fiftieth_of_the_curve():
    values = np.zeros(100)
    values[50] = 3
    assert _smooth(values)[48:53].tolist() == [0, 1, 1, 1, 0]
    assert _smooth(values[:3]).tolist() == [0, 0, 0]
    assert _smooth(np.ones(500)) == pytest.approx(1)
    assert _smooth(np.zeros(0)).tolist() == []


def pixels_of(path, color):
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return (np.asarray(Image.open(path).convert("RGB")) == rgb).all(axis=2)


def test_bars_are_as_long_as_their_values(tmp_path):
    draw_bars(WORKS, tmp_path / "new" / "bars.png", label="seconds")
    theirs, ours = (pixels_of(tmp_path / "new" / "bars.png", color) for color in COLORS[:2])
    # The longest row of pixels of each is its bar for training; the legend's patches are shorter.
    assert theirs.sum(axis=1).max() / ours.sum(axis=1).max() == pytest.approx(2, rel=0.02)


def test_a_contender_may_lack_a_work(tmp_path):
    draw_bars({"a": {"x": 1.0}, "b": {"x": 1.0, "y": 2.0}}, tmp_path / "bars.png", label="seconds")
    assert pixels_of(tmp_path / "bars.png", COLORS[1]).any()


def test_nothing_to_draw_is_an_empty_chart(tmp_path):
    draw_bars({}, tmp_path / "bars.png", label="seconds")
    assert Image.open(tmp_path / "bars.png").size[0] == 1080
