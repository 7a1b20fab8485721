import pytest
import torch

from maskrcnn.errors import SettingError
from maskrcnn.profiling.contenders import BUILDERS
from maskrcnn.profiling.works import (
    OBJECTS,
    QUICK,
    USUAL,
    WORKS,
    choose_works,
    find_work,
    make_image,
    make_objects,
    whole_masks,
)


def test_selections_have_prediction_and_training():
    for names in (QUICK, USUAL, WORKS):
        tasks = {WORKS[name].task for name in names}
        assert "training" in tasks
        assert "pixels" in tasks


def test_every_work_has_a_model():
    assert {work.model for work in WORKS.values()} <= BUILDERS.keys()


def test_titles_tell_works_apart():
    assert len({work.title for work in WORKS.values()}) == len(WORKS)


def test_single_works_are_chosen_by_name_in_their_order():
    assert list(choose_works(["training", "prediction"], quick=False, everything=False)) == ["training", "prediction"]
    assert tuple(choose_works([], quick=False, everything=False)) == USUAL
    assert tuple(choose_works([], quick=True, everything=False)) == QUICK
    assert list(choose_works([], quick=False, everything=True)) == list(WORKS)


def test_two_selections_contradict_each_other():
    with pytest.raises(SettingError, match="--work.*--quick"):
        choose_works(["training"], quick=True, everything=False)


def test_an_unknown_work_names_those_that_are_near():
    with pytest.raises(SettingError, match="trainning: .* training"):
        find_work("trainning")


def test_the_same_size_gives_the_same_image():
    image = make_image((32, 48))
    assert image.shape == (3, 32, 48)
    assert image.dtype == torch.uint8
    assert image.equal(make_image((32, 48)))


def test_objects_are_discs_that_fill_their_boxes():
    objects = make_objects((64, 96), 5)
    assert len(objects) == OBJECTS
    assert set(objects.labels.tolist()) <= set(range(5))
    for i, (x1, y1, x2, y2) in enumerate(objects.boxes.tolist()):
        assert 0 <= x1 < x2 <= 96
        assert 0 <= y1 < y2 <= 64
        bitmap = objects.masks.crop(i).bitmap
        assert bitmap.shape == (y2 - y1, x2 - x1)
        assert bitmap.any(axis=0).all()
        assert bitmap.any(axis=1).all()


def test_whole_masks_have_the_objects_pixels_and_no_others():
    objects = make_objects((64, 96), 5)
    masks = whole_masks(objects)
    assert masks.shape == (OBJECTS, 64, 96)
    for i, (x1, y1, x2, y2) in enumerate(objects.boxes.int().tolist()):
        bitmap = objects.masks.crop(i).bitmap
        assert masks[i, y1:y2, x1:x2].numpy().tolist() == bitmap.tolist()
        assert masks[i].sum() == bitmap.sum()
