import pytest
import torch
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from maskrcnn.config import NeckSettings
from maskrcnn.model.necks import FPN, SingleLevel

CHANNELS = {2: 3, 3: 5, 4: 7, 5: 9}
SIZES = {2: (17, 13), 3: (9, 7), 4: (5, 4), 5: (3, 2)}


def inputs(channels: dict[int, int] = CHANNELS) -> dict[int, torch.Tensor]:
    torch.manual_seed(1)
    return {level: torch.randn(2, count, *SIZES[level], dtype=torch.float64) for level, count in channels.items()}


def pyramid(norm: str = "none", channels: dict[int, int] = CHANNELS, width: int = 6) -> FPN:
    torch.manual_seed(0)
    settings = NeckSettings(channels=width, norm=norm)
    return FPN(channels, settings, roi_levels=tuple(channels)).double()


def peer_of(model: FPN, norm: str) -> FeaturePyramidNetwork:
    layer = torch.nn.BatchNorm2d if norm == "batch" else None
    peer = FeaturePyramidNetwork(list(CHANNELS.values()), 6, LastLevelMaxPool(), norm_layer=layer).double()
    places = {"0": "convolution.", "1": "norm."} if norm == "batch" else {"0": ""}
    for name, tensor in peer.state_dict().items():
        kind, level, part, leaf = name.split(".")
        ours = f"{'lateral' if kind == 'inner_blocks' else 'output'}.{level}.{places[part]}{leaf}"
        model.state_dict()[ours].copy_(tensor)
    assert len(peer.state_dict()) == len(model.state_dict())
    return peer


@pytest.mark.parametrize("norm", ["none", "batch"])
@pytest.mark.parametrize("training", [False, True])
def test_every_level_equals_torchvisions_also_where_sizes_are_odd(norm, training):
    model = pyramid(norm)
    peer = peer_of(model, norm)
    model.train(training), peer.train(training)
    found = model(inputs())
    expected = peer({str(level): map for level, map in inputs().items()})
    assert tuple(found) == model.levels == (2, 3, 4, 5, 6)
    for map, other in zip(found.values(), expected.values(), strict=True):
        torch.testing.assert_close(map, other, rtol=0, atol=1e-12)


def test_a_group_norm_stands_after_every_convolution():
    model = pyramid("group", width=32)
    assert sum(isinstance(module, torch.nn.GroupNorm) for module in model.modules()) == 8
    assert not [name for name, _ in model.named_parameters() if name.endswith("convolution.bias")]
    assert model(inputs())[2].shape == (2, 32, 17, 13)


def test_any_levels_of_the_backbone_get_one_more():
    channels = {4: 3, 5: 2}
    model = pyramid(channels=channels)
    assert (model.levels, model.roi_levels, model.channels) == ((4, 5, 6), (4, 5), 6)
    assert {level: map.shape[-2:] for level, map in model(inputs(channels)).items()} == {
        4: (5, 4),
        5: (3, 2),
        6: (2, 1),
    }


def test_levels_of_one_size_are_added_pixel_by_pixel():
    model = FPN({5: 1, 6: 1}, NeckSettings(channels=1), roi_levels=(5,)).double()
    for layer, factor in ((model.lateral[0], 2.0), (model.lateral[1], 3.0)):
        layer.weight.data.fill_(factor)
    for layer in model.output:
        layer.weight.data.zero_()[..., 1, 1] = 1
    maps = {5: torch.rand(1, 1, 3, 4, dtype=torch.float64), 6: torch.rand(1, 1, 3, 4, dtype=torch.float64)}
    found = model(maps)
    torch.testing.assert_close(found[5], 2 * maps[5] + 3 * maps[6])
    torch.testing.assert_close(found[6], 3 * maps[6])
    assert torch.equal(found[7], found[6][..., ::2, ::2])


def test_coarse_meaning_reaches_the_finest_level():
    model = pyramid()
    changed = inputs()
    changed[5] = changed[5] + 1
    before, after = model(inputs()), model(changed)
    assert all((before[level] != after[level]).any() for level in before)


def test_the_last_level_is_every_second_pixel_of_the_one_before():
    found = pyramid()(inputs())
    assert torch.equal(found[6], found[5][..., ::2, ::2])
    assert found[6].shape == (2, 6, 2, 1)


def test_the_map_is_left_as_it_is_and_named_after_its_stride():
    maps = {level: torch.rand(1, level, 3, 3) for level in (2, 3, 4, 5)}
    dilated = SingleLevel(5, source=5, level=4)
    assert (dilated.channels, dilated.levels, dilated.roi_levels) == (5, (4,), (4,))
    found = dilated(maps)
    assert list(found) == [4]
    assert found[4] is maps[5]
