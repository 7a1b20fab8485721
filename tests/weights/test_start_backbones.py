"""Starts from other libraries' backbones, and into models of other kinds."""

import pickle

import pytest
import torch
import torchvision
from torchvision.models.feature_extraction import create_feature_extractor

from maskrcnn.config import InputSettings
from maskrcnn.errors import SettingError, WeightsError
from maskrcnn.model.build import build_model
from maskrcnn.structures.classes import Classes
from maskrcnn.weights import start
from maskrcnn.weights.foreign.backbones import NORMALIZED_RGB, Pixels
from maskrcnn.weights.start import Start, find_stem, fit_stem, pixels_of, read_start
from tests.builders.checkpoints import CAFFE2_LONG, caffe2_state, random_resnet
from tests.builders.starts import CELLS, begin, saved, small_settings

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
CAFFE = {"channel_order": "bgr", "mean": [value / 255 for value in MEAN], "std": [1 / 255] * 3}


@pytest.fixture(scope="module")
def resnet18():
    return random_resnet("resnet18")


@pytest.fixture
def plain(resnet18, tmp_path):
    return read_start(saved(resnet18, tmp_path / "r18.safetensors"))


def test_an_rgb_backbone_sees_the_same_in_raw_bgr_pixels(plain):
    normalized, report = begin(plain, small_settings())
    raw, raw_report = begin(plain, small_settings(parts={"input": CAFFE}))
    assert (len(report.remarks), len(raw_report.remarks)) == (0, 2)
    values = torch.rand(1, 3, 64, 64) * 255 - torch.tensor(MEAN)[:, None, None]
    with torch.no_grad():
        expected = normalized.backbone(values / torch.tensor(DEVIATION)[:, None, None])
        found = raw.backbone(values.flip(1))
    for level, features in found.items():
        torch.testing.assert_close(features, expected[level], rtol=1e-4, atol=1e-4 * expected[level].abs().max().item())


@pytest.mark.parametrize("channels", [1, 4])
def test_a_gray_or_deeper_image_of_equal_channels_looks_as_in_color(plain, channels):
    color, _ = begin(plain, small_settings())
    other, report = begin(plain, small_settings(parts={"input": {"mean": [0.5] * channels, "std": [0.25] * channels}}))
    assert [f" {channels}" in remark for remark in report.remarks] == [True]
    gray = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        found = other.backbone.stem(gray.expand(1, channels, 64, 64))
        expected = color.backbone.stem(gray.expand(1, 3, 64, 64))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def caffe_file(tmp_path_factory):
    named = caffe2_state(random_resnet("resnet50"), CAFFE2_LONG)
    state = {name: tensor.numpy() for name, tensor in named.items()}
    path = tmp_path_factory.mktemp("caffe") / "R-50.pkl"
    path.write_bytes(pickle.dumps({"model": state, "__author__": "somebody"}, protocol=2))
    return path


def test_caffes_backbone_in_caffes_model_gives_its_features(caffe_file):
    model, report = begin(
        read_start(caffe_file), small_settings("resnet50", stride_in_1x1=True, parts={"input": CAFFE})
    )
    assert report.remarks == ()
    peer = torchvision.models.resnet50(num_classes=2)
    peer.load_state_dict(random_resnet("resnet50"))
    for layer in (peer.layer2, peer.layer3, peer.layer4):
        layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        expected = create_feature_extractor(peer.eval(), {"layer4": "5"})(image)["5"]
        found = model.backbone(image)[5]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


def test_the_other_stride_is_refused_with_the_setting_that_fits(caffe_file, tmp_path):
    with pytest.raises(SettingError, match=r"stride_in_1x1=false.*R-50.pkl.*stride_in_1x1=true"):
        begin(read_start(caffe_file), small_settings("resnet50"))
    start = read_start(saved(random_resnet("resnet50"), tmp_path / "r50.safetensors"))
    with pytest.raises(SettingError, match=r"stride_in_1x1=true.*stride_in_1x1=false"):
        begin(start, small_settings("resnet50", stride_in_1x1=True))


def test_stage_5_of_a_backbone_becomes_the_shared_head_of_c4_and_goes_back(resnet18, plain):
    one_map = {
        "neck": {"name": "c4"},
        "anchors": {"sizes": [[32, 64]]},
        "box_head": {"pool_size": 14, "linear_layers": 0},
    }
    model, report = begin(plain, small_settings(parts=one_map))
    assert report.loaded[-1] == "stage 5 (layer4)"
    kernel = dict(model.shared_head.named_parameters())["0.step1.convolution.weight"]
    assert torch.equal(kernel, resnet18["layer4.0.conv1.weight"])
    back = {name: one for name, one in model.state_dict().items() if name.startswith(("backbone", "shared"))}
    pyramid, _ = begin(Start("c4", back), small_settings())
    assert torch.equal(pyramid.backbone.stages[3][0].step1.convolution.weight, kernel)


def test_a_cascade_keeps_its_boxes_for_other_classes():
    settings = small_settings(parts={"cascade": {}, "box_head": {"channels": 16, "class_agnostic": True}})
    torch.manual_seed(0)
    start = Start("c", build_model(settings, 2).state_dict(), settings, CELLS)
    model, report = begin(start, settings, Classes(("leaf",), (1,)))
    assert report.random == ("class layers of the box head", "class layer of the mask head")
    assert torch.equal(model.box_head[2].deltas.weight, start.state["box_head.2.deltas.weight"])


def test_counters_of_norms_that_are_frozen_now_are_left_out():
    counting = small_settings(norm="batch", frozen_stages=0)
    start = Start("d", build_model(counting, 2).state_dict(), counting, CELLS)
    assert begin(start, small_settings())[1].random == ()


def test_mobilenet_starts_from_torchvisions_file(tmp_path):
    state = torchvision.models.mobilenet_v3_large(num_classes=2).state_dict()
    torch.save(state, tmp_path / "m.pth")
    sizes = {"anchors": {"sizes": [[32, 64]] * 3}}
    model, report = begin(read_start(tmp_path / "m.pth"), small_settings("mobilenet_v3_large", parts=sizes))
    assert report.loaded == ("backbone",)
    assert torch.equal(model.backbone.features[16][0].weight, state["features.16.0.weight"])
    with pytest.raises(SettingError, match=r"backbone.name=resnet18.*m.pth.*mobilenet_v3_large"):
        begin(read_start(tmp_path / "m.pth"), small_settings())


@pytest.mark.parametrize("name", ["convnext_atto", "swin_tiny_patch4_window7_224"])
def test_timms_networks_start_from_timms_files(name, tmp_path):
    timm = pytest.importorskip("timm")
    torch.manual_seed(3)
    whole = timm.create_model(name, num_classes=5)
    path = saved(whole.state_dict(), tmp_path / "model.safetensors")
    model, report = begin(read_start(path), small_settings(f"timm/{name}", frozen_stages=0))
    assert report.loaded == ("backbone",)
    peer = timm.create_model(name, features_only=True)
    missing, _ = peer.load_state_dict(
        {
            key.replace("stages.", "stages_", 1).replace("layers.", "layers_", 1).replace("stem.", "stem_", 1): tensor
            for key, tensor in whole.state_dict().items()
        },
        strict=False,
    )
    assert not missing
    image = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        expected, found = peer.eval()(image)[-1], model.backbone(image)[5]
    torch.testing.assert_close(found, expected if found.shape == expected.shape else expected.permute(0, 3, 1, 2))


def test_timms_file_of_another_network_is_refused(tmp_path):
    timm = pytest.importorskip("timm")
    path = saved(timm.create_model("convnext_femto").state_dict(), tmp_path / "femto.safetensors")
    start = read_start(path)
    with pytest.raises(WeightsError, match=r"femto.safetensors.*name=timm/"):
        begin(start, small_settings())
    with pytest.raises(WeightsError, match=r"backbone.network.\S+ .*\[48\].*\[40\]"):
        begin(start, small_settings("timm/convnext_atto", frozen_stages=0))
    with pytest.raises(WeightsError, match=r"femto.safetensors.*timm/resnet18"):
        begin(start, small_settings("timm/resnet18", frozen_stages=0))


def test_a_resnet_that_only_timm_has_goes_into_timms(tmp_path):
    timm = pytest.importorskip("timm")
    state = timm.create_model("seresnet18").state_dict()
    start = read_start(saved(state, tmp_path / "se.safetensors"))
    model, report = begin(start, small_settings("timm/seresnet18"))
    assert report.loaded == ("backbone",)
    assert torch.equal(model.backbone.network.layer4[1].se.fc1.weight, state["layer4.1.se.fc1.weight"])
    with pytest.raises(WeightsError, match=r"se.safetensors: 32 .*layer1.0.se.fc1.bias.*timm/"):
        begin(start, small_settings())


def test_timms_stem_also_sees_other_channels(tmp_path):
    timm = pytest.importorskip("timm")
    path = saved(timm.create_model("convnext_atto").state_dict(), tmp_path / "atto.safetensors")
    four = {"input": {"mean": [0.5] * 4, "std": [0.25] * 4}}
    model, report = begin(read_start(path), small_settings("timm/convnext_atto", frozen_stages=0, parts=four))
    assert len(report.remarks) == 1
    assert model.backbone.network.stem_0.weight.shape[1] == 4


RGB, BGR, RAW_BGR = NORMALIZED_RGB, Pixels("bgr", raw=False), Pixels("bgr", raw=True)


def kernel(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(1, -1, 1, 1)


def fitted(values, channels, source=RGB, target=RGB):
    result, remarks = fit_stem(kernel(*values), channels, source=source, target=target)
    assert result.is_contiguous()
    return result.flatten().tolist(), remarks


def test_the_same_pixels_change_nothing():
    for pixels in (RGB, BGR, RAW_BGR):
        assert fitted((1, 2, 4), 3, pixels, pixels) == ([1, 2, 4], [])


@pytest.mark.parametrize(("source", "target"), [(RGB, BGR), (BGR, RGB)])
def test_colors_change_places(source, target):
    values, remarks = fitted((1, 2, 4), 3, source, target)
    assert values == [4, 2, 1]
    assert f"{source.colors} to {target.colors}" in remarks[0]


@pytest.mark.parametrize(("count", "expected"), [(1, [9]), (2, [4.5, 4.5]), (4, [2.25] * 4), (6, [1.5] * 6)])
def test_other_numbers_of_channels_get_the_mean_and_keep_the_sum(count, expected):
    for source in (RGB, BGR):
        values, remarks = fitted((2, 3, 4), count, source)
        assert values == expected
        assert f" {count}" in remarks[0]


def test_a_gray_stem_sees_colors():
    assert fitted((6,), 3, target=BGR)[0] == [2, 2, 2]


def test_raw_pixels_become_normalized_ones_channel_by_channel_and_back():
    values, remarks = fitted((3, 2, 1), 3, RAW_BGR, RGB)
    assert values == pytest.approx([1 * 58.395, 2 * 57.12, 3 * 57.375])
    assert "raw" in remarks[0]
    assert fitted(values, 3, RGB, RAW_BGR)[0] == pytest.approx([3, 2, 1])
    assert fitted((2,), 1, RAW_BGR, RGB)[0] == pytest.approx([2 * sum(start.DEVIATION) / 3])


def test_settings_tell_what_a_network_sees():
    assert pixels_of(InputSettings()) == RGB
    assert pixels_of(InputSettings(channel_order="bgr", std=(1 / 255,) * 3)) == RAW_BGR


def test_the_stem_is_the_first_kernel_of_the_backbone():
    state = {
        "backbone.scale": torch.zeros(3),
        "backbone.a.weight": torch.zeros(2, 3, 1, 1),
        "backbone.b": torch.zeros(2, 2, 1, 1),
    }
    assert find_stem(state) == "backbone.a.weight"
    assert find_stem({"neck.weight": torch.zeros(2, 3, 1, 1)}) is None
