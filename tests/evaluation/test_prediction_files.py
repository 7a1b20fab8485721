import json

import pytest

from maskrcnn import score
from maskrcnn.analysis.compare import results_of
from maskrcnn.errors import DataError
from maskrcnn.evaluation.prediction_files import records_of_predictions

NAMES = {5: "a/one.png", 3: "b/one.png", 8: "two.png"}
CATEGORIES = {7: "cat", 9: "Dog"}


def image(file, *objects):
    return {"file": file, "size": [8, 10], "drawn": None, "objects": list(objects)}


def found(label, **more):
    return {"box": [1, 2, 4, 7], "label": label, "score": 0.5, **more}


def predictions(*images, classes=("dog", "cow", "cat")):
    named = [{"label": label, "name": name, "category_id": 40 + label} for label, name in enumerate(classes)]
    return {"classes": named, "images": list(images), "failed": []}


def test_images_are_found_by_name_and_folder_and_classes_by_name():
    mask, points = {"size": [8, 10], "counts": "P2"}, [1, 2, 0.5]
    content = predictions(
        image(r"C:\data\b\one.png", found(0), found(1)),
        image("/else/two.png", found(2, mask=mask)),
        image("a/one.png", found(0, keypoints=points)),
    )
    dog = {"category_id": 9, "score": 0.5, "bbox": [1, 2, 3, 5]}
    assert records_of_predictions(content, NAMES, CATEGORIES, "p.json") == [
        {"image_id": 3} | dog,
        {"image_id": 8} | dog | {"category_id": 7, "segmentation": mask},
        {"image_id": 5} | dog | {"keypoints": points},
    ]


def test_one_class_on_both_sides_matches_whatever_its_name():
    content = predictions(image("x.png", found(0)), classes=["nucleus"])
    assert records_of_predictions(content, {1: "x.png"}, {4: "cell"}, "p.json")[0]["category_id"] == 4


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (predictions(image("a/one.png"), image("b/one.png")), r"p\.json.*2 of .* 3 .*two\.png"),
        (predictions(image("one.png"), image("two.png")), r"p\.json.*one\.png.*a/one\.png, b/one\.png"),
        (predictions(image("three.png")), r"p\.json.*three\.png"),
        (predictions(image("x/two.png"), image("y/two.png")), r"p\.json.*x/two\.png.*y/two\.png"),
        (predictions(*map(image, NAMES.values()), classes=["cow"]), r"p\.json.*cow.*Dog, cat"),
        (predictions(*map(image, NAMES.values())) | {"classes": [3]}, r"p\.json"),
        (predictions({"objects": []}), r"p\.json.*file"),
        (predictions(*[{"file": name, "objects": [{"label": 0}]} for name in NAMES.values()]), r"p\.json.*box"),
    ],
)
def test_what_does_not_fit_the_dataset_is_named(content, named):
    with pytest.raises(DataError, match=named):
        records_of_predictions(content, NAMES, CATEGORIES, "p.json")


def test_the_scores_are_those_of_the_same_predictions_with_ids(tmp_path):
    size = {"height": 8, "width": 10}
    truth = {
        "images": [{"id": 3, "file_name": "b/one.png", **size}, {"id": 4, "file_name": "two.png", **size}],
        "categories": [{"id": 9, "name": "dog"}],
        "annotations": [
            {"id": number, "image_id": image_id, "category_id": 9, "bbox": [1, 2, 3, 5], "area": 15, "iscrowd": 0}
            for number, image_id in enumerate((3, 4), start=1)
        ],
    }
    file = tmp_path / "predictions.json"
    file.write_text(json.dumps(predictions(image("x/one.png", found(0)), image("two.png"))))
    (tmp_path / "val.json").write_text(json.dumps(truth))
    report = score(file, tmp_path / "val.json", iou_types=["bbox"])
    same = score([{"image_id": 3, "category_id": 9, "score": 0.5, "bbox": [1, 2, 3, 5]}], truth, iou_types=["bbox"])
    assert report["bbox"] == same["bbox"]
    assert report["bbox"]["AP50"] == pytest.approx(51 / 101)  # one of two found: precision 1 up to recall 0.5
    assert results_of(file, others=False) == file
