import re
from functools import cache

import pytest
import torch
from torch import Tensor

from maskrcnn.errors import WeightsError
from maskrcnn.model.build import build_model
from maskrcnn.weights.foreign.detectron import (
    cell_shapes,
    is_detectron,
    is_maskrcnn_benchmark,
    read_detectron,
    read_maskrcnn_benchmark,
)
from maskrcnn.weights.own import Weights
from maskrcnn.weights.reading import understand
from tests.builders.checkpoints import CLASSES, detectron2_state

KINDS = {
    "fpn": {},
    "boxes only": {"heads": None},
    "c4": {"neck": "c4"},
    "keypoints": {"heads": "keypoint"},
    "gn": {"norm": "gn", "convolutions": 4},
}
BLOCKS = {2: 2, 3: 3, 4: 5, 5: 2}  # last block of each stage
STEPS = {"shortcut": "branch1", "conv1": "branch2a", "conv2": "branch2b", "conv3": "branch2c"}
OTHERS = {
    "proposal_generator.rpn_head.conv": "conv_rpn",
    "proposal_generator.rpn_head.objectness_logits": "rpn_cls_logits",
    "proposal_generator.rpn_head.anchor_deltas": "rpn_bbox_pred",
    "roi_heads.box_head.fc1": "fc6",
    "roi_heads.box_head.fc2": "fc7",
    "roi_heads.box_predictor.cls_score": "cls_score",
    "roi_heads.box_predictor.bbox_pred": "bbox_pred",
    "roi_heads.mask_head.deconv": "conv5_mask",
    "roi_heads.mask_head.predictor": "mask_fcn_logits",
    "roi_heads.keypoint_head.score_lowres": "kps_score_lowres",
}
BENCHMARK = {
    "proposal_generator.rpn_head.conv": "rpn.head.conv",
    "proposal_generator.rpn_head.objectness_logits": "rpn.head.cls_logits",
    "proposal_generator.rpn_head.anchor_deltas": "rpn.head.bbox_pred",
    "roi_heads.box_head.fc1": "roi_heads.box.feature_extractor.fc6",
    "roi_heads.box_head.fc2": "roi_heads.box.feature_extractor.fc7",
    "roi_heads.box_predictor": "roi_heads.box.predictor",
    "roi_heads.mask_head.deconv": "roi_heads.mask.predictor.conv5_mask",
    "roi_heads.mask_head.predictor": "roi_heads.mask.predictor.mask_fcn_logits",
    "roi_heads.keypoint_head.score_lowres": "roi_heads.keypoint.predictor.kps_score_lowres",
    "roi_heads.keypoint_head.conv_fcn": "roi_heads.keypoint.feature_extractor.conv_fcn",
}


def detectron_name(name: str, fpn: bool) -> str | None:
    """Detectron's name of a tensor of detectron2; None for what Detectron does not store."""
    layer, leaf = name.rsplit(".", 1)
    if leaf.startswith("running"):
        return None
    normed = layer.endswith(".norm")
    layer = layer.removesuffix(".norm").removeprefix("backbone.").removeprefix("bottom_up.")
    ending = {"weight": "s" if normed else "w", "bias": "b"}[leaf]
    group = "gn_" if fpn and normed else "bn_" if normed else ""
    if found := re.match(r"(?:roi_heads\.)?res(\d)\.(\d+)\.(\w+)", layer):
        return f"res{found[1]}_{found[2]}_{STEPS[found[3]]}_{group}{ending}"
    if layer == "stem.conv1":
        return f"{'res_conv1' if group == 'bn_' else 'conv1'}_{group}{ending}"
    if found := re.match(r"fpn_(lateral|output)(\d)", layer):
        inner, stage = found[1] == "lateral", int(found[2])
        base = f"fpn_{'inner_' if inner else ''}res{stage}_{BLOCKS[stage]}_sum"
        return f"{base}{'_lateral' if inner and stage < 5 else ''}_{group}{ending}"
    if found := re.match(r"roi_heads\.mask_head\.mask_fcn(\d)", layer):
        return f"_[mask]_fcn{found[1]}_{group}{ending}"
    if found := re.match(r"roi_heads\.box_head\.conv(\d)", layer):
        return f"head_conv{found[1]}_{group}{ending}"
    if found := re.match(r"roi_heads\.keypoint_head\.conv_fcn(\d)", layer):
        return f"conv_fcn{found[1]}_{ending}"
    level = "_fpn2" if fpn and layer.startswith("proposal_generator") else ""
    return f"{OTHERS[layer]}{level}_{ending}"


def benchmark_name(name: str) -> str:
    name = re.sub(r"backbone\.(?:bottom_up\.)?stem\.conv1\.norm", "backbone.body.stem.bn1", name)
    name = re.sub(r"backbone\.(?:bottom_up\.)?stem", "backbone.body.stem", name)
    for start, head in ((r"backbone\.(?:bottom_up\.)?", "backbone.body."),
                        (r"roi_heads\.", "roi_heads.box.feature_extractor.head.")):  # fmt: skip
        layer = lambda m, head=head: f"{head}layer{int(m[1]) - 1}.{m[2]}."  # noqa: E731
        name = re.sub(rf"{start}res(\d)\.(\d+)\.(?=conv|shortcut)", layer, name)
    name = re.sub(r"shortcut\.norm", "downsample.1", name).replace("shortcut", "downsample.0")
    name = re.sub(r"(layer\d\.\d+\.)conv(\d)\.norm", r"\1bn\2", name)
    kinds = {"lateral": "inner", "output": "layer"}
    name = re.sub(r"backbone\.fpn_(\w+?)(\d)\.", lambda m: f"backbone.fpn.fpn_{kinds[m[1]]}{int(m[2]) - 1}.", name)
    name = name.replace("roi_heads.mask_head.mask_fcn", "roi_heads.mask.feature_extractor.mask_fcn")
    for theirs, other in BENCHMARK.items():
        name = name.replace(theirs, other)
    return f"module.{name}"


def background_first(name: str, tensor: Tensor) -> Tensor:
    """Rows for a background, which begin with -1."""
    if "cls_score" in name:
        return tensor.roll(1, dims=0)
    rows = 4 if "bbox_pred" in name and "rpn" not in name else 1 if "mask_fcn_logits" in name else 0
    return torch.cat([torch.full((rows, *tensor.shape[1:]), -1.0), tensor])


@cache
def source_of(kind: str) -> dict[str, Tensor]:
    return detectron2_state(**KINDS[kind])


def blobs(kind: str) -> dict[str, Tensor]:
    grouped = KINDS[kind].get("norm") == "gn"
    found = {}
    for name, tensor in source_of(kind).items():
        new = detectron_name(name, fpn=kind != "c4")
        if new is not None:
            new = new if grouped else new.replace("_gn_", "_bn_").replace("conv1_bn", "res_conv1_bn")
            found[re.sub(r"^res_res", "res", new)] = background_first(new, tensor)
    return found


def benchmark_state(kind: str) -> dict[str, Tensor]:
    return {
        (new := benchmark_name(name)): background_first(new.replace("rpn.head.bbox_pred", "rpn"), tensor)
        for name, tensor in source_of(kind).items()
    }


@cache
def read(kind: str) -> Weights:
    return read_detectron(blobs(kind), f"{kind}.pkl")


def own_shapes(weights: Weights) -> dict[str, torch.Size]:
    with torch.device("meta"):
        model = build_model(weights.settings, len(weights.classes), keypoints=weights.classes.keypoint_count)
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_blob_of_detectron_finds_its_place_in_our_model(kind):
    weights = read(kind)
    assert len(weights.classes) == CLASSES
    assert {name: tensor.shape for name, tensor in weights.state.items()} == own_shapes(weights)


@pytest.mark.parametrize("kind", ["fpn", "boxes only", "c4", "keypoints"])
def test_every_tensor_of_maskrcnn_benchmark_finds_its_place_in_our_model(kind):
    weights = read_maskrcnn_benchmark(benchmark_state(kind), f"{kind}.pth")
    assert {name: tensor.shape for name, tensor in weights.state.items()} == own_shapes(weights)


def test_names_are_spelt_as_detectron_does():
    assert {"conv1_w", "res_conv1_bn_s", "res2_0_branch2a_bn_b", "fpn_inner_res5_2_sum_w", "fc6_w"} <= blobs(
        "fpn"
    ).keys()
    assert {"fpn_inner_res4_5_sum_lateral_w", "_[mask]_fcn1_w", "conv_rpn_fpn2_b"} <= blobs("fpn").keys()
    assert {"conv1_gn_s", "head_conv1_gn_b", "_[mask]_fcn1_gn_s", "fpn_res2_2_sum_gn_s"} <= blobs("gn").keys()
    assert "module.backbone.body.layer1.0.downsample.1.running_var" in benchmark_state("fpn")


def test_background_goes_last_and_leaves_boxes_and_masks():
    state, source = read("fpn").state, source_of("fpn")
    assert torch.equal(state["box_head.0.logits.bias"], source["roi_heads.box_predictor.cls_score.bias"])
    assert torch.equal(state["box_head.0.deltas.weight"], source["roi_heads.box_predictor.bbox_pred.weight"])
    assert torch.equal(state["mask_head.logits.bias"], source["roi_heads.mask_head.predictor.bias"])
    other = read_maskrcnn_benchmark(benchmark_state("fpn"), "fpn.pth").state
    for name in ("box_head.0.logits.bias", "box_head.0.deltas.weight", "mask_head.logits.bias"):
        assert torch.equal(other[name], state[name])


def test_frozen_norms_are_a_scale_and_a_shift():
    weights = read("fpn")
    assert weights.settings.backbone.norm_epsilon == 0
    assert (weights.state["backbone.stem.norm.running_var"] == 1).all()
    assert not weights.state["backbone.stages.1.0.step1.norm.running_mean"].any()


def test_anchors_are_those_of_detectron():
    # generate_anchors(stride=16, sizes=(128,)) and (4, 32), of which the corners are pixels.
    def corners(shape: tuple[float, float], stride: int) -> list[float]:
        (w, h), center = shape, stride / 2
        return [center - w / 2, center - h / 2, center + w / 2 - 1, center + h / 2 - 1]

    found = [corners(shape, 16) for shape in cell_shapes((128,), 16)]
    assert found == [[-84, -40, 99, 55], [-56, -56, 71, 71], [-36, -80, 51, 95]]
    assert [corners(shape, 4) for shape in cell_shapes((32,), 4)] == [
        *([-22, -10, 25, 13], [-14, -14, 17, 17], [-10, -22, 13, 25])
    ]
    settings = read("fpn").settings.anchors
    assert (settings.offset, len(settings.shapes), len(settings.shapes[0])) == (0.5, 5, 3)
    assert len(read("c4").settings.anchors.shapes[0]) == 15


def test_the_settings_are_those_of_detectron():
    settings = read("fpn").settings
    assert (settings.input.channel_order, settings.input.resize, settings.backbone.stride_in_1x1) == (
        "bgr",
        "opencv",
        True,
    )
    assert settings.input.mean == pytest.approx((122.7717 / 255, 115.9465 / 255, 102.9801 / 255))
    assert (settings.roi.sampling_ratio, settings.roi.half_pixel, settings.roi.level_slack) == (2, False, (1e-6, 0))
    assert read("c4").settings.roi.sampling_ratio == 0
    assert not read("gn").settings.backbone.stride_in_1x1
    assert read_maskrcnn_benchmark(benchmark_state("fpn"), "x").settings.input.resize == "pillow"


def test_what_training_left_behind_is_not_used():
    extra = {"conv1_w_momentum": torch.zeros(1), "lr": torch.zeros(1), "conv1_b": torch.zeros(64)}
    assert read_detectron(blobs("fpn") | extra, "x.pkl").state.keys() == read("fpn").state.keys()
    extra = {"module.rpn.anchor_generator.cell_anchors.0": torch.zeros(3, 4)}
    assert len(read_maskrcnn_benchmark(benchmark_state("fpn") | extra, "x").state) == len(read("fpn").state)


def test_blobs_without_a_place_are_named():
    with pytest.raises(WeightsError, match=r"x.pkl: 1 .*body_conv_fcn1_w"):
        read_detectron(blobs("fpn") | {"body_conv_fcn1_w": torch.zeros(1)}, "x.pkl")
    with pytest.raises(WeightsError, match=r"x.pth: 1 .*module.roi_heads.maskiou.fc1.weight"):
        read_maskrcnn_benchmark(
            benchmark_state("fpn") | {"module.roi_heads.maskiou.fc1.weight": torch.zeros(1)}, "x.pth"
        )


def test_the_formats_are_recognized_by_the_names():
    assert is_detectron(blobs("c4"))
    assert is_maskrcnn_benchmark(benchmark_state("c4"))
    assert understand(blobs("fpn"), "x").notes["format"] == "Detectron"
    assert understand(benchmark_state("fpn"), "x").notes["format"] == "maskrcnn-benchmark"
