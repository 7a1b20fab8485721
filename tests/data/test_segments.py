import numpy as np
import pytest
from PIL import Image

from maskrcnn.data.segments import SegmentFile, SegmentMask
from maskrcnn.errors import DataError
from maskrcnn.structures.panoptic import THING, UNKNOWN

# Segment 5 is a thing, 256 (green 1) is stuff of label 3, 7 is not known, 0 is nothing.
IDS = np.array([[5, 5, 256, 256], [5, 7, 256, 0]])
FILE = ((5, THING), (256, 3))


@pytest.fixture
def path(tmp_path):
    Image.fromarray(np.stack([IDS % 256, IDS // 256, IDS * 0], axis=-1).astype(np.uint8)).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_every_pixel_gets_what_its_segment_means(path):
    found = SegmentFile(path, (2, 4), FILE).semantic()
    assert found.numpy().dtype == np.uint8
    assert found.tolist() == [[THING, THING, 3, 3], [THING, UNKNOWN, 3, UNKNOWN]]


def test_a_mask_is_cropped_to_its_segment(path):
    x, y, bitmap = SegmentMask(SegmentFile(path, (2, 4), FILE), 256).crop()
    assert (x, y, bitmap.tolist()) == (2, 0, [[True, True], [True, False]])
    assert SegmentMask(SegmentFile(path, (2, 4), FILE), 99).crop().bitmap.shape == (0, 0)


def test_a_file_of_another_size_than_its_image_is_refused(path):
    with pytest.raises(DataError, match=r"a.png: .* 4 px.*2 px.* 4 x 3"):
        SegmentFile(path, (3, 4), FILE).semantic()


@pytest.mark.parametrize("content", [None, b"", b"no image"])
def test_a_file_that_cannot_be_read_is_named(content, tmp_path):
    path = tmp_path / "b.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"b.png: "):
        SegmentMask(SegmentFile(path, (2, 4), FILE), 5).crop()
