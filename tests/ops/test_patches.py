import torch

from maskrcnn.ops.patches import neighbors
from maskrcnn.ops.roi_align import make_table


def test_neighbors_are_found_in_their_own_image_and_level():
    # Two images: 2 rows of 3 pixels, then 1 row of 2. The table has the level's images one after the other.
    maps = {2: torch.arange(12.0).view(2, 1, 2, 3), 3: 100 + torch.arange(4.0).view(2, 1, 1, 2)}
    table = make_table(maps)
    # The first image's middle pixel of the lower row; the second image's first, and its last of the coarser level.
    rows, inside = neighbors(table, torch.tensor([4, 8, 15]), reach=1)
    seen = torch.where(inside, table.rows[rows, 0], -1)
    assert seen.tolist() == [
        [[0, 1, 2], [3, 4, 5], [-1, -1, -1]],
        [[-1, -1, -1], [-1, 6, 7], [-1, 9, 10]],
        [[-1, -1, -1], [102, 103, -1], [-1, -1, -1]],
    ]


def test_a_reach_of_nothing_is_the_pixel_itself_and_there_may_be_none():
    table = make_table({4: torch.arange(6.0).view(1, 1, 2, 3)})
    rows, inside = neighbors(table, torch.arange(6), reach=0)
    assert rows.flatten().tolist() == list(range(6))
    assert inside.all()
    assert neighbors(table, torch.arange(0), reach=2)[0].shape == (0, 5, 5)
