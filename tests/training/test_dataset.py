import json

import pytest
import torch

from maskrcnn.config import KeypointHeadSettings, RunSettings
from maskrcnn.data.shapes import SHAPES, write_shapes
from maskrcnn.errors import DataError
from maskrcnn.model.build import build_model
from maskrcnn.training.dataset import read_training_data, train_on_dataset
from maskrcnn.training.run_folder import HELD_OUT_NAME, DataArguments
from maskrcnn.weights.own import load_weights
from tests.training.tiny import model_settings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_shapes(folder, train=10, val=2, size=64, seed=0)
    return folder


def settings(**data):
    tree = {
        **model_settings().model_dump(),
        "input": {"min_size": 64},
        "train": {"steps": 2, "precision": "float32", "evaluate_every": 2},
        "data": {"workers": 0, **data},
    }
    return RunSettings.model_validate(tree)


def read(data, *, images=None, val=None, **options):
    return read_training_data(DataArguments(data, images=images, val=val), settings(**options))


def run(data, folder, chosen):
    torch.manual_seed(0)
    model = build_model(chosen.model, len(SHAPES), keypoints=data.train.classes.keypoint_count)
    return train_on_dataset(model, data, chosen, folder=folder, device=torch.device("cpu"), resume=False, quiet=True)


def test_the_validation_part_of_a_folder_is_found(folder):
    data = read(folder)
    assert (len(data.train.records), len(data.val.records), data.held_out) == (10, 2, False)


def test_validation_data_can_be_given(folder):
    data = read(folder / "train.json", images=folder / "images", val=folder / "val.json")
    assert (len(data.train.records), len(data.val.records), data.held_out) == (10, 2, False)


def test_without_validation_data_a_part_is_held_out(folder):
    data = read(folder / "train.json", val_fraction=0.3)
    assert (len(data.train.records), len(data.val.records), data.held_out) == (7, 3, True)


def test_validation_data_in_another_format_in_the_same_folder_are_not_meant(folder, tmp_path):
    contents = json.loads((folder / "train.json").read_text())
    (tmp_path / "train.json").write_text(json.dumps(contents))
    (tmp_path / "data.yaml").write_text("val: images\nnames: [a]\n")
    assert read(tmp_path, images=folder / "images").held_out


def test_other_classes_in_the_validation_data_are_named(folder, tmp_path):
    contents = json.loads((folder / "val.json").read_text())
    contents["categories"][0]["name"] = "disc"
    (tmp_path / "val.json").write_text(json.dumps(contents))
    with pytest.raises(DataError, match="its categories are 1 disc, 2 square.*are 1 circle, 2 square"):
        read(folder / "train.json", images=folder / "images", val=tmp_path / "val.json")


def test_data_without_objects_are_refused(folder, tmp_path):
    contents = json.loads((folder / "train.json").read_text()) | {"annotations": []}
    (tmp_path / "train.json").write_text(json.dumps(contents))
    with pytest.raises(DataError, match="none of the 10 images has an object"):
        read(tmp_path / "train.json", images=folder / "images")


def test_a_run_is_judged_and_leaves_its_weights_and_the_images_it_held_out(folder, tmp_path):
    data = read(folder / "train.json")
    result = run(data, tmp_path / "run", settings())
    assert result.finished
    assert set(result.scores) == {"bbox", "segm"}
    assert set(result.scores["segm"]["per_class"]) == set(SHAPES)
    assert load_weights(result.weights).classes.names == SHAPES
    held = json.loads((tmp_path / "run" / HELD_OUT_NAME).read_text())
    assert [image["id"] for image in held["images"]] == [record.image_id for record in data.val.records]


def test_boxes_alone_can_be_trained(folder, tmp_path):
    chosen = settings()
    chosen.mask_head = None
    assert set(run(read(folder), tmp_path / "run", chosen).scores) == {"bbox"}


def test_keypoints_can_be_trained_and_decide_which_weights_are_best(tmp_path):
    write_shapes(tmp_path, train=2, val=1, size=64, seed=0)
    for path in (tmp_path / "train.json", tmp_path / "val.json"):
        contents = json.loads(path.read_text())
        for category in contents["categories"]:
            category |= {"keypoints": ["left", "right"]}
        for found in contents["annotations"]:
            x, y, *_ = found["bbox"]
            found["keypoints"] = [x + 2, y + 2, 2, x + 1, y + 2, 1]
        path.write_text(json.dumps(contents))
    data, chosen = read(tmp_path), settings()
    chosen.mask_head = None
    chosen.keypoint_head = KeypointHeadSettings(channels=16, convolutions=1)
    result = run(data, tmp_path / "run", chosen)
    assert set(result.scores) == {"bbox", "keypoints"}
    assert list(result.scores["keypoints"])[:2] == ["AP", "AP50"]
    assert load_weights(result.weights).classes.keypoint_schema.flip_pairs == ((0, 1),)


def test_annotations_that_cannot_be_scored_are_named_before_the_first_step(tmp_path):
    write_shapes(tmp_path, train=2, val=1, size=64, seed=0)
    data = read(tmp_path)
    data.val.coco["annotations"][0]["bbox"] = [1, 2, 3]
    with pytest.raises(DataError, match=r"bbox \[1, 2, 3\] must be 4 finite numbers"):
        run(data, tmp_path / "run", settings())
    assert not (tmp_path / "run").exists()
