import io
import json

import pytest
from PIL import Image
from rich.console import Console

from maskrcnn.cli.analysis import show_comparison, show_errors
from maskrcnn.data.readers.coco import read_coco
from maskrcnn.errors import DataError, SettingError
from maskrcnn.evaluation.annotations import load_annotations
from tests.evaluation.test_matching import found, truth_of

CAT, DOG = 1, 2
BOX, APART = [0, 0, 20, 10], [50, 50, 20, 10]
OBJECTS = [(1, CAT, BOX, 0), (2, CAT, BOX, 0), (2, DOG, APART, 0)]
RECORDS = [found(1, CAT, BOX, 0.9), found(2, DOG, BOX, 0.8)]


def a_console():
    return Console(width=150, file=io.StringIO(), record=True)


def test_errors_are_shown_and_reported():
    console = a_console()
    report = show_errors(truth_of(*OBJECTS, pictures=2), RECORDS, None, names={2: "two.png"}, console=console)
    text = console.export_text()
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["errors"]["bbox"]["all"]["counts"]["classification"] == 1
    # The best F1 is that of the first detection alone, so that the second is not looked at.
    worst = {"image_id": 2, "picture": "two.png", "errors": 2, "what": "missed 2 (class 1, class 2)"}
    assert report["worst_pictures"] == [worst]
    assert "two.png" in text
    assert "Errors of boxes: AP50 25" in text
    assert "missed 2 (class 1, class 2)" in text


def test_nothing_found_or_annotated_can_be_shown():
    for truth in (truth_of(pictures=0), truth_of(*OBJECTS, pictures=2)):
        report = show_errors(truth, [], None, console=a_console())
        assert set(report["errors"]) == {"bbox"}
    assert len(report["worst_pictures"]) == 2


def test_masks_are_not_judged_by_boxes():
    mask = {"segmentation": [[0, 0, 20, 0, 20, 10, 0, 10]]}
    records = [record | mask for record in RECORDS]
    report = show_errors(truth_of(*OBJECTS, pictures=2), records, None, console=a_console())
    assert set(report["errors"]) == {"bbox"}
    drawn = truth_of(*OBJECTS, pictures=2)
    drawn.objects[0] |= mask
    assert set(show_errors(drawn, records, None, console=a_console())["errors"]) == {"bbox", "segm"}


def test_pictures_cannot_be_drawn_without_a_folder_or_without_pictures():
    with pytest.raises(SettingError, match="--pictures 3: there is no folder"):
        show_errors(truth_of(), [], None, pictures=3)


def test_the_worst_pictures_are_drawn_and_listed_with_their_files(tmp_path):
    content = {
        "images": [{"id": n, "file_name": f"p{n}.png", "width": 100, "height": 100} for n in (1, 2)],
        "categories": [{"id": CAT, "name": "cat"}],
        "annotations": [{"id": n, "image_id": n, "category_id": CAT, "bbox": BOX} for n in (1, 2)],
    }
    (tmp_path / "truth.json").write_text(json.dumps(content))
    for n in (1, 2):
        Image.new("RGB", (100, 100)).save(tmp_path / f"p{n}.png")
    truth, console, folder = load_annotations(content), a_console(), tmp_path / "drawn"
    report = show_errors(
        truth,
        [found(1, CAT, BOX, 0.9), found(2, CAT, APART, 0.8)],
        lambda: read_coco(tmp_path / "truth.json", tmp_path),
        pictures=1,
        folder=folder,
        console=console,
    )
    assert report["worst_pictures"] == [
        {"image_id": 2, "errors": 1, "what": "missed 1", "drawing": str(folder / "001-p2.png"), "picture": "p2.png"}
    ]
    assert sorted(path.name for path in folder.iterdir()) == ["001-p2.png", "index.png"]
    text = console.export_text()
    assert "p2.png" in text
    assert f"Drawn into {folder}" in text.replace("\n", "")


def test_broken_predictions_are_refused():
    with pytest.raises(DataError, match="image_id 9 is not among"):
        show_errors(truth_of(), [found(9, CAT, BOX, 0.5)], None)
    with pytest.raises(DataError, match="image_id 9 is not among"):
        show_comparison(truth_of(), [found(9, CAT, BOX, 0.5)], "unused.json")


def test_two_runs_are_shown_side_by_side(tmp_path):
    other = tmp_path / "older.json"
    other.write_text(json.dumps(RECORDS))
    console = a_console()
    better = [*RECORDS, found(2, DOG, APART, 0.9)]
    report = show_comparison(truth_of(*OBJECTS, pictures=2), better, other, console=console)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    ap = report["compare"]["bbox"]["AP"]
    # Cats 51 / 101 in both, dogs 0 and 1.
    assert (ap["first"], ap["second"]) == pytest.approx((51 / 202, 51 / 202 + 0.5))
    assert report["compare"]["other"] == str(other)
    text = console.export_text()
    assert "this run against older.json" in text
    assert "+50.0" in text
