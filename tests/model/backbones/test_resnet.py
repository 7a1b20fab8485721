import pytest
import torch
import torch.nn.functional as F
import torchvision.models
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops.misc import FrozenBatchNorm2d

from maskrcnn.config import BackboneSettings
from maskrcnn.model.backbones.resnet import LAYOUTS, ResNet, Stage5Head, make_stage, outputs_of

LAYERS = {f"layer{number}": number + 1 for number in (1, 2, 3, 4)}
COMPUTED = ("resnet18", "resnet50", "resnext50_32x4d")


def ours(name: str, norm: str = "frozen_batch", *, channels: int = 3, stages: int = 4, **settings) -> ResNet:
    chosen = BackboneSettings(name=name, norm=norm, **{"frozen_stages": 0, **settings})
    return ResNet(chosen, channels=channels, stages=stages)


def our_name(name: str) -> str:
    """What a tensor of torchvision's ResNets is called here."""
    parts = name.split(".")
    kind = "norm" if "bn" in name or "downsample.1" in name else "convolution"
    if len(parts) == 2:
        return f"stem.{kind}.{parts[1]}"
    place = "shortcut" if parts[2] == "downsample" else f"step{parts[2][-1]}"
    return f"stages.{int(parts[0][-1]) - 1}.{parts[1]}.{place}.{kind}.{parts[-1]}"


def renamed(peer: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {our_name(name): tensor for name, tensor in peer.state_dict().items() if not name.startswith("fc.")}


def fill(state: dict[str, torch.Tensor]) -> None:
    for name, tensor in state.items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif (".bn" in name or "bn1" in name or "downsample.1" in name or ".norm." in name) and tensor.ndim:
            # A factor below 1 keeps the features of 50 blocks small.
            tensor.normal_(0.5 if name.endswith("weight") else 0.0, 0.1)


def peer_of(model: ResNet, name: str, norm_layer=FrozenBatchNorm2d) -> torch.nn.Module:
    """torchvision's network with random weights, which are given to ours."""
    torch.manual_seed(0)
    peer = getattr(torchvision.models, name)(weights=None, norm_layer=norm_layer)
    fill(peer.state_dict())
    model.load_state_dict(renamed(peer))
    model.double()
    return peer.double()


def assert_same_levels(model: ResNet, peer: torch.nn.Module, images: torch.Tensor) -> None:
    with torch.no_grad():
        found, expected = model(images), IntermediateLayerGetter(peer, LAYERS)(images)
    assert list(found) == list(model.channels) == [2, 3, 4, 5]
    for level, map in found.items():
        assert map.shape[1] == model.channels[level]
        torch.testing.assert_close(map, expected[level], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", COMPUTED)
def test_features_equal_torchvisions(name):
    model = ours(name)
    assert_same_levels(model, peer_of(model, name), torch.randn(1, 3, 70, 64, dtype=torch.float64))


@pytest.mark.parametrize("name", [name for name in LAYOUTS if hasattr(torchvision.models, name)])
def test_tensors_have_torchvisions_shapes(name):
    with torch.device("meta"):
        model = ours(name)
        peer = renamed(getattr(torchvision.models, name)(norm_layer=FrozenBatchNorm2d))
    assert {name: tensor.shape for name, tensor in model.state_dict().items()} == {
        name: tensor.shape for name, tensor in peer.items()
    }


@pytest.mark.parametrize(
    ("name", "blocks", "kernel"), [("resnext101_32x4d", 23, (256, 8, 3, 3)), ("resnext152_32x8d", 36, (512, 16, 3, 3))]
)
def test_resnexts_that_torchvision_lacks(name, blocks, kernel):
    with torch.device("meta"):
        stage = make_stage(BackboneSettings(name=name), 1)
        assert len(make_stage(BackboneSettings(name=name), 2)) == blocks
    assert stage[0].step2.convolution.weight.shape == kernel
    assert stage[0].step2.convolution.groups == 32


@pytest.mark.parametrize("norm", ["batch", "sync_batch"])
@pytest.mark.parametrize("training", [False, True])
def test_features_with_measuring_norms_equal_torchvisions(norm, training):
    model = ours("resnet18", norm=norm)
    peer = peer_of(model, "resnet18", torch.nn.BatchNorm2d)
    model.train(training), peer.train(training)
    assert_same_levels(model, peer, torch.randn(2, 3, 64, 64, dtype=torch.float64))


def test_caffes_bottlenecks_stride_in_their_first_convolution():
    model = ours("resnet50", stride_in_1x1=True)
    peer = peer_of(model, "resnet50")
    for layer in (peer.layer2, peer.layer3, peer.layer4):
        layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
    assert_same_levels(model, peer, torch.randn(1, 3, 70, 64, dtype=torch.float64))


@pytest.mark.parametrize("stride_in_1x1", [False, True])
def test_a_dilated_stage_5_keeps_stride_16_and_dilates_its_first_block_too(stride_in_1x1):
    # As with RES5_DILATION = 2 of detectron2; torchvision's own dilation leaves out the first block.
    model = ours("resnet50", dilate_stage5=True, stride_in_1x1=stride_in_1x1)
    peer = peer_of(model, "resnet50")
    for block in peer.layer4:
        block.conv2.stride, block.conv2.dilation, block.conv2.padding = (1, 1), (2, 2), (2, 2)
    peer.layer4[0].downsample[0].stride = (1, 1)
    for layer in (peer.layer2, peer.layer3) if stride_in_1x1 else ():
        layer[0].conv1.stride, layer[0].conv2.stride = (2, 2), (1, 1)
    images = torch.randn(1, 3, 70, 64, dtype=torch.float64)
    assert_same_levels(model, peer, images)
    with torch.no_grad():
        levels = model(images)
    assert levels[5].shape[-2:] == levels[4].shape[-2:] == (5, 4)


def clip_features(state: dict[str, torch.Tensor], features: torch.Tensor) -> list[torch.Tensor]:
    """OpenAI's ModifiedResNet without its attention pool, written out."""

    def step(name: str, inputs: torch.Tensor, *, stride: int = 1) -> torch.Tensor:
        kernel = state[f"{name}.convolution.weight"]
        result = F.conv2d(inputs, kernel, stride=stride, padding=kernel.shape[-1] // 2)
        statistics = [state[f"{name}.norm.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(result, *statistics)

    features = F.relu(step("stem.step1", features, stride=2))
    features = F.relu(step("stem.step2", features))
    features = F.avg_pool2d(F.relu(step("stem.step3", features)), 2)
    levels = []
    for stage, count in enumerate((3, 4, 6, 3)):
        for number in range(count):
            block, stride = f"stages.{stage}.{number}", 2 if stage > 0 and number == 0 else 1
            residual = F.relu(step(f"{block}.step1", features))
            residual = F.avg_pool2d(F.relu(step(f"{block}.step2", residual)), stride)
            residual = step(f"{block}.step3", residual)
            if number == 0:
                features = step(f"{block}.shortcut", F.avg_pool2d(features, stride))
            features = F.relu(residual + features)
        levels.append(features)
    return levels


def test_clips_network_averages_where_others_stride():
    torch.manual_seed(0)
    model = ours("clip_resnet50")
    fill(model.state_dict())
    model.double()
    images = torch.randn(1, 3, 96, 64, dtype=torch.float64)
    with torch.no_grad():
        found, expected = model(images), clip_features(model.state_dict(), images)
    for map, other in zip(found.values(), expected, strict=True):
        torch.testing.assert_close(map, other, rtol=1e-12, atol=1e-12)
    assert model.stem.step3.convolution.weight.shape == (64, 32, 3, 3)


def test_stage_5_as_a_head_gives_what_it_gives_in_the_backbone():
    settings = BackboneSettings(name="resnet50", width=32, stride_in_1x1=True, frozen_stages=0)
    backbone, head = ResNet(settings, channels=3), Stage5Head(settings)
    fill(backbone.state_dict())
    head.load_state_dict(backbone.stages[3].state_dict())
    pooled = torch.randn(3, 14, 14, 512)
    found = head(pooled)
    assert found.shape == (3, 7, 7, head.outputs) == (3, 7, 7, 1024)
    torch.testing.assert_close(found.permute(0, 3, 1, 2), backbone.stages[3](pooled.permute(0, 3, 1, 2)))
    assert head(pooled[:0]).shape == (0, 7, 7, 1024)


def test_statistics_of_the_head_are_those_of_its_boxes_alone():
    head = Stage5Head(BackboneSettings(name="resnet18", width=32, norm="batch"))
    pooled = torch.randn(3, 4, 4, 128)
    first = next(head.children())
    measured = first.step1.convolution(pooled.permute(0, 3, 1, 2)).mean((0, 2, 3))
    head(pooled)
    torch.testing.assert_close(first.step1.norm.running_mean, 0.1 * measured)


def test_a_backbone_of_three_stages_ends_at_level_4():
    model = ours("resnet18", stages=3)
    assert model.channels == {2: 64, 3: 128, 4: 256}
    assert {level: map.shape[1] for level, map in model(torch.zeros(1, 3, 32, 32)).items()} == model.channels


def test_levels_have_strides_of_4_to_32():
    with torch.no_grad():
        sizes = {level: tuple(map.shape[-2:]) for level, map in ours("resnet18")(torch.zeros(1, 3, 64, 96)).items()}
    assert sizes == {2: (16, 24), 3: (8, 12), 4: (4, 6), 5: (2, 3)}


@pytest.mark.parametrize("name", ["resnet18", "clip_resnet50"])
@pytest.mark.parametrize("channels", [1, 5])
def test_images_may_have_other_numbers_of_channels(name, channels):
    assert ours(name, channels=channels)(torch.zeros(1, channels, 32, 32))[5].shape[-2:] == (1, 1)


@pytest.mark.parametrize("norm", ["frozen_batch", "batch", "sync_batch", "group"])
@pytest.mark.parametrize("frozen_stages", range(6))
def test_only_the_stages_that_are_not_frozen_learn(norm, frozen_stages):
    model = ours("resnet18", norm=norm, frozen_stages=frozen_stages)
    head = Stage5Head(BackboneSettings(name="resnet18", norm=norm, frozen_stages=frozen_stages))
    stages = [model.stem, *model.stages, head]
    learning = [{parameter.requires_grad for parameter in stage.parameters()} for stage in stages]
    assert learning == [{number >= frozen_stages} for number in (0, 1, 2, 3, 4, 4)]
    measuring = [any(hasattr(module, "num_batches_tracked") for module in stage.modules()) for stage in stages]
    measures = norm in ("batch", "sync_batch")
    assert measuring == [measures and number >= frozen_stages for number in (0, 1, 2, 3, 4, 4)]


def test_group_norms_stand_after_every_convolution():
    model = ours("resnet50", norm="group")
    convolutions = [module for module in model.modules() if isinstance(module, torch.nn.Conv2d)]
    norms = [module for module in model.modules() if isinstance(module, torch.nn.GroupNorm)]
    assert len(convolutions) == len(norms) == 53
    assert {norm.num_groups for norm in norms} == {32}
    assert not list(model.buffers())


@pytest.mark.parametrize(("name", "channels"), [("resnet18", (32, 64, 128, 256)), ("resnet50", (128, 256, 512, 1024))])
def test_a_narrow_backbone_has_half_the_channels(name, channels):
    model = ours(name, norm="group", width=32)
    levels = model(torch.zeros(1, 3, 64, 64))
    assert tuple(model.channels.values()) == tuple(map.shape[1] for map in levels.values()) == channels
    assert outputs_of(BackboneSettings(name=name, width=32), 3) == channels[3]
