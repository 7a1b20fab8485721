import json

import pytest
from PIL import Image

from maskrcnn.cli.analysis import show_comparison, show_errors
from maskrcnn.data.readers.coco import read_coco
from maskrcnn.errors import SettingError
from maskrcnn.evaluation.report import score_results
from tests.builders.scoring import found, parsed, truth_of

CAT, DOG = 1, 2
BOX, APART = [0, 0, 20, 10], [50, 50, 20, 10]
OBJECTS = [(1, CAT, BOX, 0), (2, CAT, BOX, 0), (2, DOG, APART, 0)]
RECORDS = [found(1, CAT, BOX, 0.9), found(2, DOG, BOX, 0.8)]


def report_of(truth, *records):
    return score_results(*parsed(truth, records))


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")


def test_errors_are_shown_and_reported(capsys):
    report = show_errors(report_of(truth_of(*OBJECTS, count=2), *RECORDS), None, names={2: "two.png"})
    text = capsys.readouterr().out
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["errors"]["bbox"]["all"]["counts"]["classification"] == 1
    # The best F1 is that of the first detection alone, so that the second is not looked at.
    worst = {"image_id": 2, "image": "two.png", "errors": 2, "what": "missed 2 (class 1, class 2)"}
    assert report["worst_images"] == [worst]
    assert "two.png" in text
    assert "Errors of boxes: AP50 25" in text
    assert "missed 2 (class 1, class 2)" in text


def test_nothing_found_or_annotated_can_be_shown():
    for truth in (truth_of(count=0), truth_of(*OBJECTS, count=2)):
        report = show_errors(report_of(truth), None)
        assert set(report["errors"]) == {"bbox"}
    assert len(report["worst_images"]) == 2


def test_masks_are_not_judged_by_boxes():
    mask = {"segmentation": [[0, 0, 20, 0, 20, 10, 0, 10]]}
    records = [record | mask for record in RECORDS]
    report = show_errors(report_of(truth_of(*OBJECTS, count=2), *records), None)
    assert set(report["errors"]) == {"bbox"}
    drawn = truth_of(*OBJECTS, count=2)
    drawn.objects[0] |= mask
    assert set(show_errors(report_of(drawn, *records), None)["errors"]) == {"bbox", "segm"}


def test_images_cannot_be_drawn_without_a_folder_or_without_images():
    with pytest.raises(SettingError, match="--worst 3: there is no folder"):
        show_errors(report_of(truth_of()), None, drawn=3)


def test_the_worst_images_are_drawn_and_listed_with_their_files(tmp_path, capsys):
    content = {
        "images": [{"id": n, "file_name": f"p{n}.png", "width": 100, "height": 100} for n in (1, 2)],
        "categories": [{"id": CAT, "name": "cat"}],
        "annotations": [{"id": n, "image_id": n, "category_id": CAT, "bbox": BOX} for n in (1, 2)],
    }
    (tmp_path / "truth.json").write_text(json.dumps(content))
    for n in (1, 2):
        Image.new("RGB", (100, 100)).save(tmp_path / f"p{n}.png")
    folder = tmp_path / "drawn"
    report = show_errors(
        report_of(content, found(1, CAT, BOX, 0.9), found(2, CAT, APART, 0.8)),
        lambda: read_coco(tmp_path / "truth.json", tmp_path),
        drawn=1,
        folder=folder,
    )
    assert report["worst_images"] == [
        {"image_id": 2, "errors": 1, "what": "missed 1", "drawing": str(folder / "001-p2.png"), "image": "p2.png"}
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["001-p2.png", "index.png"]
    shown = capsys.readouterr()
    assert "p2.png" in shown.out
    assert f"Drawn into {folder}" in shown.err


def test_two_runs_are_shown_side_by_side(tmp_path, capsys):
    other = tmp_path / "older.json"
    other.write_text(json.dumps(RECORDS))
    better = [*RECORDS, found(2, DOG, APART, 0.9)]
    report = show_comparison(report_of(truth_of(*OBJECTS, count=2), *better), other)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    ap = report["compare"]["bbox"]["AP"]
    # Cats 51 / 101 in both, dogs 0 and 1.
    assert (ap["first"], ap["second"]) == pytest.approx((51 / 202, 51 / 202 + 0.5))
    assert report["compare"]["other"] == str(other)
    text = capsys.readouterr().out
    assert "this run against older.json" in text
    assert "+50.0" in text
