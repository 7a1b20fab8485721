"""Small checkpoints under the names of other libraries; detectors have backbones half as wide as a ResNet-50."""

from __future__ import annotations

import re

import torch
import torchvision
from torch import Tensor
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops.misc import FrozenBatchNorm2d

WIDTH = 32
CLASSES = 3
Shapes = dict[str, tuple[int, ...]]
CAFFE2_LONG, CAFFE2_SHORT = ("gamma", "beta", "running_mean", "running_var"), ("s", "b", "rm", "riv")
LAST_BLOCKS = {2: 2, 3: 3, 4: 5, 5: 2}
DETECTRON_STEPS = {"shortcut": "branch1", "conv1": "branch2a", "conv2": "branch2b", "conv3": "branch2c"}
DETECTRON_NAMES = {
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
BENCHMARK_NAMES = {
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


def detectron2_state(
    neck: str = "fpn",
    *,
    norm: str = "frozen",
    heads: str | None = "mask",
    cascade: bool = False,
    rpn: int = 1,
    convolutions: int = 0,
    groups: int = 1,
    blocks: tuple[int, ...] = (3, 4, 6, 3),
    tuned: bool = False,
    seed: int = 0,
) -> dict[str, Tensor]:
    """As in a file of detectron2; norm is frozen, bn or gn, heads are mask, keypoint, semantic (and mask) or none.

    Of a model that was tuned, the norms of the stem and the first stage are frozen and count nothing.
    """
    shapes: Shapes = {}
    prefix = "backbone.bottom_up." if neck == "fpn" else "backbone."
    _add_normed(shapes, f"{prefix}stem.conv1", (WIDTH, 3, 7, 7), norm)
    for stage, count in enumerate(blocks, start=2):
        place = "roi_heads.res5" if (neck, stage) == ("c4", 5) else f"{prefix}res{stage}"
        _add_stage(shapes, place, stage, count, norm, groups)
    channels = 32
    if neck == "fpn":
        for level in range(2, 6):
            _add_maybe_normed(shapes, f"backbone.fpn_lateral{level}", (32, WIDTH * 2**level, 1, 1), norm)
            _add_maybe_normed(shapes, f"backbone.fpn_output{level}", (32, 32, 3, 3), norm)
    else:
        channels = WIDTH * 2 ** (4 if neck == "c4" else 5)
    anchors = 3 if neck == "fpn" else 15
    head = "proposal_generator.rpn_head."
    for i in range(rpn):
        _add_plain(shapes, f"{head}conv" if rpn == 1 else f"{head}conv.conv{i}", (channels, channels, 3, 3))
    _add_plain(shapes, f"{head}objectness_logits", (anchors, channels, 1, 1))
    _add_plain(shapes, f"{head}anchor_deltas", (4 * anchors, channels, 1, 1))
    for stage in ("0.", "1.", "2.") if cascade else ("",):
        _add_box_head(shapes, stage, neck, channels, convolutions, norm, 1 if cascade else CLASSES)
    _add_heads(shapes, heads, neck, channels, norm)
    frozen = (f"{prefix}stem.", f"{prefix}res2.") if tuned else ()
    kept = {name: one for name, one in shapes.items() if not (name.startswith(frozen) and name.endswith("tracked"))}
    return fill(kept if frozen else shapes, seed)


def mmdetection_state(
    neck: str = "fpn",
    *,
    norm: str = "bn",
    cascade: bool = False,
    masks: bool = True,
    classes: int = CLASSES,
    anchors: int = 3,
    groups: int = 1,
    clip: bool = False,
    seed: int = 0,
) -> dict[str, Tensor]:
    """As in a file of mmdetection, or with `clip` of MMOCR: neck is fpn, c4 or dc5, norm bn or gn."""
    shapes: Shapes = {}
    _add_mm_stem(shapes, norm, clip)
    for stage, count in enumerate((3, 4, 6, 3), start=1):
        place = "roi_head.shared_head" if (neck, stage) == ("c4", 4) else "backbone"
        for i in range(count):
            block, width = f"{place}.layer{stage}.{i}.", WIDTH * 2 ** (stage - 1)
            _add_mm_block(shapes, block, width, i == 0, stage == 1, groups, norm, 1 if clip else 0)
    channels = {"fpn": 32, "c4": WIDTH * 16, "dc5": WIDTH * 32}[neck]
    for i in range(4 if neck == "fpn" else 0):
        _add_mm_layer(shapes, f"neck.lateral_convs.{i}", (32, WIDTH * 2 ** (i + 2), 1, 1), norm)
        _add_mm_layer(shapes, f"neck.fpn_convs.{i}", (32, 32, 3, 3), norm)
    anchors = anchors if neck == "fpn" else 15
    _add_plain(shapes, "rpn_head.rpn_conv", (channels, channels, 3, 3))
    _add_plain(shapes, "rpn_head.rpn_cls", (anchors, channels, 1, 1))
    _add_plain(shapes, "rpn_head.rpn_reg", (4 * anchors, channels, 1, 1))
    for stage in ("0.", "1.", "2.") if cascade else ("",):
        _add_mm_box_head(
            shapes, f"roi_head.bbox_head.{stage}", neck, channels, norm, classes, 1 if cascade else classes
        )
        if masks:
            _add_mm_mask_head(shapes, f"roi_head.mask_head.{stage}", neck, norm, classes)
    return fill(shapes, seed)


def torchvision_state(kind: type = MaskRCNN, norm_layer: type = FrozenBatchNorm2d) -> dict[str, Tensor]:
    """Of torchvision's own model, with a ResNet-18."""
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(backbone_name="resnet18", weights=None, norm_layer=norm_layer)
    return kind(backbone, num_classes=CLASSES + 1).state_dict()


def detectron_state(**options) -> dict[str, Tensor]:
    """As in a file of Detectron, of the same numbers as `detectron2_state(**options)`."""
    grouped = options.get("norm") == "gn"
    found = {}
    for name, tensor in detectron2_state(**options).items():
        new = _detectron_name(name, fpn=options.get("neck") != "c4")
        if new is not None:
            new = new if grouped else new.replace("_gn_", "_bn_").replace("conv1_bn", "res_conv1_bn")
            found[re.sub(r"^res_res", "res", new)] = _background_first(new, tensor)
    return found


def benchmark_state(**options) -> dict[str, Tensor]:
    """As in a file of maskrcnn-benchmark, of the same numbers as `detectron2_state(**options)`."""
    names = {name: _benchmark_name(name) for name in detectron2_state(**options)}
    return {
        names[name]: _background_first(names[name].replace("rpn.head.bbox_pred", "rpn"), tensor)
        for name, tensor in detectron2_state(**options).items()
    }


def fill(shapes: Shapes, seed: int) -> dict[str, Tensor]:
    """Different numbers for every tensor; counters of batches count to 7."""
    torch.manual_seed(seed)
    return {
        name: torch.tensor(7) if name.endswith("num_batches_tracked") else torch.rand(shape)
        for name, shape in shapes.items()
    }


def random_resnet(name: str) -> dict[str, Tensor]:
    """One of torchvision's classifiers, with norms that are not as they were initialized."""
    torch.manual_seed(0)
    state = getattr(torchvision.models, name)(num_classes=2).state_dict()
    for key, tensor in state.items():
        if key.endswith("running_mean"):
            tensor.normal_(0, 0.1)
        elif tensor.ndim == 1:
            tensor.uniform_(0.5, 1.5)
    return state


def caffe2_state(state: dict[str, Tensor], statistics: tuple[str, ...] = CAFFE2_SHORT) -> dict[str, Tensor]:
    """A classifier of torchvision's as Detectron and detectron2's MSRA files name its tensors."""
    return {_caffe2_name(name, statistics): one for name, one in state.items() if not name.endswith("tracked")}


def _caffe2_name(name: str, statistics: tuple[str, ...]) -> str:
    leaves = dict(zip(("weight", "bias", "running_mean", "running_var"), statistics))
    parts = name.split(".")
    if parts[0] in ("conv1", "bn1"):
        return "conv1_w" if parts[0] == "conv1" else f"res_conv1_bn_{leaves[parts[1]]}"
    if parts[0] == "fc":
        return f"fc1000_{parts[1][0]}"
    branch = "1" if parts[2] == "downsample" else "2" + "abc"[int(parts[2][-1]) - 1]
    norm = parts[2].startswith("bn") or parts[3] == "1"
    leaf = f"bn_{leaves[parts[-1]]}" if norm else "w"
    return f"res{int(parts[0][-1]) + 1}_{parts[1]}_branch{branch}_{leaf}"


def _detectron_name(name: str, fpn: bool) -> str | None:
    """Detectron's name of a tensor of detectron2; None for what Detectron does not store."""
    layer, leaf = name.rsplit(".", 1)
    if leaf.startswith("running"):
        return None
    normed = layer.endswith(".norm")
    layer = layer.removesuffix(".norm").removeprefix("backbone.").removeprefix("bottom_up.")
    ending = {"weight": "s" if normed else "w", "bias": "b"}[leaf]
    group = "gn_" if fpn and normed else "bn_" if normed else ""
    if found := re.match(r"(?:roi_heads\.)?res(\d)\.(\d+)\.(\w+)", layer):
        return f"res{found[1]}_{found[2]}_{DETECTRON_STEPS[found[3]]}_{group}{ending}"
    if layer == "stem.conv1":
        return f"{'res_conv1' if group == 'bn_' else 'conv1'}_{group}{ending}"
    if found := re.match(r"fpn_(lateral|output)(\d)", layer):
        inner, stage = found[1] == "lateral", int(found[2])
        base = f"fpn_{'inner_' if inner else ''}res{stage}_{LAST_BLOCKS[stage]}_sum"
        return f"{base}{'_lateral' if inner and stage < 5 else ''}_{group}{ending}"
    if found := re.match(r"roi_heads\.mask_head\.mask_fcn(\d)", layer):
        return f"_[mask]_fcn{found[1]}_{group}{ending}"
    if found := re.match(r"roi_heads\.box_head\.conv(\d)", layer):
        return f"head_conv{found[1]}_{group}{ending}"
    if found := re.match(r"roi_heads\.keypoint_head\.conv_fcn(\d)", layer):
        return f"conv_fcn{found[1]}_{ending}"
    level = "_fpn2" if fpn and layer.startswith("proposal_generator") else ""
    return f"{DETECTRON_NAMES[layer]}{level}_{ending}"


def _benchmark_name(name: str) -> str:
    name = re.sub(r"backbone\.(?:bottom_up\.)?stem\.conv1\.norm", "backbone.body.stem.bn1", name)
    name = re.sub(r"backbone\.(?:bottom_up\.)?stem", "backbone.body.stem", name)
    for start, head in ((r"backbone\.(?:bottom_up\.)?", "backbone.body."),
                        (r"roi_heads\.", "roi_heads.box.feature_extractor.head.")):  # fmt: skip
        layer = lambda m, head=head: f"{head}layer{int(m[1]) - 1}.{m[2]}."  # noqa: E731
        name = re.sub(rf"{start}res(\d)\.(\d+)\.(?=conv|shortcut)", layer, name)
    name = re.sub(r"shortcut\.norm", "downsample.1", name).replace("shortcut", "downsample.0")
    name = re.sub(r"(layer\d\.\d+\.)conv(\d)\.norm", r"\1bn\2", name)
    parts = {"lateral": "inner", "output": "layer"}
    name = re.sub(r"backbone\.fpn_(\w+?)(\d)\.", lambda m: f"backbone.fpn.fpn_{parts[m[1]]}{int(m[2]) - 1}.", name)
    name = name.replace("roi_heads.mask_head.mask_fcn", "roi_heads.mask.feature_extractor.mask_fcn")
    for theirs, other in BENCHMARK_NAMES.items():
        name = name.replace(theirs, other)
    return f"module.{name}"


def _background_first(name: str, tensor: Tensor) -> Tensor:
    """Rows for a background, which begin with -1."""
    if "cls_score" in name:
        return tensor.roll(1, dims=0)
    rows = 4 if "bbox_pred" in name and "rpn" not in name else 1 if "mask_fcn_logits" in name else 0
    return torch.cat([torch.full((rows, *tensor.shape[1:]), -1.0), tensor])


def _add_plain(shapes: Shapes, name: str, shape: tuple[int, ...]) -> None:
    shapes[f"{name}.weight"] = shape
    # A transposed convolution has its outputs second; all of those here have as many inputs, or are 2x2 or 4x4.
    shapes[f"{name}.bias"] = (shape[1],) if len(shape) == 4 and shape[2] in (2, 4) else (shape[0],)


def _add_normed(shapes: Shapes, name: str, shape: tuple[int, ...], norm: str) -> None:
    shapes[f"{name}.weight"] = shape
    leaves = ["weight", "bias"] + ([] if norm == "gn" else ["running_mean", "running_var"])
    shapes.update({f"{name}.norm.{leaf}": shape[:1] for leaf in leaves})
    if norm == "bn":
        shapes[f"{name}.norm.num_batches_tracked"] = ()


def _add_maybe_normed(shapes: Shapes, name: str, shape: tuple[int, ...], norm: str) -> None:
    (_add_plain(shapes, name, shape) if norm == "frozen" else _add_normed(shapes, name, shape, norm))


def _add_stage(shapes: Shapes, place: str, stage: int, count: int, norm: str, groups: int) -> None:
    width = WIDTH * 2 ** (stage - 2)
    middle = width if groups == 1 else 4 * width
    for i in range(count):
        inputs = 4 * width if i else WIDTH if stage == 2 else 2 * width
        if i == 0:
            _add_normed(shapes, f"{place}.0.shortcut", (4 * width, inputs, 1, 1), norm)
        _add_normed(shapes, f"{place}.{i}.conv1", (middle, inputs, 1, 1), norm)
        _add_normed(shapes, f"{place}.{i}.conv2", (middle, middle // groups, 3, 3), norm)
        _add_normed(shapes, f"{place}.{i}.conv3", (4 * width, middle, 1, 1), norm)


def _add_box_head(
    shapes: Shapes, stage: str, neck: str, channels: int, convolutions: int, norm: str, boxes: int
) -> None:
    width = WIDTH * 32 if neck == "c4" else 16
    for i in range(convolutions):
        _add_maybe_normed(shapes, f"roi_heads.box_head.{stage}conv{i + 1}", (32, 32, 3, 3), norm)
    if neck != "c4":
        _add_plain(shapes, f"roi_heads.box_head.{stage}fc1", (16, channels * 49))
        if not convolutions:
            _add_plain(shapes, f"roi_heads.box_head.{stage}fc2", (16, 16))
    _add_plain(shapes, f"roi_heads.box_predictor.{stage}cls_score", (CLASSES + 1, width))
    _add_plain(shapes, f"roi_heads.box_predictor.{stage}bbox_pred", (4 * boxes, width))


def _add_heads(shapes: Shapes, heads: str | None, neck: str, channels: int, norm: str) -> None:
    if heads in ("mask", "semantic"):
        for i in range(0 if neck == "c4" else 4):
            name = f"roi_heads.mask_head.mask_fcn{i + 1}"
            _add_maybe_normed(shapes, name, (32, 32 if i else channels, 3, 3), norm)
        _add_plain(shapes, "roi_heads.mask_head.deconv", (WIDTH * 32 if neck == "c4" else 32, 32, 2, 2))
        _add_plain(shapes, "roi_heads.mask_head.predictor", (CLASSES, 32, 1, 1))
    if heads == "keypoint":
        for i in range(8):
            _add_plain(shapes, f"roi_heads.keypoint_head.conv_fcn{i + 1}", (16, 16 if i else 32, 3, 3))
        _add_plain(shapes, "roi_heads.keypoint_head.score_lowres", (16, 17, 4, 4))
    if heads == "semantic":
        for level, places in {2: [0], 3: [0], 4: [0, 2], 5: [0, 2, 4]}.items():
            for i in places:
                _add_normed(shapes, f"sem_seg_head.p{level}.{i}", (32, 32, 3, 3), "gn")
        _add_plain(shapes, "sem_seg_head.predictor", (6, 32, 1, 1))


def _add_mm_norm(shapes: Shapes, convolution: str, norm: str, shape: tuple[int, ...]) -> None:
    """A convolution and its norm, whose name tells its kind: bn1, gn1, downsample.1."""
    shapes[f"{convolution}.weight"] = shape
    shapes.update({f"{norm}.{leaf}": shape[:1] for leaf in ("weight", "bias")})
    if "gn" not in norm.split(".")[-1]:
        shapes.update({f"{norm}.{leaf}": shape[:1] for leaf in ("running_mean", "running_var")})
        shapes[f"{norm}.num_batches_tracked"] = ()


def _add_mm_layer(shapes: Shapes, name: str, shape: tuple[int, ...], norm: str) -> None:
    """mmcv's ConvModule: with group norms here, plain otherwise."""
    if norm == "gn":
        _add_mm_norm(shapes, f"{name}.conv", f"{name}.gn", shape)
    else:
        _add_plain(shapes, f"{name}.conv", shape)


def _add_mm_stem(shapes: Shapes, norm: str, clip: bool) -> None:
    if not clip:
        _add_mm_norm(shapes, "backbone.conv1", f"backbone.{norm}1", (WIDTH, 3, 7, 7))
        return
    counts = (3, WIDTH // 2, WIDTH // 2, WIDTH)
    for i, place in enumerate((0, 3, 6)):
        shape = (counts[i + 1], counts[i], 3, 3)
        _add_mm_norm(shapes, f"backbone.stem.{place}", f"backbone.stem.{place + 1}", shape)


def _add_mm_block(
    shapes: Shapes, block: str, width: int, first: bool, stage1: bool, groups: int, norm: str, pooled: int
) -> None:
    inputs = 4 * width if not first else width if stage1 else 2 * width
    middle = width if groups == 1 else 2 * width
    _add_mm_norm(shapes, f"{block}conv1", f"{block}{norm}1", (middle, inputs, 1, 1))
    _add_mm_norm(shapes, f"{block}conv2", f"{block}{norm}2", (middle, middle // groups, 3, 3))
    _add_mm_norm(shapes, f"{block}conv3", f"{block}{norm}3", (4 * width, middle, 1, 1))
    if first:
        shortcut, shape = f"{block}downsample.{pooled}", (4 * width, inputs, 1, 1)
        if norm == "gn":
            shapes[f"{shortcut}.weight"] = shape
            shapes.update({f"{block}downsample.{pooled + 1}.{leaf}": shape[:1] for leaf in ("weight", "bias")})
        else:
            _add_mm_norm(shapes, shortcut, f"{block}downsample.{pooled + 1}", shape)


def _add_mm_box_head(shapes: Shapes, head: str, neck: str, channels: int, norm: str, classes: int, boxes: int) -> None:
    width = WIDTH * 32 if neck == "c4" else 16
    _add_plain(shapes, f"{head}fc_cls", (classes + 1, width))
    _add_plain(shapes, f"{head}fc_reg", (4 * boxes, width))
    if neck == "c4":
        return
    for i in range(4 if norm == "gn" else 0):
        _add_mm_layer(shapes, f"{head}shared_convs.{i}", (32, 32, 3, 3), norm)
    _add_plain(shapes, f"{head}shared_fcs.0", (16, channels * 49))
    if norm != "gn":
        _add_plain(shapes, f"{head}shared_fcs.1", (16, 16))


def _add_mm_mask_head(shapes: Shapes, head: str, neck: str, norm: str, classes: int) -> None:
    inputs = {"fpn": 32, "c4": WIDTH * 32, "dc5": WIDTH * 32}[neck]
    for i in range(0 if neck == "c4" else 4):
        _add_mm_layer(shapes, f"{head}convs.{i}", (32, 32 if i else inputs, 3, 3), norm)
    _add_plain(shapes, f"{head}upsample", (inputs if neck == "c4" else 32, 32, 2, 2))
    _add_plain(shapes, f"{head}conv_logits", (classes, 32, 1, 1))
