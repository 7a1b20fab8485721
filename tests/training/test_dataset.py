import json

import pytest
import torch

from maskrcnn.config import KeypointHeadSettings
from maskrcnn.data.shapes import SHAPES, write_shapes
from maskrcnn.errors import DataError
from maskrcnn.model.build import build_model
from maskrcnn.training.dataset import read_training_data, train_on_dataset
from maskrcnn.training.run_folder import HELD_OUT_NAME, DataArguments
from maskrcnn.weights.own import load_weights
from tests.training.tiny import shapes_settings


def settings(**data):
    return shapes_settings(data=data, steps=2, evaluate_every=2)


def read(data, *, images=None, val=None, **options):
    return read_training_data(DataArguments(data, images=images, val=val), settings(**options))


def run(data, folder, chosen):
    torch.manual_seed(0)
    model = build_model(chosen.model, len(SHAPES), keypoints=data.train.classes.keypoint_count)
    return train_on_dataset(model, data, chosen, folder=folder, device=torch.device("cpu"), resume=False, quiet=True)


@pytest.mark.parametrize(
    ("how", "images"),
    [
        pytest.param(lambda folder: read(folder), (10, 2, False), id="of the folder"),
        pytest.param(
            lambda folder: read(folder / "train.json", images=folder / "images", val=folder / "val.json"),
            (10, 2, False),
            id="given",
        ),
        pytest.param(lambda folder: read(folder / "train.json", val_fraction=0.3), (7, 3, True), id="held out"),
    ],
)
def test_validation_data_are_found_given_or_held_out(shapes, how, images):
    data = how(shapes)
    assert (len(data.train.records), len(data.val.records), data.held_out) == images


def test_validation_data_in_another_format_in_the_same_folder_are_not_meant(shapes, tmp_path):
    contents = json.loads((shapes / "train.json").read_text())
    (tmp_path / "train.json").write_text(json.dumps(contents))
    (tmp_path / "data.yaml").write_text("val: images\nnames: [a]\n")
    assert read(tmp_path, images=shapes / "images").held_out


def test_other_classes_in_the_validation_data_are_named(shapes, tmp_path):
    contents = json.loads((shapes / "val.json").read_text())
    contents["categories"][0]["name"] = "disc"
    (tmp_path / "val.json").write_text(json.dumps(contents))
    with pytest.raises(DataError, match="1 disc, 2 square.* 1 circle, 2 square"):
        read(shapes / "train.json", images=shapes / "images", val=tmp_path / "val.json")


def test_data_without_objects_are_refused(shapes, tmp_path):
    contents = json.loads((shapes / "train.json").read_text()) | {"annotations": []}
    (tmp_path / "train.json").write_text(json.dumps(contents))
    with pytest.raises(DataError, match="train.json"):
        read(tmp_path / "train.json", images=shapes / "images")


def test_a_training_part_whose_objects_are_all_crowds_is_refused(shapes, tmp_path):
    contents = json.loads((shapes / "train.json").read_text())
    contents["annotations"] = [found | {"iscrowd": 1} for found in contents["annotations"]]
    (tmp_path / "train.json").write_text(json.dumps(contents))
    with pytest.raises(DataError, match="train.json"):
        read(tmp_path / "train.json", images=shapes / "images")


def test_the_only_image_with_objects_is_trained_whatever_the_seed(shapes, tmp_path):
    contents = json.loads((shapes / "train.json").read_text())
    only = contents["annotations"][0]["image_id"]
    contents["annotations"] = [found for found in contents["annotations"] if found["image_id"] == only]
    (tmp_path / "train.json").write_text(json.dumps(contents))
    for seed in range(4):
        source = DataArguments(tmp_path / "train.json", images=shapes / "images")
        data = read_training_data(source, settings(val_fraction=0.5).changed({"train.seed": seed}))
        assert only in [record.image_id for record in data.train]


def test_a_run_is_scored_and_leaves_its_weights_and_the_images_it_held_out(shapes, tmp_path):
    data = read(shapes / "train.json")
    result = run(data, tmp_path / "run", settings())
    assert result.finished
    assert set(result.scores) == {"bbox", "segm"}
    assert set(result.scores["segm"]["per_class"]) == set(SHAPES)
    assert load_weights(result.weights).classes.names == SHAPES
    held = json.loads((tmp_path / "run" / HELD_OUT_NAME).read_text())
    assert [image["id"] for image in held["images"]] == [record.image_id for record in data.val.records]


def test_boxes_alone_can_be_trained(shapes, tmp_path):
    chosen = settings()
    chosen.mask_head = None
    assert set(run(read(shapes), tmp_path / "run", chosen).scores) == {"bbox"}


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
    with pytest.raises(DataError, match=r"bbox \[1, 2, 3\]"):
        run(data, tmp_path / "run", settings())
    assert not (tmp_path / "run").exists()
