"""Checkpoints of mmdetection 2.x and 3.x and of MMOCR's Mask R-CNN."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from ...config import ModelSettings
from ...config.base import explain_errors
from ...errors import WeightsError
from ...structures.classes import Classes
from ..own import Weights
from .names import Table, classes_of, find_origins, normed
from .structure import Tree, anchors_per_place, bins_first, find_structure, merge, split_counters
from .torchvision import block_table, resnet_table


def _layers(theirs: str, ours: str) -> Table:
    """Mmcv's modules of a convolution and a batch or group norm."""
    return [*normed(theirs, ours, convolution="conv.", norms="bn."), (f"{theirs}gn.", f"{ours}norm.")]


def _head_names(stage: str) -> Table:
    """Heads of boxes and masks, or those of a stage of a cascade."""
    ours = stage or "0."
    box, mask = f"roi_head.bbox_head.{stage}", f"roi_head.mask_head.{stage}"
    return [
        *_layers(f"{box}shared_convs.{{i}}.", f"box_head.{ours}convolutions.{{i}}."),
        (f"{box}shared_fcs.{{i}}.", f"box_head.{ours}hidden.{{i}}."),
        (f"{box}fc_cls.", f"box_head.{ours}logits."),
        (f"{box}fc_reg.", f"box_head.{ours}deltas."),
        *_layers(f"{mask}convs.{{i}}.", f"mask_head.{stage}convolutions.{{i}}."),
        (f"{mask}upsample.", f"mask_head.{stage}upsamples.0."),
        (f"{mask}conv_logits.", f"mask_head.{stage}logits."),
    ]


TABLE: Table = [
    *resnet_table("backbone."),
    *resnet_table("backbone.", norms="gn"),
    *block_table("roi_head.shared_head.layer4.{block}.", "shared_head.{block}."),
    *block_table("roi_head.shared_head.layer4.{block}.", "shared_head.{block}.", norms="gn"),
    *_layers("neck.lateral_convs.{i}.", "neck.lateral.{i}."),
    *_layers("neck.fpn_convs.{i}.", "neck.output.{i}."),
    ("rpn_head.rpn_conv.", "rpn.convolutions.0."),
    ("rpn_head.rpn_conv.{i}.conv.", "rpn.convolutions.{i}."),
    ("rpn_head.rpn_cls.", "rpn.logits."),
    ("rpn_head.rpn_reg.", "rpn.deltas."),
    *_head_names(""),
    *_head_names("{stage}."),
    *_layers("semantic_head.conv_upsample_layers.{level}.conv.{i}.", "semantic_head.levels.{level}.{i}."),
    ("semantic_head.conv_logits.", "semantic_head.logits."),
]
# MMOCR's oCLIP models: a stem of three convolutions in a row, and shortcuts that begin with a pooling.
CLIP: Table = [
    *normed("backbone.stem.", "backbone.stem.step{i+1}.", convolution="{i*3}.", norms="{i*3+1}."),
    *normed(
        "backbone.layer{stage+1}.{block}.downsample.",
        "backbone.stages.{stage}.{block}.shortcut.",
        convolution="1.",
        norms="2.",
    ),
]
WRAPPER = "wrapped_model."
READABLE = "mmdetection's (2.0 and later) Faster, Mask and Cascade R-CNN and Panoptic FPN with a residual network"

EPSILON = torch.finfo(torch.float32).eps
LIKE_ITS_BOXES: Tree = {"clamp_both_sides": True, "loss_epsilon": EPSILON}
COMMON: Tree = {
    "input": {"resize": "opencv"},
    "anchors": {"rounded": False, "stride": "nominal"},
    "rpn": {
        "rescue_iou": 0.3,
        "smooth_l1_beta": 0,
        "min_box_size": 0,
        "post_nms_top_n_training": 1000,
        **LIKE_ITS_BOXES,
    },
    "roi": {"sampling_ratio": 0, "half_pixel": True, "level_slack": (2.5e-7, 0)},
    "box_head": {"smooth_l1_beta": 0, "min_box_size": None, **LIKE_ITS_BOXES},
    "mask_head": {"targets": "thresholded", "paste": "sampled"},
    "semantic_head": {"things": "last", "loss_at": "map", "loss_over": "all"},
}
MEAN, DEVIATION = (123.675 / 255, 116.28 / 255, 103.53 / 255), (58.395 / 255, 57.12 / 255, 57.375 / 255)
# Backbones that come from Detectron see blue first: Microsoft's ResNets, and Facebook's with group norms, raw pixels
# less the mean, Facebook's ResNeXt-101 of 32 groups of 8 divided ones.
RAW: Tree = {"input": {"channel_order": "bgr", "mean": MEAN, "std": (1 / 255,) * 3}}
CAFFE: Tree = {**RAW, "backbone": {"stride_in_1x1": True}}
DIVIDED: Tree = {"input": {"channel_order": "bgr", "mean": MEAN, "std": DEVIATION}}
CASCADE: Tree = {
    "rpn": {"smooth_l1_beta": 1 / 9, "post_nms_top_n_training": 2000},
    "box_head": {"smooth_l1_beta": 1},
    "cascade": {
        "average": "logits",
        "resample": True,
        "stages": [
            {"positive_iou": 0.5, "delta_weights": (1 / 0.1, 1 / 0.1, 1 / 0.2, 1 / 0.2), "loss_weight": 1},
            {"positive_iou": 0.6, "delta_weights": (1 / 0.05, 1 / 0.05, 1 / 0.1, 1 / 0.1), "loss_weight": 0.5},
            {"positive_iou": 0.7, "delta_weights": (1 / 0.033, 1 / 0.033, 1 / 0.067, 1 / 0.067), "loss_weight": 0.25},
        ],
    },
}
ONE_MAP: Tree = {
    "anchors": {"sizes": ((32, 64, 128, 256, 512),)},
    "rpn": {"pre_nms_top_n_training": 12000, "post_nms_top_n_training": 2000, "pre_nms_top_n": 6000},
}
PANOPTIC: Tree = {"box_head": {"score_threshold": 0.6, "class_agnostic_nms": True}, "panoptic": {"score_threshold": 0}}
# MMOCR looks for words: five shapes from a sixth of the height to seven times it, in sizes from 16 to 256 px.
TEXT: Tree = {"anchors": {"sizes": (16, 32, 64, 128, 256), "ratios": (0.17, 0.44, 1.13, 2.9, 7.46)}}


AVERAGED = "ema_"
"""Copies of mmdetection 2's averaging hook; it has exchanged them with the weights when it writes a checkpoint."""


def is_mmdetection(state: Mapping[str, Tensor]) -> bool:
    """Whether the names are those of an mmdetection detector."""
    return any(_unwrapped(name).startswith("rpn_head.rpn_") for name in state)


def read_mmdetection(state: Mapping[str, Tensor], source: str, meta: Mapping[str, Any] | None = None) -> Weights:
    """Translate a state dict and find the settings it belongs to.

    Args:
        state: Tensors under mmdetection's names, also behind MMOCR's `wrapped_model.`.
        source: Name of the file, for messages.
        meta: What the file says beside its tensors: the text of its configuration, and names of classes.

    Returns:
        The weights. Without a configuration the settings are those of the published models; whether the style is
        PyTorch's or Caffe's is then known only by norms without statistics, which Caffe's have.

    Raises:
        WeightsError: Some tensors have no place here (another kind of model); they are named.
    """
    state = {name: tensor for name, tensor in state.items() if not _unwrapped(name).startswith(AVERAGED)}
    clip = any(_unwrapped(name).startswith("backbone.stem.") for name in state)
    origins = find_origins(state, [*CLIP, *TABLE] if clip else TABLE, source, READABLE, spell=_unwrapped)
    ours = {name: state[origin] for name, origin in origins.items()}
    settings = _settings(_find_settings(ours, source), meta or {}, source)
    ours, counters = split_counters(bins_first(ours), settings.backbone)
    extra = {origins[name]: tensor for name, tensor in counters.items()}
    classes = _find_classes(ours, settings, meta or {})
    return Weights(ours, settings, classes, {"format": "mmdetection"}, source=source, extra=extra)


def _unwrapped(name: str) -> str:
    return name.removeprefix(WRAPPER)


def _settings(tree: Tree, meta: Mapping[str, Any], source: str) -> ModelSettings:
    if unknown := find_unknown(meta):
        raise WeightsError(
            f"{source}: its configuration has {', '.join(unknown)}, which is not known here, so that the model would "
            "give other results."
        )
    try:
        return ModelSettings.model_validate(merge(tree, read_config(meta)))
    except (ValidationError, TypeError, ValueError, ArithmeticError) as error:
        raise WeightsError(
            f"{source}: the configuration beside its tensors has values that are not read here "
            f"({explain_errors(error, ModelSettings)}). Save its state_dict alone, and give the settings that "
            "differ from the published models' as key=value."
        ) from error


def _find_settings(state: Mapping[str, Tensor], source: str) -> Tree:
    """What follows from the tensors, and what the published configurations say beside it."""
    found = find_structure(state, source)
    parts = [found, COMMON]
    if found["backbone"]["name"] == "resnext101_32x8d":
        parts.append(DIVIDED)
    elif found["backbone"]["norm"] == "group":
        parts.append(RAW)
    elif _is_caffe(state):
        parts.append(CAFFE)
    if found["neck"]["name"] != "fpn":
        parts.append(ONE_MAP)
    if found["neck"]["name"] == "c5":
        parts.append({"backbone": {"dilate_stage5": True}})
    if found["cascade"] is not None:
        parts.append(CASCADE)
    if found["semantic_head"] is not None:
        parts.append(PANOPTIC)
    if anchors_per_place(state) == 5 and found["neck"]["name"] == "fpn":
        parts.append(TEXT)
    return merge(*parts)


def _is_caffe(state: Mapping[str, Tensor]) -> bool:
    means = state.get("backbone.stem.norm.running_mean")
    return means is not None and not means.any()


def _find_classes(state: Mapping[str, Tensor], settings: ModelSettings, meta: Mapping[str, Any]) -> Classes:
    """The names that the file holds, with COCO's ids if they are COCO's; else those of as many classes."""
    known = classes_of(state)
    if settings.anchors.ratios == TEXT["anchors"]["ratios"] and len(known) == 1:
        known = Classes(("text",), (1,))
    data = meta.get("dataset_meta")
    names = meta.get("CLASSES") or (data.get("classes") or data.get("CLASSES") if isinstance(data, dict) else None)
    if isinstance(names, str):
        names = [names]
    if not isinstance(names, list | tuple) or len(names) < len(known) or tuple(names[: len(known)]) == known.names:
        return known
    return replace(known, names=tuple(map(str, names[: len(known)])), category_ids=tuple(range(1, len(known) + 1)))


_CONVOLUTIONS = ("Conv", "Conv2d")
# Types of parts that leave no trace in the names of tensors, and those of them that are known here.
KNOWN_TYPES: dict[str, tuple[str, ...]] = {
    "backbone.conv_cfg.type": _CONVOLUTIONS,
    "neck.conv_cfg.type": _CONVOLUTIONS,
    "roi_head.bbox_head.conv_cfg.type": _CONVOLUTIONS,
    "roi_head.mask_head.conv_cfg.type": _CONVOLUTIONS,
    "rpn_head.anchor_generator.type": ("AnchorGenerator",),
    "roi_head.bbox_roi_extractor.type": ("SingleRoIExtractor",),
    "roi_head.bbox_roi_extractor.roi_layer.type": ("RoIAlign",),
    "roi_head.bbox_head.bbox_coder.type": ("DeltaXYWHBBoxCoder",),
    "test_cfg.rcnn.nms.type": ("nms",),
}


LONGEST_CONFIG, MOST_VALUES = 1_000_000, 200_000
"""Characters of a configuration, and values in it: a hundred times those of the largest."""


def read_config(meta: Mapping[str, Any]) -> Tree:
    """Settings that the configuration in a file's `meta` has; none if it holds none, or it cannot be read.

    Args:
        meta: Has the text as `cfg` (3.x) or `config` (2.x).
    """
    values = _assignments(meta)
    model = _model(values)
    if not model:
        return {}
    return merge(_pixels(model, values), _size(values), _backbone(model), _proposals(model), _heads(model))


def find_unknown(meta: Mapping[str, Any]) -> list[str]:
    """What the configuration in a file's `meta` asks for that no setting here stands for, as `key=value`."""
    model = _model(_assignments(meta))
    return [
        f"{path}={str(value)[:40]}"
        for path, known in KNOWN_TYPES.items()
        if (value := look_up(model, path)) not in (None, *known)
    ]


def _assignments(meta: Mapping[str, Any]) -> Tree:
    text = meta.get("cfg", meta.get("config"))
    return parse_assignments(text) if isinstance(text, str) else {}


def _model(values: Tree) -> Tree:
    """The model of a configuration; empty if there is none."""
    model = values.get("model")
    if not isinstance(model, dict):
        return {}
    if isinstance(model.get("cfg"), dict):  # MMOCR wraps a model of mmdetection
        model = model["cfg"]
    return {"test_cfg": values.get("test_cfg"), "train_cfg": values.get("train_cfg"), **model}


def parse_assignments(text: str) -> dict[str, Any]:
    """The plain values that a Python file assigns to names: literals, `dict(...)` of them, and earlier names.

    Assignments of anything else are left out, and so is a text that is no Python or as long as no configuration is.
    Names of earlier lists in a list multiply: values are counted with all that is in them.
    """
    if len(text) > LONGEST_CONFIG:
        return {}
    try:
        lines = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    values: dict[str, Any] = {}
    left = MOST_VALUES
    for line in lines:
        if isinstance(line, ast.Assign) and len(line.targets) == 1 and isinstance(line.targets[0], ast.Name):
            try:
                value = _value(line.value, values)
                left -= _count_values(value, left)
                if left < 0:
                    return {}
                values[line.targets[0].id] = value
            except (ValueError, TypeError, RecursionError):
                continue
    return values


def _count_values(value: Any, most: int) -> int:
    """How many values a value has in it, and itself; no more than one above `most` are counted."""
    waiting, count = [value], 0
    while waiting and count <= most:
        one = waiting.pop()
        count += 1
        if isinstance(one, dict | list | tuple):
            waiting += list(one.values()) if isinstance(one, dict) else one
    return count


def look_up(tree: Any, path: str) -> Any:
    """The value at `a.b.c` of nested dictionaries, of lists the first entry; None if there is none."""
    for key in path.split("."):
        if isinstance(tree, list):
            tree = tree[0] if tree else None
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree


def _value(node: ast.expr, known: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return {word.arg: _value(word.value, known) for word in node.keywords if word.arg is not None}
    if isinstance(node, ast.Dict):
        keys = [_value(key, known) for key in node.keys if key is not None]
        return dict(zip(keys, [_value(value, known) for value in node.values], strict=True))
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(one, known) for one in node.elts]
    if isinstance(node, ast.Name):
        if node.id not in known:
            raise ValueError(node.id)
        return known[node.id]
    return ast.literal_eval(node)


def _given(**values: Any) -> Tree:
    return {key: value for key, value in values.items() if value is not None}


def _pixels(model: Tree, values: Tree) -> Tree:
    """How pixels become numbers; the mean is in the order in which the network sees the channels."""
    norm = look_up(model, "data_preprocessor") or values.get("img_norm_cfg")
    mean, deviation = look_up(norm, "mean"), look_up(norm, "std")
    if not isinstance(mean, list) or not isinstance(deviation, list):
        return {}
    rgb = bool(look_up(norm, "bgr_to_rgb") or look_up(norm, "to_rgb"))
    order = 1 if rgb else -1
    scaled = [tuple(value / 255 for value in row[::order]) for row in (mean, deviation)]
    found = {"mean": scaled[0], "std": scaled[1], "channel_order": "rgb" if rgb else "bgr"}
    return {"input": {**found, **_given(size_divisible=look_up(norm, "pad_size_divisor"))}}


def _size(values: Tree) -> Tree:
    """Size of images in the pipeline for tests."""
    steps = values.get("test_pipeline")
    for step in steps if isinstance(steps, list) else []:
        size = look_up(step, "scale") or look_up(step, "img_scale")
        if isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) for side in size):
            return {"input": {"min_size": min(size), "max_size": max(size)}}
    return {}


def _backbone(model: Tree) -> Tree:
    backbone: Tree = {}
    if (style := look_up(model, "backbone.style")) is not None:
        backbone["stride_in_1x1"] = style == "caffe"
    if isinstance(frozen := look_up(model, "backbone.frozen_stages"), int):
        backbone["frozen_stages"] = frozen + 1
    return {"backbone": backbone}


def _proposals(model: Tree) -> Tree:
    """Anchors and limits of the proposal network."""
    scales, ratios, strides = (look_up(model, f"rpn_head.anchor_generator.{key}") for key in _ANCHORS)
    anchors: Tree = {}
    if isinstance(scales, list) and isinstance(ratios, list) and isinstance(strides, list):
        sizes = [[float(scale) * float(stride) for scale in scales] for stride in strides]
        anchors = {"sizes": sizes, "ratios": ratios}
    training = look_up(model, "train_cfg.rpn_proposal") or look_up(model, "test_cfg.rpn")
    testing = look_up(model, "test_cfg.rpn")
    rpn = _given(
        pre_nms_top_n=look_up(testing, "nms_pre"),
        post_nms_top_n=look_up(testing, "max_per_img") or look_up(testing, "max_num"),
        pre_nms_top_n_training=look_up(training, "nms_pre"),
        post_nms_top_n_training=look_up(training, "max_per_img") or look_up(training, "max_num"),
        nms_threshold=look_up(testing, "nms.iou_threshold") or look_up(testing, "nms_thr"),
        smooth_l1_beta=_beta(look_up(model, "rpn_head.loss_bbox")),
        batch_size_per_image=look_up(model, "train_cfg.rpn.sampler.num"),
    )
    return {"anchors": anchors, "rpn": rpn}


_ANCHORS = ("scales", "ratios", "strides")


def _heads(model: Tree) -> Tree:
    """Limits of the box heads and what their deltas are divided by."""
    test = look_up(model, "test_cfg.rcnn")
    heads = look_up(model, "roi_head.bbox_head")
    box_head = _given(
        score_threshold=look_up(test, "score_thr"),
        nms_threshold=look_up(test, "nms.iou_threshold") or look_up(test, "nms.iou_thr"),
        class_agnostic_nms=look_up(test, "nms.class_agnostic"),
        detections_per_image=look_up(test, "max_per_img"),
        smooth_l1_beta=_beta(look_up(heads, "loss_bbox")),
        batch_size_per_image=look_up(model, "train_cfg.rcnn.sampler.num"),
    )
    panoptic = _given(
        overlap_threshold=look_up(model, "test_cfg.panoptic.mask_overlap"),
        stuff_area_limit=look_up(model, "test_cfg.panoptic.stuff_area_limit"),
    )
    if not isinstance(heads, list):
        deviations = look_up(heads, "bbox_coder.target_stds")
        weights = {} if deviations is None else {"delta_weights": [1 / value for value in deviations]}
        return {"box_head": box_head | weights, "panoptic": panoptic}
    return {"box_head": box_head, "panoptic": panoptic, "cascade": _stages(model, heads)}


def _stages(model: Tree, heads: list[Any]) -> Tree:
    deviations = [look_up(head, "bbox_coder.target_stds") for head in heads]
    weights = look_up(model, "roi_head.stage_loss_weights") or [1] * len(heads)
    training = look_up(model, "train_cfg.rcnn")
    overlaps = [look_up(one, "assigner.pos_iou_thr") for one in training] if isinstance(training, list) else []
    if None in deviations or len(overlaps) != len(heads) or len(weights) != len(heads) or None in overlaps:
        return {}
    stages = [
        {"positive_iou": overlap, "delta_weights": [1 / value for value in deviation], "loss_weight": weight}
        for overlap, deviation, weight in zip(overlaps, deviations, weights, strict=True)
    ]
    return {"stages": stages}


def _beta(loss: Any) -> float | None:
    """Where a loss turns linear; None for a loss that is not smooth L1."""
    if look_up(loss, "type") == "L1Loss":
        return 0.0
    return look_up(loss, "beta") if look_up(loss, "type") == "SmoothL1Loss" else None
