import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.draw.images import scale_image, write_image


def test_an_image_is_read_back_as_it_was_written(tmp_path):
    image = torch.arange(3 * 4 * 5, dtype=torch.uint8).reshape(3, 4, 5)
    path = tmp_path / "new" / "drawn.png"
    write_image(path, image)
    assert np.array_equal(np.array(Image.open(path)), image.permute(1, 2, 0).numpy())
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "drawn.png"
    write_image(path, torch.zeros(3, 2, 2, dtype=torch.uint8))
    before = path.read_bytes()
    with pytest.raises(ValueError):
        write_image(path, torch.zeros(3, 0, 2, 2))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("scale", "size"), [(0.5, (10, 2)), (3, (60, 12)), (0.01, (1, 1))])
def test_an_image_is_scaled_by_one_factor_and_never_to_nothing(scale, size):
    assert scale_image(Image.new("RGB", (20, 4)), scale).size == size
