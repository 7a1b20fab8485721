"""What several tests of the command line need."""

import json

import pytest

from maskrcnn.data.shapes import write_shapes


@pytest.fixture
def coco(tmp_path, monkeypatch):
    """Two generated images laid out as COCO's val2017."""
    monkeypatch.chdir(tmp_path)
    write_shapes(tmp_path / "shapes", train=1, val=2, size=64, seed=0)
    (tmp_path / "coco" / "annotations").mkdir(parents=True)
    content = json.loads((tmp_path / "shapes" / "val.json").read_text())
    (tmp_path / "coco" / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    (tmp_path / "shapes" / "images").rename(tmp_path / "coco" / "val2017")
    return tmp_path / "coco"
