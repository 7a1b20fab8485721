"""Same checkpoint, same image: what each peer recorded at every stage comes out here too.

Every folder of fixtures is tested, also one that is put there later.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from maskrcnn.data.preprocessing import make_batch, prepare_image
from maskrcnn.model.build import build_model
from maskrcnn.model.heads import cascade
from maskrcnn.model.heads.box_targets import BoxTargets, box_targets
from maskrcnn.model.heads.semantic import semantic_predictions
from maskrcnn.model.mask_rcnn import MaskRCNN
from maskrcnn.model.roi_pooling import RoIPooling
from maskrcnn.ops.boxes import scale_boxes, scale_points
from maskrcnn.structures.batch import Batch
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.masks import Crop, MaskCrops
from maskrcnn.weights.own import apply_weights
from maskrcnn.weights.reading import understand

from .fixtures import TOLERANCE, Fixture, assert_close, assert_sampled, fixture_names, load_fixture, unpack
from .limits import file_notes, set_limits

LOSSES = {
    "torchvision": {
        "loss_classifier": "classes",
        "loss_box_reg": "boxes",
        "loss_mask": "masks",
        "loss_keypoint": "keypoints",
        "loss_objectness": "rpn_objectness",
        "loss_rpn_box_reg": "rpn_boxes",
    },
    "detectron2": {
        "loss_cls": "classes",
        "loss_box_reg": "boxes",
        "loss_mask": "masks",
        "loss_keypoint": "keypoints",
        "loss_rpn_cls": "rpn_objectness",
        "loss_rpn_loc": "rpn_boxes",
        "loss_sem_seg": "semantic",
    },
    "mmdet": {
        "loss_cls": "classes",
        "loss_bbox": "boxes",
        "loss_mask": "masks",
        "loss_rpn_cls": "rpn_objectness",
        "loss_rpn_bbox": "rpn_boxes",
        "loss_seg": "semantic",
    },
}
MMDET_VOID, MMDET_INSTANCE = 133, 1000
SINGLE = 2e-7
"""Tolerance of what a peer adds up in float32: detectron2's and mmdetection's objectness, whose labels are float32."""


class Record:
    """What passes between the parts of a model while it predicts, computed once and kept for all tests."""

    def __init__(self, model: MaskRCNN) -> None:
        self.outputs: dict[str, Any] = {}
        self.model = model

    def predict(self, batch: Batch) -> Instances:
        """Objects of the one image of a batch."""
        parts = {"body": self.model.backbone, "features": self.model.neck, "rpn": self.model.rpn}
        parts |= {f"box{i}": head for i, head in enumerate(self.model.box_head)}
        parts |= {f"mask{i}": head for i, head in enumerate(self.model.mask_heads)}
        parts |= {"keypoints": self.model.keypoint_head, "semantic": self.model.semantic_head}
        hooks = [
            part.register_forward_hook(lambda _, __, output, name=name: self.outputs.update({name: output}))
            for name, part in parts.items()
            if part is not None
        ]
        with pytest.MonkeyPatch.context() as patch:
            kept = [(self.model, name) for name in ("propose", "detect", "predict_keypoints")]
            for owner, name in [*kept, (RoIPooling, "pool")]:
                patch.setattr(owner, name, self._keep_first(name, getattr(owner, name)))
            found = self.model.predict(batch)[0]
        for hook in hooks:
            hook.remove()
        return found

    def _keep_first(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def keeping(*arguments: Any) -> Any:
            result = function(*arguments)
            self.outputs.setdefault(name, result)
            return result

        return keeping


@dataclass
class Run:
    """One fixture, the model that was read from its checkpoint, and what it predicted in float64."""

    fixture: Fixture
    model: MaskRCNN
    batch: Batch
    outputs: dict[str, Any]
    objects: Instances

    @property
    def expected(self) -> dict[str, np.ndarray]:
        return self.fixture.expected

    @property
    def peer(self) -> str:
        return self.fixture.meta["peer"]

    @property
    def first_label(self) -> int:
        """The peer's number of the class that is 0 here."""
        return 1 if self.peer == "torchvision" else 0


@pytest.fixture(scope="module", params=fixture_names())
def run(request) -> Run:
    fixture = load_fixture(request.param)
    weights = understand(fixture.state, fixture.name, file_notes(fixture.meta))
    set_limits(weights.settings, fixture.meta)
    model = build_model(weights.settings, len(weights.classes), keypoints=weights.classes.keypoint_count)
    apply_weights(model, weights.state, source=fixture.name)
    record = Record(model.double().eval())
    batch = make_input(fixture, model, torch.float64)
    return Run(fixture, model, batch, record.outputs, record.predict(batch))


def make_input(fixture: Fixture, model: MaskRCNN, dtype: torch.dtype) -> Batch:
    settings = model.settings.input
    image = prepare_image(fixture.image, settings, dtype=dtype)
    return make_batch([image], [tuple(fixture.image.shape[-2:])], size_divisible=settings.size_divisible)


def test_network_input_agrees(run: Run):
    expected, image = run.expected, run.batch.images[0]
    assert tuple(image.shape) == tuple(expected["input.shape"])
    assert run.batch.sizes[0] == tuple(expected["input.size"])
    assert_close(image.sum() / image.numel(), expected["input.sum"] / image.numel(), "mean of the input")
    assert_close(image.abs().sum() / image.numel(), expected["input.abs_sum"] / image.numel(), "mean magnitude")
    h, w = run.batch.sizes[0]
    assert_close(image[:, :4, :4], expected["input.topleft"], "top left")
    assert_close(image[:, h // 2 : h // 2 + 4, w // 2 : w // 2 + 4], expected["input.centre"], "center")
    assert_close(image[:, h - 4 : h, w - 4 : w], expected["input.end"], "end")


def test_features_of_every_level_agree(run: Run):
    recorded = [key.split(".")[1] for key in run.expected if key.startswith("feature.") and key.endswith(".mean")]
    maps = {name: run.outputs["body"][int(name[1:])] for name in recorded if name.startswith("c")}
    after_neck = [name for name in recorded if not name.startswith("c")]
    if after_neck:
        maps |= dict(zip(after_neck, run.outputs["features"].values(), strict=True))
    for name, map in maps.items():
        assert_sampled(map[0], run.expected, f"feature.{name}")
        assert_close(map[0].mean(), run.expected[f"feature.{name}.mean"], f"{name} mean")
        assert_close(map[0].std(correction=0), run.expected[f"feature.{name}.std"], f"{name} deviation")


def test_raw_outputs_of_the_proposal_network_agree(run: Run):
    logits, deltas = run.outputs["rpn"]
    for i, map in enumerate(run.outputs["features"].values()):
        height, width = map.shape[-2:]
        grid = logits[i][0].view(height, width, -1).permute(2, 0, 1)
        assert_sampled(grid, run.expected, f"rpn.logits.{i}")
        grid = deltas[i][0].view(height, width, -1).permute(2, 0, 1)
        assert_sampled(grid, run.expected, f"rpn.deltas.{i}")


def test_proposals_agree_in_order(run: Run):
    boxes, scores = run.outputs["propose"]
    assert_close(boxes[0], run.expected["proposals"], "proposals")
    assert_close(scores[0], run.expected["proposal_scores"], "proposal_scores")


def test_pooled_features_agree(run: Run):
    assert_sampled(run.outputs["pool"].permute(0, 3, 1, 2).contiguous(), run.expected, "box.pooled")


def test_box_head_agree(run: Run):
    alone = len(run.model.box_head) == 1
    for i in range(len(run.model.box_head)):
        suffix = "" if alone else f".stage{i}"
        logits, deltas = run.outputs[f"box{i}"]
        recorded = run.expected[f"box.logits{suffix}"]
        expected = run.expected[f"box.deltas{suffix}"]
        expected = expected.reshape(len(expected), -1, 4)
        if run.peer == "torchvision":
            # torchvision also predicts a box for the background, which nothing ever reads.
            logits, expected = logits.roll(1, dims=1), expected[:, 1:]
        assert_close(logits[: len(recorded)], recorded, f"box.logits{suffix}")
        assert_close(deltas[: len(expected)], expected, f"box.deltas{suffix}")


def test_detections_agree(run: Run):
    assert_close(run.objects.boxes, run.expected["det.boxes"], "det.boxes")
    assert_close(run.objects.scores, run.expected["det.scores"], "det.scores")
    assert (run.objects.labels.numpy() + run.first_label == run.expected["det.labels"]).all()
    if "det.boxes_network" in run.expected:
        assert_close(run.outputs["detect"][0][0], run.expected["det.boxes_network"], "det.boxes_network")


def test_masks_agree(run: Run):
    expected = run.expected
    if "pasted.bits" not in expected:
        assert run.objects.masks is None
        return
    for i in range(len(run.model.mask_heads)):
        key = "mask.logits" if len(run.model.mask_heads) == 1 else f"mask.logits.stage{i}"
        assert_close(run.outputs[f"mask{i}"][: len(expected[key]), 0], expected[key], key)
    if "mask.probs_check" in expected:
        checked = run.objects.masks.probabilities[: len(expected["mask.probs_check"])]
        means = expected["mask.probs_check"] / checked[0].numel()
        assert_close(checked.mean(dim=(1, 2)), means, "probs_check")
    recorded = unpack(expected, "pasted")
    pasted = np.stack([run.objects.masks.bitmap(i) for i in range(len(recorded))])
    assert (pasted == recorded).all()
    if "pasted.soft.shape" in expected:
        soft = torch.zeros(tuple(expected["pasted.soft.shape"]), dtype=torch.float64)
        for i in range(len(soft)):
            x, y, window = run.objects.masks.soft_crop(i)
            soft[i, y : y + window.shape[0], x : x + window.shape[1]] = torch.from_numpy(window)
        assert_sampled(soft, expected, "pasted.soft")


def test_keypoints_agree(run: Run):
    expected = run.expected
    if "keypoints" not in expected:
        assert run.objects.keypoints is None
        return
    assert_sampled(run.outputs["keypoints"], expected, "keypoint.logits")
    points = run.objects.keypoints
    assert_close(points[..., :2], expected["keypoints"][..., :2], "keypoints")
    scores = expected.get("keypoint_scores", expected["keypoints"][..., 2])
    assert_close(points[..., 2], scores, "scores of keypoints")
    found, size = run.outputs["predict_keypoints"][0], run.batch.sizes[0]
    assert_close(found[..., :2], expected["keypoints_network"][..., :2], "keypoints_network")
    assert_close(scale_points(found[..., :2], size, run.objects.size), points[..., :2].numpy(), "rescaled")


def test_panoptic_maps_agree(run: Run):
    expected = run.expected
    if "panoptic.map" not in expected:
        assert run.objects.panoptic is None
        return
    panoptic = run.objects.panoptic
    ours = panoptic.map.numpy().astype(np.int64)
    things = run.model.classes
    if run.peer == "mmdet":
        table = np.full(len(panoptic.segments) + 1, MMDET_VOID)
        count = 0
        for segment in panoptic.segments:
            count += segment.is_thing
            label = segment.label + MMDET_INSTANCE * count if segment.is_thing else segment.label + things
            table[segment.id] = label
        ours = table[ours]
    else:
        rows = [
            (s.id, s.is_thing, s.label if s.is_thing else s.label + 1, s.instance if s.is_thing else -1)
            for s in panoptic.segments
        ]
        assert rows == [tuple(row[:4]) for row in expected["panoptic.segments"].tolist()]
        areas = [-1 if s.is_thing else s.area for s in panoptic.segments]
        assert areas == expected["panoptic.segments"][:, 4].tolist()
    assert (ours == expected["panoptic.map"]).all()


def test_pixel_classes_agree(run: Run):
    expected = run.expected
    if "sem.logits.shape" not in expected:
        assert "semantic" not in run.outputs
        return
    logits, size = run.outputs["semantic"][0], run.batch.sizes[0]
    padded = tuple(run.batch.images.shape[-2:])
    assert_sampled(semantic_predictions(logits, size, run.objects.size, padded), expected, "sem.logits")
    if "sem.logits_network.shape" in expected:
        assert_sampled(semantic_predictions(logits, padded, padded, padded), expected, "sem.logits_network")


def test_losses_agree(run: Run):
    names, recorded = LOSSES[run.peer], recorded_losses(run.expected)
    if not recorded:
        return
    batch = replace(run.batch, targets=[make_targets(run)])
    chosen: list[BoxTargets] = []
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            cascade, "box_targets", lambda *args, **words: chosen.append(box_targets(*args, **words)) or chosen[-1]
        )
        losses = run.model(batch)
    assert set(losses) == {names[name] for name in recorded}
    for name, value in recorded.items():
        if names[name] == "rpn_objectness" and (spread := drawn_objectness(run, batch.targets[0])):
            for one in (losses["rpn_objectness"].item(), value):
                assert abs(one - spread.mean) < 5 * spread.std, f"{name}: {one}, expected {spread}"
        else:
            assert_close(losses[names[name]], value, name, SINGLE if name == "loss_rpn_cls" else TOLERANCE)
    if "loss_count.rois" in run.expected:
        assert len(chosen[0].labels) == run.expected["loss_count.rois"]
        assert len(chosen[0].matches) == run.expected["loss_count.positive_rois"]


class Spread(NamedTuple):
    """Distribution of a loss that depends on a random choice."""

    mean: float
    std: float


def drawn_objectness(run: Run, target: Instances) -> Spread | None:
    """The objectness loss where an image has more background anchors than samples, so that some are drawn at random.

    None where there are enough samples for all: then nothing is random.
    """
    settings = run.model.rpn.settings
    logits = torch.cat(run.outputs["rpn"][0], dim=1)[0]
    anchors = torch.cat(
        run.model.rpn.anchors(run.outputs["features"], tuple(run.batch.images.shape[-2:]), torch.float64)
    )
    everything = settings.model_copy(update={"batch_size_per_image": len(anchors), "positive_fraction": 1.0})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run.model.rpn, "settings", everything)
        objects, background, _ = run.model.rpn.choose_anchors(anchors, [target.boxes])
    drawn = settings.batch_size_per_image - len(objects)
    if drawn >= len(background):
        return None
    losses = F.softplus(logits[background])
    mean = (F.softplus(-logits[objects]).sum() + drawn * losses.mean()) / settings.batch_size_per_image
    left_out = 1 - drawn / len(background)
    return Spread(mean.item(), (losses.std() * (drawn * left_out) ** 0.5 / settings.batch_size_per_image).item())


def recorded_losses(expected: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The peer's losses by name, those of a cascade's stages (`loss_cls_stage1`, `s1.loss_cls`) added up."""
    losses: dict[str, np.ndarray] = {}
    for key in expected:
        if key.startswith("loss."):
            name = re.sub(r"^s\d\.|_stage\d$", "", key.removeprefix("loss."))
            losses[name] = losses.get(name, 0) + expected[key]
    return losses


def make_targets(run: Run) -> Instances:
    """The annotated objects of the fixture in network coordinates."""
    expected, size, image_size = run.expected, run.batch.sizes[0], run.batch.image_sizes[0]
    boxes = torch.from_numpy(expected["gt.boxes"]).double()
    labels = torch.from_numpy(expected["gt.labels"]).long() - run.first_label
    masks = keypoints = None
    if "gt.keypoints" in expected:
        keypoints = torch.from_numpy(expected["gt.keypoints"]).double()
    if "gt.polygons" in expected:
        masks = polygon_masks(expected["gt.polygons"], size)
    elif "gt.masks.bits" in expected:
        bitmaps = unpack(expected, "gt.masks")
        masks = resized_masks(bitmaps, size) if run.peer == "torchvision" else packed_masks(bitmaps, size)
    if run.peer == "torchvision":
        boxes = scale_boxes(boxes, image_size, size)
        if keypoints is not None:
            keypoints[..., :2] = scale_points(keypoints[..., :2], image_size, size)
    return Instances(size=size, boxes=boxes, labels=labels, masks=masks, keypoints=keypoints)


def test_float32_agrees_with_the_unmodified_peer(run: Run):
    run.model.float()
    try:
        found = run.model.predict(make_input(run.fixture, run.model, torch.float32))[0]
    finally:
        run.model.double()
    expected, loose = run.expected, "mobilenet" in run.fixture.name
    assert (found.labels.numpy() + run.first_label == expected["plain32.labels"]).all()
    assert np.abs(found.boxes.numpy() - expected["plain32.boxes"]).max() < (1e-2 if loose else 2e-3)
    assert np.abs(found.scores.numpy() - expected["plain32.scores"]).max() < (2e-4 if loose else 1e-4)
    if "plain32.keypoints" in expected:
        assert np.abs(found.keypoints[..., :2].numpy() - expected["plain32.keypoints"][..., :2]).max() < 2e-3


def resized_masks(bitmaps: np.ndarray, size: tuple[int, int]) -> MaskCrops:
    """torchvision brings annotated masks to the network's size by nearest neighbor."""
    resized = F.interpolate(torch.from_numpy(bitmaps)[:, None].float(), size=size)[:, 0]
    return packed_masks(resized.bool().numpy(), size)


def packed_masks(bitmaps: np.ndarray, size: tuple[int, int]) -> MaskCrops:
    return MaskCrops.of([Crop(0, 0, bitmap) for bitmap in bitmaps], size)


def polygon_masks(polygons: np.ndarray, size: tuple[int, int]) -> MaskCrops:
    """Masks [N, P, 2] of which the polygons alone are used."""
    nothing = [Crop(0, 0, np.zeros((0, 0), dtype=bool))] * len(polygons)
    return MaskCrops.of(nothing, size, tuple((polygon,) for polygon in polygons))
