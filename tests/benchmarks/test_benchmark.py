import pytest

from maskrcnn.benchmarks.benchmark import kinds_given, require_any
from maskrcnn.errors import DataError
from maskrcnn.evaluation.results import Results


def test_one_prediction_with_one_field_is_enough():
    require_any([{"bbox": [1]}, {"keypoints": [1]}], ["segmentation", "keypoints"], "Do it.")
    require_any([], ["keypoints"], "Do it.")


def test_nothing_of_what_is_scored_is_refused():
    with pytest.raises(DataError, match=r"none of the 1 predictions has `a` or `b`, which is .* scores. Do it."):
        require_any([{"bbox": [1], "a": None}], ["a", "b"], "Do it.")


def test_what_the_predictions_have_is_scored_and_all_of_it_without_any():
    boxes, masks = {"bbox": [1], "segmentation": None}, {"segmentation": {}}
    assert list(kinds_given(Results((boxes, boxes)), ["bbox", "segm"])) == ["bbox"]
    assert list(kinds_given(Results((boxes, masks)), ["bbox", "segm"])) == ["bbox", "segm"]
    assert list(kinds_given(Results((masks,)), ["segm", "boundary"])) == ["segm", "boundary"]
    assert list(kinds_given(Results(()), ["segm", "keypoints"])) == ["segm", "keypoints"]
    with pytest.raises(DataError, match=r"none of the 1 predictions has `keypoints`, .* Use weights that find it"):
        kinds_given(Results((boxes,)), ["keypoints"])
