import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.draw.pictures import write_picture


def test_a_picture_is_read_back_as_it_was_written(tmp_path):
    picture = torch.arange(3 * 4 * 5, dtype=torch.uint8).reshape(3, 4, 5)
    path = tmp_path / "new" / "drawn.png"
    write_picture(path, picture)
    assert np.array_equal(np.array(Image.open(path)), picture.permute(1, 2, 0).numpy())
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "drawn.png"
    write_picture(path, torch.zeros(3, 2, 2, dtype=torch.uint8))
    before = path.read_bytes()
    with pytest.raises(ValueError):
        write_picture(path, torch.zeros(3, 0, 2, 2))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
