import numpy as np
import scipy.io

from maskrcnn.benchmarks.cells.submission import read_label_maps, write_label_maps
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.results import Results
from maskrcnn.structures.masks import Crop, encode_crop

SIZE = (4, 6)
NAMES = {3: "a", 8: "b"}
TRUTH = Annotations.parse(
    {
        "images": [{"id": key, "height": SIZE[0], "width": SIZE[1]} for key in NAMES],
        "categories": [{"id": 7, "name": "cell"}],
        "annotations": [],
    }
)


def square(left, top, side, score):
    mask = encode_crop(Crop(left, top, np.ones((side, side), bool)), SIZE)
    return {"image_id": 3, "category_id": 7, "score": score, "segmentation": mask}


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
