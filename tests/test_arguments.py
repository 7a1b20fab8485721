"""Arguments of public functions that cannot be meant are refused at once, with what may be given."""

import numpy as np
import pytest

import maskrcnn
from maskrcnn.data.shapes import shapes_in_memory
from maskrcnn.errors import SettingError


@pytest.fixture(scope="module")
def data() -> maskrcnn.Dataset:
    return shapes_in_memory(4, size=64)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        pytest.param({"precision": "fp16"}, "precision=fp16: .*auto, bfloat16, float32", id="precision"),
        pytest.param({"engine": "onnx"}, "engine=onnx: .*torch, openvino", id="engine"),
        pytest.param({"tta": True}, "tta=True: .*TTASettings", id="tta"),
        pytest.param({"classes": ["cell"]}, "classes", id="classes beside weights"),
    ],
)
def test_arguments_of_a_predictor_are_checked_before_weights_are_read(arguments, named):
    with pytest.raises(SettingError, match=named):
        maskrcnn.Predictor("no_such_weights", **arguments)


def test_a_batch_has_at_least_one_image():
    predictor = maskrcnn.Predictor("nuclei")
    assert repr(predictor).startswith("Predictor(resnet")
    with pytest.raises(SettingError, match="batch_size=0"):
        list(predictor.predict_all([np.zeros((40, 60, 3), np.uint8)], batch_size=0))


@pytest.mark.parametrize("fraction", [0, 1, 2, -1])
def test_a_split_holds_out_a_part(data, fraction):
    with pytest.raises(SettingError, match=f"fraction={fraction}"):
        data.split(fraction)


def test_what_becomes_of_images_is_a_known_word(data, tmp_path):
    with pytest.raises(SettingError, match="images_as=move: .*copy, link, none"):
        maskrcnn.convert_dataset(data, tmp_path, images_as="move")
    assert list(tmp_path.iterdir()) == []


def test_a_score_threshold_in_words_is_best(data):
    with pytest.raises(SettingError, match="score_threshold=bst: .*best"):
        maskrcnn.score([], data, score_threshold="bst")


def test_the_doctor_takes_settings_as_training_does(data):
    changes = {"anchors.sizes": [4, 8, 16, 32, 64], "input.min_size": 64}
    found, same = (
        maskrcnn.diagnose(data, settings) for settings in (changes, maskrcnn.ModelSettings().changed(changes))
    )
    assert [one.name for one in found.findings] == [one.name for one in same.findings]


def test_bitmaps_have_three_dimensions():
    with pytest.raises(ValueError, match=r"\[4, 4\]"):
        maskrcnn.to_rle(np.zeros((4, 4), bool))


def test_one_name_filters(data):
    instances = data[0].instances
    name = data.classes.names[int(instances.labels[0])]
    assert len(instances.filter(labels=name)) == len(instances.filter(labels=[name])) > 0
