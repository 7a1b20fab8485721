import pytest

from maskrcnn.errors import DataError
from maskrcnn.predict.benchmarks.wanted import require_any


def test_one_prediction_with_one_field_is_enough():
    require_any([{"bbox": [1]}, {"keypoints": [1]}], ["segmentation", "keypoints"], "Do it.")
    require_any([], ["keypoints"], "Do it.")


def test_nothing_of_what_is_scored_is_refused():
    with pytest.raises(DataError, match=r"none of the 1 predictions has `a` or `b`, which is .* scores. Do it."):
        require_any([{"bbox": [1], "a": None}], ["a", "b"], "Do it.")
