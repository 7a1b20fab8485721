"""Kumar and Cell17 with small images."""

import numpy as np
import scipy.io
from PIL import Image

SIZE = (30, 40)


def cells(shift=0):
    """Three cells; the last touches the second."""
    values = np.zeros(SIZE, np.int32)
    values[2:10, 2:10] = 5
    values[12:20, 10 + shift : 20 + shift] = 2
    values[20:28, 10:20] = 9
    return values


def kumar(root, names=("breast_1", "liver_2"), folder="test_same", images=True):
    for name in names:
        (root / folder / "Labels").mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(root / folder / "Labels" / f"{name}.mat", {"inst_map": cells()})
        if images:
            (root / folder / "Images").mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(root / folder / "Images" / f"{name}.tif")
    return root


def cell17(folder):
    """Images of the challenge of 2017 beside their numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("image01", "image02"):
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(folder / f"{name}.png")
        values = "\n".join(map(str, cells().ravel()))
        (folder / f"{name}_mask.txt").write_text(f"{SIZE[1]} {SIZE[0]}\n{values}\n")
