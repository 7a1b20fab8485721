import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from maskrcnn.ops.heatmaps import bicubic_taps, cells_of_points, find_peaks

BOX = torch.tensor([[10.0, 20.0, 18.0, 24.0]])


@pytest.mark.parametrize(
    ("point", "cell"),
    [
        ((10.0, 20.0), 0),
        ((11.99, 20.99), 0),
        ((12.0, 21.0), 5),
        ((18.0, 24.0), 15),  # on the right and bottom sides
        ((9.99, 21.0), None),
        ((18.01, 21.0), None),
        ((12.0, 24.5), None),
    ],
)
def test_a_point_is_in_the_cell_whose_half_open_interval_holds_it(point, cell):
    found, inside = cells_of_points(torch.tensor([[point]]), BOX, 4)
    assert inside.item() == (cell is not None)
    assert found.item() == (cell or 0)


def test_no_boxes_have_no_cells():
    found, inside = cells_of_points(torch.zeros(0, 3, 2), torch.zeros(0, 4), 4)
    assert (found.shape, inside.shape) == ((0, 3), (0, 3))


def enlarge(maps: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(maps[None], size=(height, width), mode="bicubic", align_corners=False)[0]


SIZES = [(1, 1), (1, 9), (7, 3), (8, 8), (13, 8), (40, 31)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_enlarging_equals_torchs_bicubic_interpolation(height, width):
    maps = torch.randn(5, 8, 8, dtype=torch.float64)
    rows, columns = (
        maps.new_zeros(length, 8).scatter_add_(1, places, weights)
        for length in (height, width)
        for weights, places in [bicubic_taps(length, 8, maps)]
    )
    torch.testing.assert_close(rows @ maps @ columns.T, enlarge(maps, height, width), rtol=0, atol=1e-12)


def rough(seed: int) -> Tensor:
    return torch.randn(6, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def peaked(seed: int) -> Tensor:
    middles = torch.rand(6, 2, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * 8
    bumps = (-((torch.arange(8) - middles) ** 2) / 2).exp()
    return 10 * bumps[:, 0, :, None] * bumps[:, 1, None] - 5


@pytest.mark.parametrize("draw", [rough, peaked])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_peak_is_that_of_the_whole_enlarged_map(draw, height, width):
    for seed in range(5):
        maps = draw(seed)
        whole = enlarge(maps, height, width).flatten(1)
        columns, rows, values = find_peaks(maps, height, width)
        assert torch.equal(rows * width + columns, whole.argmax(dim=1))
        torch.testing.assert_close(values, whole.amax(dim=1), rtol=0, atol=1e-12)


def test_a_flat_map_has_its_own_value_as_its_peak():
    columns, rows, values = find_peaks(torch.full((2, 8, 8), 0.1), 20, 30)
    assert columns.max() < 30
    assert rows.max() < 20
    torch.testing.assert_close(values, torch.full((2,), 0.1))
