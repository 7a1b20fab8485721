import json

from tests.cli.coco_folder import perfect


def test_saved_predictions_are_scored_without_model_and_images(coco, run_cli):
    (coco.parent / "r.json").write_text(json.dumps(perfect(coco)))
    for image in (coco / "val2017").iterdir():
        image.unlink()
    file = coco / "annotations" / "instances_val2017.json"
    done = run_cli("score", "--data", file, "--results", "r.json", "--json", "s.json")
    assert done.code == 0
    report = json.loads((coco.parent / "s.json").read_text())
    assert report["bbox"]["AP"] == report["segm"]["AP"] == report["accuracy"]["0.9"] == 1
    assert report["results_file"] == str(coco.parent / "r.json")


def test_a_mask_of_another_size_is_named(coco, run_cli):
    file, records = coco / "annotations" / "instances_val2017.json", perfect(coco)
    records[1]["segmentation"] = {"size": [9, 9], "counts": [81]}
    (coco.parent / "r.json").write_text(json.dumps(records))
    done = run_cli("score", "--data", file, "--results", "r.json")
    assert done.code == 1
    assert "record 1: its mask is of size [9, 9]" in done.err


def test_errors_are_listed_and_drawn_and_two_runs_compared(coco, run_cli):
    records = perfect(coco)
    (coco.parent / "best.json").write_text(json.dumps(records))
    (coco.parent / "worse.json").write_text(json.dumps(records[1:]))
    words = ("--results", "worse.json", "--errors", "--worst", 1, "--output", "drawn", "--compare", "best.json")
    file = coco / "annotations" / "instances_val2017.json"
    done = run_cli("score", "--data", file, *words, "--json", "s.json")
    assert done.code == 0
    report = json.loads((coco.parent / "s.json").read_text())
    assert report["errors"]["segm"]
    assert report["worst_images"]
    assert report["worst_images"][0]["image"] in {one["file_name"] for one in json.loads(file.read_text())["images"]}
    assert report["compare"]["other"] == "best.json"
    assert "missed" in done.out
    assert list((coco.parent / "drawn").glob("*.png"))
    only = run_cli("score", "--data", file, "--results", "best.json", "--errors")
    assert only.code == 0
    assert not list(coco.parent.glob("errors*"))
