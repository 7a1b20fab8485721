import numpy as np
import torch
from PIL import Image

from maskrcnn.predict.segments import write_segments
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.panoptic import Panoptic, Segment

CLASSES = Classes(("cell",), (7,), stuff=("sky",), stuff_ids=(20,))


def test_ids_become_colours_and_segments_records(tmp_path):
    found = Panoptic(
        torch.tensor([[0, 1], [2, 2]], dtype=torch.int32), [Segment(1, 0, True, 1), Segment(2, 0, False, 2)]
    )
    record = write_segments(tmp_path, "a", found, CLASSES)
    assert np.array(Image.open(tmp_path / "panoptic" / "a.png"))[..., 0].tolist() == [[0, 1], [2, 2]]
    assert record["file_name"] == "a.png"
    assert [(one["id"], one["category_id"], one["isthing"]) for one in record["segments_info"]] == [
        (1, 7, 1),
        (2, 20, 0),
    ]


def test_a_picture_without_segments_is_written_too(tmp_path):
    record = write_segments(tmp_path, "a", Panoptic(torch.zeros(2, 3, dtype=torch.int32), []), CLASSES)
    assert record == {"file_name": "a.png", "segments_info": []}
    assert not np.array(Image.open(tmp_path / "panoptic" / "a.png")).any()
