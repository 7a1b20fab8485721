import numpy as np
import pytest
import scipy.io
from faster_coco_eval.core import mask as coco_mask

from maskrcnn.benchmarks.cells.submission import (
    read_bowl_results,
    read_bowl_rows,
    read_label_maps,
    write_bowl_results,
    write_label_maps,
)
from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.results import Results
from maskrcnn.structures.masks import Crop, encode_crop
from tests.builders.scoring import coco

SIZE = (4, 6)
NAMES = {3: "a", 8: "b"}
TRUTH = Annotations.parse(coco(size=SIZE, images=NAMES, classes={7: "nucleus"}))


def square(left, top, side, score):
    mask = encode_crop(Crop(left, top, np.ones((side, side), bool)), SIZE)
    return {"image_id": 3, "category_id": 7, "score": score, "segmentation": mask}


def table(tmp_path, *rows, head="ImageId,EncodedPixels"):
    (tmp_path / "table.csv").write_text("\n".join([head, *rows]) + "\n")
    return tmp_path / "table.csv"


def test_pixels_are_counted_from_one_down_the_columns(tmp_path):
    write_bowl_results(Results((square(1, 2, 2, 0.9),)), tmp_path / "out.csv", TRUTH.sizes, NAMES, score_threshold=0.5)
    assert (tmp_path / "out.csv").read_text() == "ImageId,EncodedPixels\na,7 2 11 2\nb,\n"


def test_no_pixel_belongs_to_two_nuclei(tmp_path):
    write_bowl_results(
        Results((square(0, 0, 3, 0.6), square(1, 1, 3, 0.9))),
        tmp_path / "out.csv",
        TRUTH.sizes,
        NAMES,
        score_threshold=0.5,
    )
    records = read_bowl_results(tmp_path / "out.csv", TRUTH, NAMES)
    masks = [coco_mask.decode(record["segmentation"]) for record in records]
    assert [int(mask.sum()) for mask in masks] == [9, 5]
    assert sum(masks).max() == 1


def test_a_table_is_read_as_it_was_written(tmp_path):
    records = [square(3, 1, 3, 0.9), square(0, 0, 2, 0.7), square(0, 3, 1, 0.2)]
    write_bowl_results(Results(tuple(records)), tmp_path / "out.csv", TRUTH.sizes, NAMES, score_threshold=0.5)
    back = read_bowl_results(tmp_path / "out.csv", TRUTH, NAMES)
    assert back == [
        {"image_id": 3, "category_id": 7, "score": 1.0, "segmentation": record["segmentation"]}
        for record in records[:2]
    ]


def test_rows_may_say_how_large_their_image_is(tmp_path):
    file = table(tmp_path, "a,1 2,4,6,Private", "b,,4,6,Public", head="ImageId,EncodedPixels,Height,Width,Usage")
    assert [row.size for row in read_bowl_rows(file)] == [(4, 6), (4, 6)]
    assert [row.rle((4, 6)) is None for row in read_bowl_rows(file)] == [False, True]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["c,1 2"], "table.csv: line 2: .*'c'"),
        (["a,1 2", "a,1 x"], "line 3: EncodedPixels"),
        (["a,1 2 3"], "line 2: EncodedPixels"),
        (["a,0 2"], "line 2: .*EncodedPixels .*24"),
        (["a,5 2 6 1"], "1 to 24"),
        (["a,5 0"], "1 to 24"),
        (["a,24 2"], "1 to 24"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        read_bowl_results(table(tmp_path, *rows), TRUTH, NAMES)


def test_a_file_that_is_no_such_table_is_refused(tmp_path):
    with pytest.raises(DataError, match="nothing.csv"):
        read_bowl_results(tmp_path / "nothing.csv", TRUTH, NAMES)
    with pytest.raises(DataError, match="table.csv.*id.*rle"):
        read_bowl_results(table(tmp_path, head="id,rle"), TRUTH, NAMES)


def test_masks_are_painted_by_score_into_a_map_for_each_image(tmp_path):
    records = [square(0, 0, 3, 0.6), square(1, 1, 3, 0.9), square(4, 0, 1, 0.4)]
    write_label_maps(Results(tuple(records)), tmp_path / "out", TRUTH.sizes, NAMES, score_threshold=0.5)
    assert scipy.io.loadmat(tmp_path / "out" / "a.mat")["inst_map"].tolist() == [
        *([2, 2, 2, 0, 0, 0], [2, 1, 1, 1, 0, 0], [2, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 0])
    ]
    assert not scipy.io.loadmat(tmp_path / "out" / "b.mat")["inst_map"].any()


def test_each_object_of_a_map_becomes_a_record(tmp_path):
    write_label_maps(
        Results((square(0, 0, 2, 0.6), square(4, 1, 1, 0.9))), tmp_path, TRUTH.sizes, NAMES, score_threshold=0.5
    )
    records = read_label_maps(tmp_path, TRUTH, NAMES)
    assert [(one["image_id"], one["category_id"], one["score"], one["bbox"]) for one in records] == [
        (3, 7, 1.0, [4, 1, 1, 1]),
        (3, 7, 1.0, [0, 0, 2, 2]),
    ]
    assert records[1]["segmentation"] == square(0, 0, 2, 1)["segmentation"]
