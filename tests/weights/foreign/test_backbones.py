import re

import pytest
import torch
import torchvision

from maskrcnn.config import BackboneSettings
from maskrcnn.errors import WeightsError
from maskrcnn.model.backbones.mobilenet import MobileNet
from maskrcnn.model.backbones.resnet import ResNet
from maskrcnn.weights.foreign.backbones import NORMALIZED_RGB, Backbone, Pixels, find_name, read_backbone
from tests.builders.checkpoints import CAFFE2_LONG, CAFFE2_SHORT, caffe2_state, random_resnet

RAW_BGR = Pixels("bgr", raw=True)


@pytest.fixture(scope="module")
def resnet50() -> dict[str, torch.Tensor]:
    return random_resnet("resnet50")


@pytest.fixture(scope="module")
def expected(resnet50) -> dict[str, torch.Tensor]:
    found = read_backbone(resnet50, "r50.pth")
    assert (found.name, found.pixels, found.stride_in_1x1) == ("resnet50", NORMALIZED_RGB, False)
    return found.state


def shapes_of(make) -> dict[str, torch.Tensor]:
    """Zeros in the shapes of a network that is too large to be filled."""
    with torch.device("meta"):
        state = make().state_dict()
    return {name: torch.zeros(()).expand(tensor.shape) for name, tensor in state.items()}


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def loaded(backbone: Backbone, norm: str = "frozen_batch") -> ResNet:
    model = ResNet(BackboneSettings(name=backbone.name, norm=norm), channels=3)
    model.load_state_dict({name.removeprefix("backbone."): tensor for name, tensor in backbone.state.items()})
    return model


@pytest.mark.parametrize("statistics", [CAFFE2_LONG, CAFFE2_SHORT], ids=str)
def test_caffes_names(resnet50, expected, statistics):
    state = caffe2_state(resnet50, statistics)
    found = read_backbone({**state, "conv1_b": torch.zeros(64), "conv1_w_momentum": torch.zeros(1)}, "R-50.pkl")
    assert_same(found.state, expected)
    assert (found.name, found.pixels, found.stride_in_1x1) == ("resnet50", RAW_BGR, True)


def test_norms_that_only_scale_and_shift_are_exact(resnet50):
    state = caffe2_state({name: one for name, one in resnet50.items() if "running" not in name})
    model = loaded(read_backbone(state, "R-50.pkl")).double()
    images = torch.randn(1, 3, 20, 20, dtype=torch.float64)
    kernel, scale, shift = (state[name].double() for name in ("conv1_w", "res_conv1_bn_s", "res_conv1_bn_b"))
    affine = torch.nn.functional.conv2d(images, kernel, stride=2, padding=3) * scale[:, None, None]
    # float32 stores 1 - 1e-5 with an error of 3e-8.
    torch.testing.assert_close(model.stem(images), affine + shift[:, None, None], rtol=1e-7, atol=1e-7)


def test_group_norms_of_detectron(resnet50):
    normed = caffe2_state({name: one for name, one in resnet50.items() if "running" not in name})
    state = {name.replace("res_conv1_bn", "conv1_gn").replace("_bn_", "_gn_"): one for name, one in normed.items()}
    found = read_backbone(state, "R-50-GN.pkl")
    assert (found.name, found.pixels, found.stride_in_1x1) == ("resnet50", RAW_BGR, False)
    loaded(found, "group")


def test_facebooks_resnext_was_trained_on_normalized_pixels_with_strides_in_its_3x3():
    state = caffe2_state(shapes_of(torchvision.models.resnext101_32x8d))
    found = read_backbone(state, "X-101-32x8d.pkl")
    assert (found.name, found.pixels, found.stride_in_1x1) == ("resnext101_32x8d", Pixels("bgr", raw=False), False)


def test_detectron2s_names_of_torchvisions_networks(resnet50, expected):
    # As tools/convert-torchvision-to-d2.py of detectron2 writes them.
    state = {}
    for name, tensor in resnet50.items():
        renamed = name if "layer" in name else f"stem.{name}"
        renamed = re.sub(r"layer(\d)", lambda m: f"res{int(m[1]) + 1}", renamed)
        renamed = re.sub(r"bn(\d)", r"conv\1.norm", renamed)
        state[renamed.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")] = tensor
    found = read_backbone(state, "r50.pkl")
    assert_same(found.state, expected)
    assert (found.pixels, found.stride_in_1x1) == (NORMALIZED_RGB, False)


def test_caffes_networks_under_torchvisions_names_have_no_means(resnet50):
    state = {name: torch.zeros_like(one) if name.endswith("mean") else one for name, one in resnet50.items()}
    found = read_backbone(state, "resnet50_caffe.pth")
    assert (found.pixels, found.stride_in_1x1) == (RAW_BGR, True)


def clip_state() -> dict[str, torch.Tensor]:
    """CLIP's image tower by OpenAI's names."""
    torch.manual_seed(0)
    model = ResNet(BackboneSettings(name="clip_resnet50", width=64), channels=3)
    state = {}
    for name, tensor in model.state_dict().items():
        renamed = re.sub(r"stem\.step(\d)\.convolution", r"conv\1", name)
        renamed = re.sub(r"stem\.step(\d)\.norm", r"bn\1", renamed)
        renamed = re.sub(r"stages\.(\d)", lambda m: f"layer{int(m[1]) + 1}", renamed)
        renamed = re.sub(r"step(\d)\.convolution", r"conv\1", renamed)
        renamed = re.sub(r"step(\d)\.norm", r"bn\1", renamed)
        renamed = renamed.replace("shortcut.convolution", "downsample.0").replace("shortcut.norm", "downsample.1")
        state[renamed] = torch.rand_like(tensor)
    return state


@pytest.mark.parametrize("rows", [(0, 1, 3, 4, 6, 7), (0, 1, 2, 3, 4, 5)])
def test_openmmlabs_names_of_clips_network(rows):
    # mmocr counts the ReLUs of the stem; the script of oCLIP's authors does not.
    plain = clip_state()
    places = dict(zip(("conv1", "bn1", "conv2", "bn2", "conv3", "bn3"), rows))
    state = {}
    for name, tensor in plain.items():
        first, _, rest = name.partition(".")
        renamed = f"stem.{places[first]}.{rest}" if first in places else name
        renamed = renamed.replace("downsample.1.", "downsample.2.").replace("downsample.0.", "downsample.1.")
        state[renamed] = tensor
    found, other = read_backbone(state, "oclip.pth"), read_backbone(plain, "RN50.pt")
    assert_same(found.state, other.state)
    assert (found.name, found.stride_in_1x1) == ("clip_resnet50", None)
    assert torch.equal(found.state["backbone.stem.step3.convolution.weight"], plain["conv3.weight"])
    loaded(found)


def test_clips_text_tower_and_attention_pool_are_left_out():
    state = {f"module.visual.{name}": tensor for name, tensor in clip_state().items()}
    state |= {"module.visual.attnpool.q_proj.weight": torch.zeros(2), "module.transformer.weight": torch.zeros(2)}
    assert_same(read_backbone(state, "oclip.pt").state, read_backbone(clip_state(), "RN50.pt").state)


def test_clip_of_another_depth_is_refused():
    deeper = clip_state()
    deeper |= {name.replace("layer3.5", "layer3.6"): one for name, one in deeper.items() if "layer3.5" in name}
    with pytest.raises(WeightsError, match=r"RN101.pt: .*3, 4, 7, 3"):
        read_backbone(deeper, "RN101.pt")


def test_mobilenet():
    state = torchvision.models.mobilenet_v3_large(num_classes=2).state_dict()
    found = read_backbone(state, "mobilenet.pth")
    model = MobileNet(BackboneSettings(name=found.name), channels=3)
    model.load_state_dict({name.removeprefix("backbone."): tensor for name, tensor in found.state.items()})
    assert torch.equal(model.features[0][0].weight, state["features.0.0.weight"])


@pytest.mark.parametrize("name", ["resnet18", "resnet101", "resnext50_32x4d", "resnext101_64x4d", "wide_resnet101_2"])
def test_networks_are_known_by_their_blocks_and_groups(name):
    state = shapes_of(getattr(torchvision.models, name))
    assert read_backbone(state, "x.pth").name == name
    first = {key: tensor for key, tensor in state.items() if not key.startswith(("layer3", "layer4"))}
    assert read_backbone(first, "x.pth").name == (name if name in ("resnet18", "resnext101_64x4d") else None)


def test_timms_resnets_have_torchvisions_names():
    timm = pytest.importorskip("timm")
    state = shapes_of(lambda: timm.create_model("resnext50_32x4d"))
    assert read_backbone(state, "x.safetensors").name == "resnext50_32x4d"


def test_timms_other_resnets_are_refused_by_name():
    timm = pytest.importorskip("timm")
    state = timm.create_model("resnet26").state_dict()
    with pytest.raises(WeightsError, match=r"x.pth: .*bottleneck.*2, 2, 2, 2"):
        read_backbone(state, "x.pth")


@pytest.mark.parametrize(
    "names",
    [("backbone.body.conv1.weight",), ("conv1_w", "bbox_pred_w"), ("conv1.weight", "blocks.0.weight"), ("weight",), ()],
)
def test_other_files_are_left_to_others(names):
    assert read_backbone(dict.fromkeys(names, torch.zeros(1)), "x") is None


def test_a_stem_alone_has_no_name():
    assert find_name({"backbone.stem.convolution.weight": torch.zeros(64, 3, 7, 7)}, "x") is None
