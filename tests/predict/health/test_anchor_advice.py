import numpy as np
import pytest

from maskrcnn.config import AnchorSettings
from maskrcnn.predict.health.anchor_advice import Fit, anchor_words, better_anchors, find_in_anchors, fit, group_ratios
from maskrcnn.predict.health.anchors import Objects
from tests.data.health.made import named
from tests.predict.health.seen import made_seen

FPN = {2: 4.0, 3: 8.0, 4: 16.0, 5: 32.0, 6: 64.0}


def objects_of(sides, seed=0):
    """Boxes of some [N, 2] widths and heights at random places of inputs of 800 x 800 px."""
    sides = np.asarray(sides, dtype=float)
    low = np.random.default_rng(seed).uniform(0, 800 - sides)
    return Objects(np.concatenate([low, low + sides], axis=1), np.full((len(sides), 2), 800.0))


def spread(smallest, largest, ratio=1.0, count=300):
    lengths = np.geomspace(smallest, largest, count)
    return np.stack([lengths / ratio**0.5, lengths * ratio**0.5], axis=1)


def test_anchors_that_fit_are_kept():
    settings = AnchorSettings()
    mixed = np.concatenate([spread(30, 500, ratio) for ratio in (0.5, 1, 2)])
    assert better_anchors(objects_of(mixed), settings, FPN) == settings


def test_small_objects_get_small_anchors_as_many_as_before():
    settings, objects = AnchorSettings(), objects_of(spread(8, 60))
    better = better_anchors(objects, settings, FPN)
    assert len(better.sizes) == 5
    assert better.sizes[0][0] <= 14
    assert better.sizes[-1][0] <= 256
    assert len(better.ratios) == 3
    assert fit(objects, better, FPN).near > fit(objects, settings, FPN).near + 0.2


def test_wide_objects_get_wide_anchors():
    better = better_anchors(objects_of(spread(40, 300, ratio=0.2)), AnchorSettings(), FPN)
    assert better.ratios == (0.15, 0.2, 0.26)


def test_one_level_with_several_sizes_keeps_their_number():
    settings = AnchorSettings(sizes=((128, 256, 512),), ratios=(0.5, 1, 2))
    better = better_anchors(objects_of(spread(16, 90)), settings, {4: 16.0})
    assert [len(own) for own in better.sizes] == [3]
    words = anchor_words(better, settings)
    assert words[0].startswith("model.anchors.sizes=[[")


def test_shapes_of_detectron_are_replaced_by_as_many_sizes():
    shapes = tuple(tuple((side * w, side / w) for w in (1.4, 1.0, 0.7)) for side in (32.0, 64, 128, 256, 512))
    settings = AnchorSettings(shapes=shapes)
    better = better_anchors(objects_of(spread(8, 60)), settings, FPN)
    assert better.shapes is None
    assert [len(own) for own in better.sizes] == [1] * 5
    assert "model.anchors.shapes=null" in anchor_words(better, settings)


def test_few_objects_or_none_change_nothing():
    settings = AnchorSettings()
    assert better_anchors(objects_of(spread(8, 60, count=99)), settings, FPN) == settings
    assert better_anchors(objects_of(np.zeros((0, 2))), settings, FPN) == settings
    assert fit(objects_of(np.zeros((0, 2))), settings, FPN).near == 1


def test_ratios_are_the_middles_of_groups():
    sides = np.array([[10, 2.5]] * 30 + [[10, 10]] * 30 + [[10, 30]] * 30)
    assert group_ratios(sides, 3) == (0.25, 1.0, 3.0)
    assert group_ratios(sides[:1], 3) == (0.19, 0.25, 0.33)


def test_shares_are_those_of_the_overlaps():
    found = Fit(np.array([0.2, 0.5, 0.6, 0.9]), AnchorSettings())
    assert (found.near, found.close) == (0.75, 0.25)
    assert found.worth == pytest.approx((0 + 0.5 + 0.75 + 1) / 4)


def test_words_name_what_changes_only():
    before = AnchorSettings()
    assert anchor_words(before, before) == ()
    sizes = before.model_copy(update={"sizes": ((8.0,), (16.0,), (32.0,), (64.0,), (128.0,))})
    assert anchor_words(sizes, before) == ("model.anchors.sizes=8,16,32,64,128",)
    ratios = sizes.model_copy(update={"ratios": (0.3, 1.0)})
    assert anchor_words(ratios, before)[1] == "model.anchors.ratios=0.3,1"


def test_objects_without_an_anchor_are_told_with_what_fits_better(tmp_path):
    boxes = [[100 + 3 * n, 100, 8 + n % 5, 8] for n in range(120)]
    seen = made_seen(tmp_path, boxes, sizes=[(800, 800)] * 120)
    now = fit(seen.objects, AnchorSettings(), FPN)
    best = fit(seen.objects, better_anchors(seen.objects, AnchorSettings(), FPN), FPN)
    found = named(find_in_anchors(seen, now, best), "anchors")
    assert found.severity == "warning"
    assert found.what.startswith("train: 0% of 120 objects have an anchor with an IoU of 0.5 or more, 0% one")
    assert f"With the anchors below, {best.near:.0%} have one of 0.5" in found.advice
    assert found.settings[0].startswith("model.anchors.sizes=")
    assert "best IoU 0." in found.examples[0].words


def test_objects_that_nothing_fits_better_are_a_note(tmp_path):
    seen = made_seen(tmp_path, [[10, 10, 60, 60]] * 10, sizes=[(800, 800)] * 10)
    now = Fit(np.array([0.3] + [0.9] * 9), AnchorSettings())
    found = named(find_in_anchors(seen, now, now), "anchors")
    assert (found.severity, found.count, found.settings) == ("note", 1, ())
    assert (
        list(find_in_anchors(seen, Fit(np.full(10, 0.9), AnchorSettings()), Fit(np.full(10, 0.9), AnchorSettings())))
        == []
    )
