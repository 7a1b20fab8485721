import pytest

from maskrcnn.structures.coco_forms import plain_content, plain_record

TRIANGLE = [1, 2, 3, 4, 5, 6]
POINTS = [[1, 2], [3, 4], [5, 6]]
RLE = {"size": [4, 5], "counts": [20]}


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        pytest.param(
            {"id": 1.0, "image_id": "12", "category_id": "0"}, {"id": 1, "image_id": 12, "category_id": 0}, id="ids"
        ),
        pytest.param({"width": 96.0, "height": "72"}, {"width": 96, "height": 72}, id="sizes"),
        pytest.param({"iscrowd": None}, {"iscrowd": 0}, id="iscrowd null"),
        pytest.param({"iscrowd": "false"}, {"iscrowd": 0}, id="iscrowd false"),
        pytest.param({"iscrowd": True}, {"iscrowd": 1}, id="iscrowd bool"),
        pytest.param({"iscrowd": 1.0}, {"iscrowd": 1}, id="iscrowd float"),
        pytest.param({"segmentation": POINTS}, {"segmentation": [TRIANGLE]}, id="one polygon of points"),
        pytest.param({"segmentation": [POINTS, POINTS]}, {"segmentation": [TRIANGLE] * 2}, id="polygons of points"),
        pytest.param({"segmentation": [RLE]}, {"segmentation": RLE}, id="RLE in a list"),
    ],
)
def test_what_exporters_write_is_brought_into_one_form(given, plain):
    assert plain_record(given) == plain
    assert plain_content({"annotations": [given]}) == {"annotations": [plain]}


@pytest.mark.parametrize(
    "given",
    [
        {"id": 1, "iscrowd": 0, "segmentation": [TRIANGLE]},
        {"id": 1.5, "image_id": "a1", "category_id": "007"},
        {"id": float("nan"), "image_id": None, "category_id": True},
        {"segmentation": TRIANGLE},
        {"segmentation": [[1, 2], [3, 4]]},
        {"segmentation": [RLE, RLE]},
        {"segmentation": RLE},
        {"segmentation": "text"},
    ],
    ids=str,
)
def test_what_is_plain_or_means_nothing_stays_as_it_is(given):
    content = {"annotations": [given], "images": "none"}
    assert plain_record(given) is given
    assert plain_content(content) is content
