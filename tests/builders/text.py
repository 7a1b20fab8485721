"""ICDAR 2015 and CTW1500 with small images."""

import numpy as np
from PIL import Image

SIZE = (80, 120)

WORDS = [[10, 10, 50, 14, 48, 34, 8, 30], [60, 40, 110, 40, 110, 60, 60, 60]]

IGNORED = [5, 60, 45, 60, 45, 75, 5, 75]


def curve(top):
    above = [value for i in range(7) for value in (10 + 10 * i, top + (i - 3) ** 2)]
    below = [value for i in reversed(range(7)) for value in (10 + 10 * i, top + 12 + (i - 3) ** 2)]
    return above + below


def icdar(root, images=True, count=2):
    (root / "ch4_test_images").mkdir()
    (root / "Challenge4_Test_Task1_GT").mkdir()
    for number in range(1, count + 1):
        lines = [",".join(map(str, [*word, "a,b"])) for word in WORDS] + [",".join(map(str, [*IGNORED, "###"]))]
        file = root / "Challenge4_Test_Task1_GT" / f"gt_img_{number}.txt"
        file.write_text("\r\n".join(lines), encoding="utf-8-sig")
        if images:
            Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(root / "ch4_test_images" / f"img_{number}.jpg")
    return root


def ctw1500(root):
    (root / "test_images").mkdir()
    (root / "gt_ctw1500").mkdir()
    for number in (1001, 1002):
        lines = [",".join(map(str, curve(top))) + ",####text" for top in (5, 40)]
        (root / "gt_ctw1500" / f"000{number}.txt").write_text("\n".join(lines))
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(root / "test_images" / f"{number}.jpg")
    return root
