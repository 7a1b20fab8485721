"""The configuration that mmdetection's files hold as text, as settings; nothing in it is executed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from .structure import Tree, merge

_CONVOLUTIONS = ("Conv", "Conv2d")
# Kinds of parts that leave no trace in the names of tensors, and those of them that are known here.
KNOWN_KINDS: dict[str, tuple[str, ...]] = {
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


def read_config(meta: Mapping[str, Any]) -> Tree:
    """Settings that the configuration in a file's `meta` tells; none if it holds none, or it cannot be read.

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
        f"{path}={value}"
        for path, known in KNOWN_KINDS.items()
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

    Assignments of anything else are left out, and so is a text that is no Python.
    """
    try:
        statements = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    values: dict[str, Any] = {}
    for line in statements:
        if isinstance(line, ast.Assign) and len(line.targets) == 1 and isinstance(line.targets[0], ast.Name):
            try:
                values[line.targets[0].id] = _value(line.value, values)
            except (ValueError, TypeError, RecursionError):
                continue
    return values


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
        anchors = {"sizes": [[scale * stride for scale in scales] for stride in strides], "ratios": ratios}
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
