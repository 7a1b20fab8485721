"""What a fixture's peer was told and its checkpoint cannot say: picture size, limits, samples, and the like."""

from __future__ import annotations

from typing import Any

from maskrcnn.config import ModelSettings


def set_limits(settings: ModelSettings, meta: dict[str, Any]) -> None:
    """Bring the settings that were read from a checkpoint to those of the fixture, in place."""
    {"torchvision": _torchvision, "detectron2": _detectron2, "mmdet": _mmdetection}[meta["peer"]](settings, meta)


def _torchvision(settings: ModelSettings, meta: dict[str, Any]) -> None:
    given = meta["config"]["constructor"]
    settings.input.shorter, settings.input.longer = given["min_size"], given["max_size"]
    rpn, box_head = settings.rpn, settings.box_head
    rpn.candidates, rpn.proposals = given["rpn_pre_nms_top_n_test"], given["rpn_post_nms_top_n_test"]
    rpn.candidates_training = given["rpn_pre_nms_top_n_train"]
    rpn.proposals_training = given["rpn_post_nms_top_n_train"]
    rpn.samples, rpn.positive_fraction = given["rpn_batch_size_per_image"], given["rpn_positive_fraction"]
    box_head.samples, box_head.positive_fraction = given["box_batch_size_per_image"], given["box_positive_fraction"]
    box_head.detections, box_head.score_threshold = given["box_detections_per_img"], given["box_score_thresh"]


def _detectron2(settings: ModelSettings, meta: dict[str, Any]) -> None:
    given = meta["config"]
    rpn, heads = given.get("rpn", given), given.get("roi_heads", given)
    settings.input.shorter, settings.input.longer = given["short_edge"], given["max_size"]
    settings.backbone.stride_in_1x1 = given["stride_in_1x1"]
    _set_pixels(settings, given["pixel_mean"], given["pixel_std"], given["colour"].lower())
    settings.rpn.candidates = settings.rpn.candidates_training = rpn["pre_nms_topk"]
    settings.rpn.proposals = settings.rpn.proposals_training = rpn["post_nms_topk"]
    settings.rpn.positive_fraction, settings.box_head.positive_fraction = 0.5, heads.get("positive_fraction", 0.5)
    losses = meta.get("losses", {})
    settings.rpn.samples = losses.get("rpn_batch_size_per_image", settings.rpn.samples)
    settings.box_head.samples = losses.get("roi_batch_size_per_image", settings.box_head.samples)
    settings.box_head.score_threshold = heads["score_thresh"]
    settings.box_head.detections = given["detections_per_image"]
    settings.box_head.smooth_l1_beta = given.get("box_head", {}).get("smooth_l1_beta", settings.box_head.smooth_l1_beta)
    if "panoptic" in given:
        settings.panoptic.overlap = given["panoptic"]["overlap"]
        settings.panoptic.stuff_area = given["panoptic"]["stuff_area"]
        settings.panoptic.score_threshold = given["panoptic"]["confidence"]


def _mmdetection(settings: ModelSettings, meta: dict[str, Any]) -> None:
    given, training = meta["config"], meta["config"]["model"].get("train_cfg")
    settings.input.shorter, settings.input.longer = given["short_edge"], given["max_size"]
    if training:
        first = training["rcnn"][0] if isinstance(training["rcnn"], list) else training["rcnn"]
        settings.box_head.positive_fraction = first["sampler"]["pos_fraction"]


def _set_pixels(settings: ModelSettings, mean: list[float], deviation: list[float], colours: str) -> None:
    """How pixels of 0..255 are scaled, given in the order in which the network sees the channels."""
    order = 1 if colours == "rgb" else -1
    scaled = {
        "mean": tuple(value / 255 for value in mean[::order]),
        "deviation": tuple(value / 255 for value in deviation[::order]),
    }
    settings.input = settings.input.model_copy(update={**scaled, "colours": colours})


def file_notes(meta: dict[str, Any]) -> dict[str, str] | None:
    """What a published file of the peer says beside its tensors: mmdetection's the text of the configuration."""
    return {"cfg": f"model = {meta['config']['model']!r}"} if meta["peer"] == "mmdet" else None
