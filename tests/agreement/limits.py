"""What a fixture's peer was given and its checkpoint does not hold: image size, limits, samples, and the like."""

from __future__ import annotations

from typing import Any

from maskrcnn.config import ModelSettings


def set_limits(settings: ModelSettings, meta: dict[str, Any]) -> None:
    """Bring the settings that were read from a checkpoint to those of the fixture, in place."""
    {"torchvision": _torchvision, "detectron2": _detectron2, "mmdet": _mmdetection}[meta["peer"]](settings, meta)


def _torchvision(settings: ModelSettings, meta: dict[str, Any]) -> None:
    given = meta["config"]["constructor"]
    settings.input.min_size, settings.input.max_size = given["min_size"], given["max_size"]
    rpn, box_head = settings.rpn, settings.box_head
    rpn.pre_nms_top_n, rpn.post_nms_top_n = given["rpn_pre_nms_top_n_test"], given["rpn_post_nms_top_n_test"]
    rpn.pre_nms_top_n_training = given["rpn_pre_nms_top_n_train"]
    rpn.post_nms_top_n_training = given["rpn_post_nms_top_n_train"]
    rpn.batch_size_per_image, rpn.positive_fraction = given["rpn_batch_size_per_image"], given["rpn_positive_fraction"]
    box_head.batch_size_per_image, box_head.positive_fraction = (
        given["box_batch_size_per_image"],
        given["box_positive_fraction"],
    )
    box_head.detections_per_image, box_head.score_threshold = given["box_detections_per_img"], given["box_score_thresh"]


def _detectron2(settings: ModelSettings, meta: dict[str, Any]) -> None:
    given = meta["config"]
    rpn, heads = given.get("rpn", given), given.get("roi_heads", given)
    settings.input.min_size, settings.input.max_size = given["short_edge"], given["max_size"]
    settings.backbone.stride_in_1x1 = given["stride_in_1x1"]
    _set_pixels(settings, given["pixel_mean"], given["pixel_std"], given["colour"].lower())
    settings.rpn.pre_nms_top_n = settings.rpn.pre_nms_top_n_training = rpn["pre_nms_topk"]
    settings.rpn.post_nms_top_n = settings.rpn.post_nms_top_n_training = rpn["post_nms_topk"]
    settings.rpn.positive_fraction, settings.box_head.positive_fraction = 0.5, heads.get("positive_fraction", 0.5)
    losses = meta.get("losses", {})
    settings.rpn.batch_size_per_image = losses.get("rpn_batch_size_per_image", settings.rpn.batch_size_per_image)
    settings.box_head.batch_size_per_image = losses.get(
        "roi_batch_size_per_image", settings.box_head.batch_size_per_image
    )
    settings.box_head.score_threshold = heads["score_thresh"]
    settings.box_head.detections_per_image = given["detections_per_image"]
    settings.box_head.smooth_l1_beta = given.get("box_head", {}).get("smooth_l1_beta", settings.box_head.smooth_l1_beta)
    if "panoptic" in given:
        settings.panoptic.overlap_threshold = given["panoptic"]["overlap"]
        settings.panoptic.stuff_area_limit = given["panoptic"]["stuff_area"]
        settings.panoptic.score_threshold = given["panoptic"]["confidence"]


def _mmdetection(settings: ModelSettings, meta: dict[str, Any]) -> None:
    given, training = meta["config"], meta["config"]["model"].get("train_cfg")
    settings.input.min_size, settings.input.max_size = given["short_edge"], given["max_size"]
    if training:
        first = training["rcnn"][0] if isinstance(training["rcnn"], list) else training["rcnn"]
        settings.box_head.positive_fraction = first["sampler"]["pos_fraction"]


def _set_pixels(settings: ModelSettings, mean: list[float], deviation: list[float], colors: str) -> None:
    """How pixels of 0..255 are scaled, given in the order in which the network sees the channels."""
    order = 1 if colors == "rgb" else -1
    scaled = {
        "mean": tuple(value / 255 for value in mean[::order]),
        "std": tuple(value / 255 for value in deviation[::order]),
    }
    settings.input = settings.input.model_copy(update={**scaled, "channel_order": colors})


def file_notes(meta: dict[str, Any]) -> dict[str, str] | None:
    """What a published file of the peer says beside its tensors: mmdetection's the text of the configuration."""
    return {"cfg": f"model = {meta['config']['model']!r}"} if meta["peer"] == "mmdet" else None
