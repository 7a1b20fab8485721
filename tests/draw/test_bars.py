import numpy as np
import pytest
from PIL import Image

from maskrcnn.draw.curves import COLORS, draw_bars

WORKS = {"prediction": {"theirs": 2.0, "ours": 0.5}, "training": {"theirs": 8.0, "ours": 4.0}}


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
