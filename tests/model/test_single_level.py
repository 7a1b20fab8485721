import torch

from maskrcnn.model.single_level import SingleLevel


def test_the_map_is_left_as_it_is_and_named_after_its_stride():
    maps = {level: torch.rand(1, level, 3, 3) for level in (2, 3, 4, 5)}
    dilated = SingleLevel(5, source=5, level=4)
    assert (dilated.channels, dilated.levels, dilated.roi_levels) == (5, (4,), (4,))
    found = dilated(maps)
    assert list(found) == [4]
    assert found[4] is maps[5]
