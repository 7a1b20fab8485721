import re
from contextlib import contextmanager

from maskrcnn.config import ModelSettings
from maskrcnn.data.health.splits import read_splits
from maskrcnn.data.shapes import write_shapes
from maskrcnn.predict.health.diagnosis import diagnose
from maskrcnn.predict.health.page import COLUMNS, summary_rows, write_diagnosis
from tests.data.health.made import MadeSet, noise


@contextmanager
def silent(words, pictures):
    yield lambda count: None


def diagnosed(folder, settings=None):
    return diagnose(str(folder), read_splits(folder), settings or ModelSettings(), announce=silent)


def test_the_page_needs_no_other_file_and_has_all_findings(tmp_path):
    write_shapes(tmp_path, train=6, val=3, size=64, seed=0)
    found = diagnosed(tmp_path)
    write_diagnosis(tmp_path / "new" / "page.html", found, command="maskrcnn train --data x")
    page = (tmp_path / "new" / "page.html").read_text()
    assert set(re.findall(r'src="(.{5})', page)) == {"data:"}
    assert not re.findall(r"https?://", page)
    assert len(re.findall("data:image/png", page)) == 7
    for finding in found.findings:
        assert f'id="{finding.name}"' in page
    assert "maskrcnn train --data x" in page


def test_a_page_of_nothing_can_be_written(tmp_path):
    made = MadeSet(tmp_path, 2)
    made.annotations = []
    made.write()
    (tmp_path / "val.json").write_text("[")
    write_diagnosis(tmp_path / "page.html", diagnosed(tmp_path), command=None)
    page = (tmp_path / "page.html").read_text()
    assert "2 errors" in page
    assert "none of its 2 pictures has an object" in page


def test_anchors_of_detectrons_shapes_and_dark_examples_are_drawn(tmp_path):
    made = MadeSet(tmp_path, 1)
    for number in range(3):
        made.add_picture(noise(number, brightest=20))
    made.write()
    shapes = tuple(((side, side), (2 * side, side)) for side in (32, 64, 128, 256, 512))
    settings = ModelSettings.model_validate({"anchors": {"shapes": shapes}})
    write_diagnosis(tmp_path / "page.html", diagnosed(tmp_path, settings), command=None)
    assert 'id="dark-pictures"' in (tmp_path / "page.html").read_text()


def test_rows_have_the_numbers_of_each_split(tmp_path):
    made, val = MadeSet(tmp_path, 4), MadeSet(tmp_path, 2, split="val", seed=1)
    made.add_object(1, [0, 0, 10, 10])
    made.annotations[3]["iscrowd"] = 1
    made.write()
    val.write()
    rows = summary_rows(diagnosed(tmp_path))
    assert [len(row) for row in rows] == [len(COLUMNS)] * 2
    assert rows[0] == ["train", "4", "1", "4", "1", "0", "1 (2)", "22 (12 to 22)"]
