from maskrcnn.config import InputSettings, ModelSettings
from maskrcnn.predict.limits import detections_note, shrunk_note


def test_images_with_as_many_objects_as_are_kept_are_counted_with_what_to_set():
    settings = ModelSettings().changed({"box_head.detections_per_image": 100})
    assert detections_note([0, 99], settings) is None
    note = detections_note([100, 4050, 3], settings)
    assert note.startswith("2 images ")
    assert "box_head.detections_per_image=4050 rpn.post_nms_top_n=16200." in note
    assert "rpn" not in detections_note([100], settings)


def test_images_that_become_less_than_half_are_counted_with_what_to_set():
    settings = InputSettings(min_size=800, max_size=1333)
    assert shrunk_note([(480, 640), (1600, 1600)], settings) is None
    note = shrunk_note([(1700, 1700), (4000, 6000)], settings)
    assert note.startswith("2 images ")
    assert "from 6000 x 4000 px to 20%" in note
    assert "input.min_size=4000 input.max_size=6000" in note
