import pytest

from maskrcnn.cli.datasets import open_data
from maskrcnn.data.shapes import write_shapes
from maskrcnn.errors import SettingError


@pytest.fixture
def folder(tmp_path):
    write_shapes(tmp_path, train=1, val=2, size=64, seed=0)
    return tmp_path


def test_a_split_is_read_with_its_conditions(folder):
    assert len(open_data(folder, "val").records) == 2


def test_objects_that_are_left_out_are_named(folder, capsys):
    path = folder / "train.json"
    path.write_text(path.read_text().replace('"iscrowd":0', '"iscrowd":7', 1))
    assert len(open_data(folder, "train", skip_invalid=True).skipped) == 1
    assert "Left out: " in capsys.readouterr().err


def test_a_format_that_does_not_exist_is_named_with_those_that_do(folder):
    with pytest.raises(SettingError, match="yollo.*--format.*coco"):
        open_data(folder, "val", form="yollo")
