import numpy as np

from maskrcnn.evaluation.panoptic_quality import best_first, paint_images, paint_label_map
from maskrcnn.evaluation.results import Results
from maskrcnn.structures.masks import Crop, encode_crop

SIZE = (4, 6)


def square(left, top, side):
    return encode_crop(Crop(left, top, np.ones((side, side), bool)), SIZE)


def test_a_pixel_belongs_to_the_first_object_that_covers_it():
    painted = paint_label_map([square(0, 0, 2), square(1, 1, 3)], SIZE)
    assert painted.tolist() == [[1, 1, 0, 0, 0, 0], [1, 1, 2, 2, 0, 0], [0, 2, 2, 2, 0, 0], [0, 2, 2, 2, 0, 0]]


def test_an_object_below_others_keeps_its_number_but_has_no_pixel():
    assert np.unique(paint_label_map([square(0, 0, 3), square(1, 1, 2), square(3, 3, 1)], SIZE)).tolist() == [0, 1, 3]


def test_empty_masks_are_painted_too():
    empty = encode_crop(Crop(0, 0, np.zeros((0, 0), bool)), SIZE)
    painted = paint_label_map([empty, square(3, 0, 2)], SIZE)
    assert ((painted == 1).sum(), (painted == 2).sum()) == (0, 4)
    assert not paint_label_map([], SIZE).any()


def test_masks_are_painted_by_falling_score_from_the_threshold_on():
    records = [
        {"score": score, "segmentation": mask, "place": place}
        for place, (score, mask) in enumerate([(0.6, {}), (0.5, {}), (0.49, {}), (0.9, None), (0.6, {}), (0.8, {})])
    ]
    assert [record["place"] for record in best_first(records, score_threshold=0.5)] == [5, 0, 4, 1]


def test_images_are_painted_in_the_order_of_their_sizes_with_the_best_records_first():
    def record(image_id, score, left):
        return {"image_id": image_id, "score": score, "segmentation": square(left, 0, 2)}

    records = [record(2, 0.6, 0), record(2, 0.9, 1), record(2, 0.4, 4)]
    painted = dict(paint_images(Results(tuple(records)), {3: SIZE, 2: SIZE}, score_threshold=0.5))
    assert list(painted) == [3, 2]
    assert not painted[3].any()
    assert painted[2][0].tolist() == [2, 1, 1, 0, 0, 0]
