import re

from maskrcnn.config import InputSettings, ModelSettings
from maskrcnn.data.shapes import write_shapes
from maskrcnn.doctor.diagnosis import Diagnosis, diagnose
from maskrcnn.doctor.findings import Example, Finding
from maskrcnn.doctor.page import COLUMNS, summary_rows
from tests.builders.made_set import MadeSet, noise


def test_the_page_needs_no_other_file_and_has_all_findings(tmp_path):
    write_shapes(tmp_path, train=6, val=3, size=64, seed=0)
    found = diagnose(tmp_path)
    found.write_page(tmp_path / "new" / "page.html", command="maskrcnn train --data x")
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
    diagnose(tmp_path).write_page(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "2 errors" in page


def test_anchors_of_detectrons_shapes_and_dark_examples_are_drawn(tmp_path):
    made = MadeSet(tmp_path, 1)
    for number in range(3):
        made.add_image(noise(number, brightest=20))
    made.write()
    shapes = tuple(((side, side), (2 * side, side)) for side in (32, 64, 128, 256, 512))
    settings = ModelSettings.model_validate({"anchors": {"shapes": shapes}})
    diagnose(tmp_path, settings).write_page(tmp_path / "page.html")
    assert 'id="dark-images"' in (tmp_path / "page.html").read_text()


def test_rows_have_the_numbers_of_each_split(tmp_path):
    made, val = MadeSet(tmp_path, 4), MadeSet(tmp_path, 2, split="val", seed=1)
    made.add_object(1, [0, 0, 10, 10])
    made.annotations[3]["iscrowd"] = 1
    made.write()
    val.write()
    rows = summary_rows(diagnose(tmp_path))
    assert [len(row) for row in rows] == [len(COLUMNS)] * 2
    assert rows[0] == ["train", "4", "1", "4", "1", "0", "1 (2)", "22 (12 to 22)"]


def test_words_of_findings_are_escaped_and_marked(tmp_path):
    image = MadeSet(tmp_path, 1).folder / "images" / "train_1.png"
    examples = (Example("<a>.png: wrong"), Example("b.png", image))
    finding = Finding("error", "wrong-sizes", "train: 1.\nval: 2.", "Use `x=<y>`.", 2, examples, ("neck=c4",))
    found = Diagnosis("sets/cats & dogs", ModelSettings(), InputSettings(), [], [], [finding], None, None, None, None)
    found.write_page(tmp_path / "page.html", command="maskrcnn train --data 'a b'")
    page = (tmp_path / "page.html").read_text()
    assert "<h1>cats &amp; dogs</h1>" in page
    assert '<article class="e" id="wrong-sizes">' in page
    assert "train: 1.<br>val: 2." in page
    assert "Use <code>x=&lt;y&gt;</code>." in page
    assert "<code>neck=c4</code>" in page
    assert "<li>&lt;a&gt;.png: wrong</li>" in page
    assert re.search(r'src="data:image/jpeg;base64,[^"]+"><figcaption>b.png', page)
    assert "1 error</span>" in page
    assert "maskrcnn train --data &#39;a b&#39;" in page


def test_a_page_without_findings_says_so(tmp_path):
    Diagnosis("a", ModelSettings(), InputSettings(), [], [], [], None, None, None, None).write_page(tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text()
    assert "Nothing found" in page
    assert "0 errors" in page
    assert "Settings that follow" not in page
