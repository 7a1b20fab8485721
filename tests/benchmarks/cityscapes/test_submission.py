from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from maskrcnn.benchmarks.cityscapes.dataset import read_instances, write_instances
from maskrcnn.errors import DataError
from maskrcnn.evaluation.results import Results
from maskrcnn.structures.masks import encode_counts
from maskrcnn.structures.regions import find_regions

FIRST, SECOND = "aachen_000000_000019", "bonn_000001_000019"
NAMES = {1: FIRST, 2: SECOND}
SIZES = {1: (4, 6), 2: (4, 6)}
MASK = np.zeros((4, 6), dtype=np.uint8)
MASK[1:3, 2:5] = 1


@pytest.fixture
def folder(tmp_path):
    """An image with one object, in a folder of its own, and one without."""
    (tmp_path / "first").mkdir()
    Image.fromarray(MASK).save(tmp_path / "first" / "a.png")
    (tmp_path / "first" / f"{FIRST}_leftImg8bit.txt").write_text("a.png 26 0.5\n")
    (tmp_path / f"{SECOND}.txt").write_text("")
    (tmp_path / "readme.txt").write_text("how it was made")
    return tmp_path


def read(folder: Path) -> list[dict]:
    return read_instances(folder, NAMES, SIZES)


def test_every_line_is_a_record(folder):
    assert read(folder) == [
        {"image_id": 1, "category_id": 26, "score": 0.5, "segmentation": find_regions(MASK)[1].rle()}
    ]


def test_labels_may_be_written_with_a_point_and_any_pixel_above_0_is_the_object(folder):
    Image.fromarray(3 * MASK).save(folder / "first" / "a.png")
    (folder / "first" / f"{FIRST}_leftImg8bit.txt").write_text("a.png 26.0 1e-1\n")
    assert read(folder)[0]["category_id"] == 26
    assert read(folder)[0]["segmentation"] == find_regions(MASK)[1].rle()


def test_of_a_mask_that_is_named_twice_the_last_line_counts(folder):
    (folder / "first" / f"{FIRST}_leftImg8bit.txt").write_text("a.png 26 0.5\na.png 24 0.7\n")
    assert [(record["category_id"], record["score"]) for record in read(folder)] == [(24, 0.7)]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a.png 26", "line 1.*a.png 26.*MASK LABEL SCORE"),
        ("my mask.png 26 0.5", "line 1.*my mask.png 26 0.5"),
        ("a.png 26 high", "line 1.*a.png 26 high"),
        ("\na.png 26 0.5", "line 1: ''"),
        ("a.png 255 0.5", "line 1.*255.*0 to 33"),
        ("../../a.png 26 0.5", "line 1.*../../a.png"),
        ("/a.png 26 0.5", "line 1.* /a.png"),
        ("b.png 26 0.5", "first/b.png"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(folder, line, words):
    (folder / "first" / f"{FIRST}_leftImg8bit.txt").write_text(line + "\n")
    with pytest.raises(DataError, match=words):
        read(folder)


def test_masks_of_another_size_and_broken_ones_are_named(folder):
    Image.fromarray(MASK.T.copy()).save(folder / "first" / "a.png")
    with pytest.raises(DataError, match="a.png.*4 x 6.*6 x 4"):
        read(folder)
    assert read_instances(folder, NAMES, {})[0]["segmentation"]["size"] == [6, 4]
    (folder / "first" / "a.png").write_bytes(b"PNG")
    with pytest.raises(DataError, match="a.png"):
        read(folder)


def test_every_image_has_one_text_file(folder):
    (folder / f"{FIRST}.txt").write_text("")
    with pytest.raises(DataError, match=f"{FIRST} .*{FIRST}.txt"):
        read(folder)
    (folder / f"{FIRST}.txt").unlink()
    (folder / f"{SECOND}.txt").unlink()
    with pytest.raises(DataError, match=f"1 of 2 .*{SECOND}"):
        read(folder)
    (folder / "ulm_000003_000019.txt").write_text("")
    with pytest.raises(DataError, match="ulm_000003_000019"):
        read(folder)


def test_masks_are_written_at_full_size(tmp_path):
    records = [
        {"image_id": 2, "category_id": 24, "score": 1, "segmentation": find_regions(MASK)[1].rle()},
        {
            "image_id": 2,
            "category_id": 24,
            "score": 0.25,
            "segmentation": {"size": [4, 6], "counts": encode_counts([24], (4, 6))["counts"]},
        },
    ]
    write_instances(tmp_path, Results(tuple(records)), NAMES, SIZES)
    assert (tmp_path / f"{FIRST}.txt").read_text() == ""
    assert (tmp_path / f"{SECOND}.txt").read_text() == (
        f"masks/{SECOND}_0000.png 24 1.0\nmasks/{SECOND}_0001.png 24 0.25\n"
    )
    with Image.open(tmp_path / "masks" / f"{SECOND}_0000.png") as image:
        np.testing.assert_array_equal(np.array(image), 255 * MASK)
    assert [record["score"] for record in read(tmp_path)] == [1, 0.25]
