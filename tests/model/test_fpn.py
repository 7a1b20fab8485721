import torch
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from maskrcnn.model.fpn import FPN
from maskrcnn.weights.torchvision import rename

CHANNELS = (3, 5, 7, 9)
SIZES = {2: (17, 13), 3: (9, 7), 4: (5, 4), 5: (3, 2)}


def inputs(dtype=torch.float64) -> dict[int, torch.Tensor]:
    torch.manual_seed(1)
    return {level: torch.randn(2, count, *SIZES[level], dtype=dtype) for level, count in zip(SIZES, CHANNELS)}


def test_every_level_equals_torchvisions_also_where_sizes_are_odd():
    peer = FeaturePyramidNetwork(list(CHANNELS), 6, LastLevelMaxPool()).double()
    model = FPN(CHANNELS, 6).double()
    state = {rename(f"backbone.fpn.{key}").removeprefix("fpn."): value for key, value in peer.state_dict().items()}
    model.load_state_dict(state)
    found = model(inputs())
    expected = peer({str(level): map for level, map in inputs().items()})
    assert list(found) == [2, 3, 4, 5, 6]
    for map, other in zip(found.values(), expected.values(), strict=True):
        torch.testing.assert_close(map, other, rtol=0, atol=1e-12)


def test_coarse_meaning_reaches_the_finest_level():
    model = FPN(CHANNELS, 6).double()
    changed = inputs()
    changed[5] = changed[5] + 1
    before, after = model(inputs()), model(changed)
    assert all((before[level] != after[level]).any() for level in before)


def test_the_last_level_is_every_second_pixel_of_the_one_before():
    found = FPN(CHANNELS, 6).double()(inputs())
    assert torch.equal(found[6], found[5][..., ::2, ::2])
    assert found[6].shape == (2, 6, 2, 1)
