import pytest
import torch

from maskrcnn.config import InputSettings
from maskrcnn.weights.foreign.backbones import NORMALIZED_RGB, Pixels
from maskrcnn.weights.start import DEVIATION, find_stem, fit_stem, pixels_of

RGB, BGR, RAW_BGR = NORMALIZED_RGB, Pixels("bgr", raw=False), Pixels("bgr", raw=True)


def kernel(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1, 1)


def fitted(values, channels, source=RGB, target=RGB):
    result, remarks = fit_stem(kernel(*values), channels, source=source, target=target)
    assert result.is_contiguous()
    return result.flatten().tolist(), remarks


def test_the_same_pixels_change_nothing():
    for pixels in (RGB, BGR, RAW_BGR):
        assert fitted((1, 2, 4), 3, pixels, pixels) == ([1, 2, 4], [])


@pytest.mark.parametrize(("source", "target"), [(RGB, BGR), (BGR, RGB)])
def test_colors_change_places(source, target):
    changes = [f"the stem's channels are turned from {source.colors} to {target.colors}"]
    assert fitted((1, 2, 4), 3, source, target) == ([4, 2, 1], changes)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [9]), (2, [4.5, 4.5]), (4, [2.25] * 4), (6, [1.5] * 6)],
)
def test_other_numbers_of_channels_get_the_mean_and_keep_the_sum(count, expected):
    assert fitted((2, 3, 4), count) == (expected, [f"the stem's 3 channels are averaged for images of {count}"])
    assert fitted((2, 3, 4), count, BGR)[0] == expected


def test_a_gray_stem_sees_colors():
    assert fitted((6,), 3, target=BGR)[0] == [2, 2, 2]


def test_raw_pixels_become_normalized_ones_channel_by_channel_and_back():
    values, remarks = fitted((3, 2, 1), 3, RAW_BGR, RGB)
    assert values == pytest.approx([1 * 58.395, 2 * 57.12, 3 * 57.375])
    assert remarks[0] == "the stem was trained on raw pixels and is scaled for normalized ones"
    assert fitted(values, 3, RGB, RAW_BGR)[0] == pytest.approx([3, 2, 1])
    assert fitted((2,), 1, RAW_BGR, RGB)[0] == pytest.approx([2 * sum(DEVIATION) / 3])


def test_settings_tell_what_a_network_sees():
    assert pixels_of(InputSettings()) == RGB
    assert pixels_of(InputSettings(channel_order="bgr", std=(1 / 255,) * 3)) == RAW_BGR


def test_the_stem_is_the_first_kernel_of_the_backbone():
    state = {
        "backbone.scale": torch.zeros(3),
        "backbone.a.weight": torch.zeros(2, 3, 1, 1),
        "backbone.b": torch.zeros(2, 2, 1, 1),
    }
    assert find_stem(state) == "backbone.a.weight"
    assert find_stem({"neck.weight": torch.zeros(2, 3, 1, 1)}) is None
