import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.config import ModelSettings, TTASettings
from maskrcnn.data.images import read_image
from maskrcnn.data.preprocessing import make_batch, prepare_image
from maskrcnn.errors import DataError, SettingError, WeightsError
from maskrcnn.model.build import build_model
from maskrcnn.predict.predictor import Predictor
from maskrcnn.structures.classes import Classes
from maskrcnn.structures.masks import to_rle
from maskrcnn.weights.own import Weights
from maskrcnn.weights.reading import read_weights
from tests.conftest import require_openvino

MANY = ("rpn.post_nms_top_n=1000", "rpn.pre_nms_top_n=1000", "box_head.nms_threshold=0.95")


@pytest.fixture(scope="module")
def predictor(tiny_weights):
    return Predictor(tiny_weights, precision="float32")


@pytest.fixture
def images(tmp_path):
    """Files of noise, of different sizes."""
    random = np.random.default_rng(0)
    paths = [tmp_path / f"{height}x{width}.png" for height, width in ((60, 90), (120, 70))]
    for path in paths:
        height, width = map(int, path.stem.split("x"))
        Image.fromarray(random.integers(0, 255, (height, width, 3), dtype=np.uint8)).save(path)
    return paths


def assert_same(one, other, tolerance=0.0):
    torch.testing.assert_close(one.boxes, other.boxes, atol=100 * tolerance, rtol=0)
    torch.testing.assert_close(one.scores, other.scores, atol=tolerance, rtol=0)
    assert torch.equal(one.labels, other.labels)
    assert one.size == other.size


def test_a_file_an_array_and_a_tensor_give_the_same(predictor, images):
    image = read_image(images[0])
    found = predictor(images[0])
    assert (len(found), found.size) == (100, (60, 90))
    assert (found.scores.diff() <= 0).all()
    several = [str(images[0]), image, image.permute(1, 2, 0).numpy(), Image.open(images[0])]
    for same in predictor(several):
        assert_same(same, found)
        assert same.to_rle() == found.to_rle()


def test_images_of_one_size_in_a_batch_give_what_each_gives_alone(predictor, images):
    both = [read_image(images[0]), read_image(images[0]).flip(1)]
    for found, alone in zip(predictor.predict_all(both, batch_size=2), predictor(both), strict=True):
        assert_same(found[:20], alone[:20], tolerance=1e-4)


def test_images_of_two_sizes_in_a_batch_keep_their_own_pixels(predictor, images):
    for found, size in zip(predictor.predict_all(images, batch_size=2), [(60, 90), (120, 70)], strict=True):
        assert found.size == found.masks.size == size
        reach = found.boxes[:, 2:].amax(0) / torch.tensor([size[1], size[0]])
        assert (reach <= 1).all()
        assert (reach > 0.8).all()  # in the pixels of the other one: at most 70 / 90, or above 1
    alone = predictor(images[1])
    torch.testing.assert_close(found.scores[:20], alone.scores[:20], atol=0.02, rtol=0)  # norms see the padding


def test_the_folded_model_gives_what_the_layers_give(tiny_settings, images):
    torch.manual_seed(0)
    settings = tiny_settings.model_copy(deep=True)
    settings.backbone.norm = "frozen_batch"
    model = build_model(settings, 3).eval()
    for name, values in model.named_buffers():  # statistics as they are after training
        if "norm" in name:
            values.uniform_(0.5, 1.5)
    weights = Weights(model.state_dict(), settings, Classes(("a", "b", "c"), (1, 2, 3)))
    image = read_image(images[0])
    expected = model.predict(make_batch([prepare_image(image, settings.input)], [(60, 90)], size_divisible=32))[0]
    assert_same(Predictor(weights, precision="float32")(image), expected, tolerance=1e-4)


def test_bfloat16_is_close(predictor, tiny_weights, images):
    exact, half = (one(images[0]) for one in (predictor, Predictor(tiny_weights, precision="bfloat16")))
    assert half.boxes.dtype == half.scores.dtype == torch.float32
    torch.testing.assert_close(half.scores, exact.scores, atol=0.01, rtol=0)


def test_no_images_give_nothing(predictor):
    assert list(predictor.predict_all([])) == []


def test_images_are_taken_only_when_their_objects_are_asked_for(predictor, images):
    taken = iter(images)
    next(predictor.predict_all(taken, batch_size=1))
    assert next(taken) == images[1]


@pytest.mark.parametrize("wrong", [np.zeros((8, 8, 3), np.float32), torch.zeros(1, 3, 8, 8, dtype=torch.uint8), 7])
def test_what_is_no_image_is_refused(predictor, wrong):
    with pytest.raises(DataError, match="image: "):
        predictor(wrong)


def test_predictions_know_their_classes(predictor, images):
    found = predictor(images[0])
    assert found.classes == predictor.classes
    assert found[:1].to_coco(5)[0]["category_id"] == predictor.classes.category_ids[int(found.labels[0])]
    assert found.plot(images[0], score_threshold=0.1).size == (90, 60)


def test_a_model_of_two_channels_takes_files_and_arrays_of_two(tiny_settings, tmp_path):
    values = {**tiny_settings.model_dump(), "input": {"mean": (0.5, 0.4), "std": (0.2, 0.2), "min_size": 64}}
    settings = ModelSettings.model_validate(values)
    torch.manual_seed(0)
    weights = Weights(build_model(settings, 1).state_dict(), settings, Classes(("cell",), (1,)))
    predictor = Predictor(weights, precision="float32")
    pages = np.random.default_rng(0).integers(0, 256, (2, 40, 50), dtype=np.uint8)
    assert cv2.imwritemulti(str(tmp_path / "two.tif"), list(pages))
    assert_same(predictor(tmp_path / "two.tif"), predictor(pages.transpose(1, 2, 0)))
    with pytest.raises(DataError, match=r"\[8, 8, 3\].*\[height, width, 2\]"):
        predictor(np.zeros((8, 8, 3), np.uint8))


def test_augmentation_by_the_usual_scale_changes_nothing(predictor, tiny_weights, images):
    expected = predictor(images[0])
    for tta in (TTASettings(), TTASettings(scales=(96,))):
        found = Predictor(tiny_weights, precision="float32", tta=tta)(images[0])
        assert_same(found, expected)
        assert torch.equal(found.masks.probabilities, expected.masks.probabilities)


def test_a_mirror_image_gives_the_mirrored_objects(tiny_weights, images):
    predictor = Predictor(tiny_weights, precision="float32", tta=TTASettings(flip=True, scales=(60, 120)))
    image = read_image(images[0])
    found, turned = predictor.predict_all([image, image.flip(2)], batch_size=2)
    torch.testing.assert_close(found.scores[:20], turned.scores[:20], atol=1e-4, rtol=0)
    best, other = found.boxes[0], turned.boxes[0]
    torch.testing.assert_close(best[[0, 2]], 90 - other[[2, 0]], atol=0.01, rtol=0)
    torch.testing.assert_close(found.masks.probabilities[0], turned.masks.probabilities[0].flip(1), atol=1e-3, rtol=0)


def test_weights_that_find_segments_have_no_test_time_augmentation(tiny_settings):
    settings = ModelSettings.model_validate({**tiny_settings.model_dump(), "semantic_head": {"classes": 3}})
    classes = Classes(("cell",), (1,), ("sky", "sea"), (2, 3))
    weights = Weights(build_model(settings, 1).state_dict(), settings, classes, source="sea.safetensors")
    with pytest.raises(SettingError, match=r"sea\.safetensors: "):
        Predictor(weights, tta=TTASettings(flip=True))
    assert Predictor(weights, tta=TTASettings(scales=(64,))).inputs[0].min_size == 64


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        pytest.param({"box_head.detections_per_image": 7}, 7, id="few, by a dictionary"),
        pytest.param(["box_head.detections_per_image=500", *MANY], 500, id="many, in words"),
    ],
)
def test_settings_change_those_in_the_weights(tiny_weights, tiny_settings, images, settings, count):
    predictor = Predictor(tiny_weights, settings=settings)
    assert len(predictor(images[0])) == count
    assert predictor.settings.input == tiny_settings.input


@pytest.mark.parametrize("words", ["neck.channels=64", "mask_head=null", "box_head.pool_size=9"])
def test_what_the_weights_were_trained_with_cannot_be_changed(tiny_weights, words):
    with pytest.raises(SettingError, match=words):
        Predictor(tiny_weights, settings=[words])


@pytest.mark.parametrize(
    "wrong", [{"settings": ["input.min_sizes=3"]}, {"settings": {"input.min_size": 0}}, {"device": "gpu"}], ids=str
)
def test_what_is_wrong_is_said_before_the_weights_are_read(wrong):
    with pytest.raises(SettingError, match=r"input\.min_size|gpu"):
        Predictor("no such weights", **wrong)


def test_weights_without_a_mask_head_find_boxes(tiny_settings, images):
    settings = ModelSettings.model_validate({**tiny_settings.model_dump(), "mask_head": None})
    weights = Weights(build_model(settings, 1).state_dict(), settings, Classes(("cell",), (1,)))
    assert Predictor(weights)(images[0]).masks is None


def test_weights_of_another_class_count_are_named(tiny_settings):
    state = build_model(tiny_settings, 3).state_dict()
    weights = Weights(state, tiny_settings, Classes(("a", "b"), (1, 2)), source="abc.safetensors")
    with pytest.raises(WeightsError, match=r"abc\.safetensors: .* 3 .* 2"):
        Predictor(weights)


def test_openvino_finds_what_torch_finds(tiny_weights, predictor, images):
    require_openvino()
    other = Predictor(tiny_weights, precision="float32", engine="openvino")
    assert other.device.type == "cpu"
    for image in images:
        expected, found = predictor(image), other(image)
        assert_same(found[:20], expected[:20], tolerance=1e-4)
        assert to_rle(found[:20].masks) == to_rle(expected[:20].masks)


def test_a_ready_model_predicts_as_its_weights_do_and_is_not_changed(tiny_weights, images):
    weights = read_weights(tiny_weights)
    model, tensors = weights.build_model(), {name: one.clone() for name, one in weights.state.items()}
    found = Predictor(model=model, classes=weights.classes, precision="float32")(images[0])
    assert_same(found, Predictor(tiny_weights, precision="float32")(images[0]))
    assert all(torch.equal(one, tensors[name]) for name, one in model.state_dict().items())


def test_a_model_needs_the_names_of_all_its_classes(tiny_weights):
    model = read_weights(tiny_weights).build_model()
    with pytest.raises(SettingError, match="5"):
        Predictor(model=model, classes=["circle"])
    with pytest.raises(SettingError):
        Predictor(model=model)


def test_a_model_has_its_own_settings(tiny_weights):
    model = read_weights(tiny_weights).build_model()
    with pytest.raises(SettingError, match="settings"):
        Predictor(tiny_weights, model=model, settings={"box_head.detections_per_image": 7})
