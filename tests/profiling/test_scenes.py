import torch

from maskrcnn.profiling.scenes import OBJECTS, make_image, make_objects, whole_masks


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
