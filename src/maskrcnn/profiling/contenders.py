"""torchvision's models with random weights that keep them busy, and the same weights for ours."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, NamedTuple

import torch
from faster_coco_eval.core import mask as coco_mask
from torch import Tensor, nn
from torchvision.models.detection import KeypointRCNN, MaskRCNN, maskrcnn_resnet50_fpn_v2
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from ..config import RunSettings
from ..data.preprocessing import make_batch, prepare_image
from ..model.build import build_model
from ..ops.devices import Precision, autocast, bfloat16_is_fast, keep_freed_memory
from ..predict.predictor import Engine, Predictor
from ..structures.instances import Instances
from ..structures.masks import to_rle
from ..training.optimizer import build_optimizer, set_learning_rate
from ..weights.own import Weights
from ..weights.reading import understand
from .works import OBJECTS, Work, make_image, make_objects, whole_masks

CLASSES = 90
# Standard deviations given to the random network's outputs, for proposals and detections that are many and differ.
DEVIATIONS = {
    "rpn.head.cls_logits": 1.5,
    "rpn.head.bbox_pred": 0.2,
    "roi_heads.box_predictor.cls_score": 2.0,
    "roi_heads.box_predictor.bbox_pred": 0.5,
    "roi_heads.mask_predictor.mask_fcn_logits": 2.0,
    "roi_heads.keypoint_predictor.kps_score_lowres": 2.0,
}
TAMED_AT = (256, 384)
"""Size of the image on which the outputs get these deviations; on others they have nearly the same."""
EPSILON = 1e-5
"""Of torchvision's norms where its weights are not downloaded ones."""


def _mask_rcnn(backbone: str) -> Callable[..., nn.Module]:
    """With frozen norms, and stem and first stage frozen, as with published weights; by `weights=None` nothing is."""
    return lambda **how: MaskRCNN(_backbone(backbone), CLASSES + 1, **how)


def _backbone(backbone: str) -> nn.Module:
    return resnet_fpn_backbone(backbone_name=backbone, weights=None, trainable_layers=3)


def _second_version(**how: Any) -> nn.Module:
    return maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, num_classes=CLASSES + 1, **how)


BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "R18-FPN": _mask_rcnn("resnet18"),
    "R50-FPN": _mask_rcnn("resnet50"),
    "R101-FPN": _mask_rcnn("resnet101"),
    "R50-FPN-v2": _second_version,
    "Keypoint-R50-FPN": lambda **how: KeypointRCNN(_backbone("resnet50"), 2, **how),
}


def build_peer(work: Work, state: Mapping[str, Tensor]) -> nn.Module:
    """The model of torchvision for a work, ready to predict."""
    most = {} if work.most is None else {"box_detections_per_img": work.most}
    peer = _random_peer(work.model, work.size, **most)
    peer.load_state_dict(state)
    return peer


def _random_peer(model: str, size: tuple[int, int], **how: Any) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about trainable layers, which are as they have to be
        return BUILDERS[model](min_size=min(size), max_size=max(size), **how).eval()


def make_weights(model: str) -> dict[str, Tensor]:
    """Random weights under torchvision's names, with which a model finds as much as it may.

    Args:
        model: A name of `BUILDERS`.
    """
    torch.manual_seed(0)
    peer = _random_peer(model, TAMED_AT)
    layers = dict(peer.named_modules())
    hooks = [
        layers[name].register_forward_hook(_taming(deviation))
        for name, deviation in DEVIATIONS.items()
        if name in layers
    ]
    with torch.no_grad():
        peer([make_image(TAMED_AT) / 255])
    for hook in hooks:
        hook.remove()
    return peer.state_dict()


def _taming(deviation: float) -> Callable[[Any, tuple, Tensor], Tensor]:
    """Scale a last layer, when it first runs, to outputs of mean 0 in each channel and the given deviation."""
    done: list[Tensor] = []

    def tame(layer: Any, inputs: tuple, output: Tensor) -> Tensor:
        if not done:
            factor = deviation / output.std()
            mean = output.transpose(0, 1).flatten(1).mean(dim=1)
            layer.weight.mul_(factor)
            layer.bias.copy_((layer.bias - mean) * factor)
            done.append(factor)
        return layer.forward(*inputs)

    return tame


def our_weights(work: Work, state: Mapping[str, Tensor]) -> Weights:
    """The same weights for our model, with settings that make it do the same work."""
    weights = understand(state, "torchvision")
    settings = weights.settings
    settings.backbone.norm_epsilon = EPSILON
    settings.input.min_size, settings.input.max_size = min(work.size), max(work.size)
    if work.most is not None:
        settings.box_head.detections_per_image = work.most
    return weights


class Setting(NamedTuple):
    """How this library is asked to do the work."""

    precision: Precision
    engine: Engine = "torch"


State = Mapping[str, Tensor]
Run = Callable[[], int]
"""Does the work once and returns the number of objects that it found, or was trained on."""

PEER, TUNED_PEER = "torchvision", "torchvision, tuned allocator"
PEERS = (PEER, TUNED_PEER)
DEFAULT, OPENVINO = "default", "openvino"
SETTINGS = {"float32": Setting("float32"), DEFAULT: Setting("auto"), OPENVINO: Setting("auto", "openvino")}
PRODUCTS = "matrix products"
"""Square matrix products in the precision of our default, as a measure of what the machine can do."""
SIDE, REPEATS = 2048, 5
PRODUCT_FLOPS = 2 * SIDE**3 * REPEATS
"""Floating point operations of one run of them."""


def is_installed(name: str) -> bool:
    """Whether a contender has what it needs; OpenVINO is an extra."""
    return name != OPENVINO or find_spec("openvino") is not None


def can_do(name: str, work: Work) -> bool:
    """Whether a contender is for a work; OpenVINO does not train."""
    return name != OPENVINO or work.task != "training"


def make_run(work: Work, name: str, state: State) -> Run:
    """What does a work once.

    Args:
        work: The work.
        name: One of `PEERS`, of `SETTINGS`, or `PRODUCTS`, which is installed and for this work.
        state: Of `make_weights`.
    """
    if name == PRODUCTS:
        return _products()
    if name in SETTINGS:
        setting = SETTINGS[name]
        if work.task == "training":
            return our_step(work, state, setting.precision)
        return our_prediction(work, state, setting)
    if name not in PEERS:
        raise ValueError(f"no contender is called {name!r}")
    if name == TUNED_PEER:
        keep_freed_memory()
    return peer_step(work, state) if work.task == "training" else peer_prediction(work, state)


def _products() -> Run:
    dtype = torch.bfloat16 if bfloat16_is_fast(torch.device("cpu")) else torch.float32
    first, second = (torch.randn(SIDE, SIDE).to(dtype) for _ in range(2))

    def run() -> int:
        for _ in range(REPEATS):
            first @ second
        return 0

    return run


def peer_prediction(work: Work, state: State) -> Run:
    """The prediction of torchvision, with masks in the form that the work asks for."""
    model = build_peer(work, state)
    image = make_image(work.size)

    def run() -> int:
        with torch.no_grad():
            found = model([image / 255] * work.images)
        if work.task == "keypoints":
            return sum(len(one["keypoints"]) for one in found)
        masks = [one["masks"][:, 0] > 0.5 for one in found]
        return sum(len(encode_whole(one) if work.task == "RLE" else one) for one in masks)

    return run


def encode_whole(masks: Tensor) -> list[dict]:
    """COCO RLE of [N, H, W] truth values."""
    columns = masks.transpose(1, 2).contiguous().view(torch.uint8).cpu().numpy()
    return coco_mask.encode(columns.transpose(2, 1, 0))


def our_prediction(work: Work, state: State, setting: Setting) -> Run:
    """This library's, with masks in the form that the work asks for."""
    weights = our_weights(work, state)
    predictor = Predictor(weights, device="cpu", precision=setting.precision, engine=setting.engine)
    images = [make_image(work.size)] * work.images

    def run() -> int:
        found = predictor.predict_all(images, batch_size=work.images)
        return sum(count_delivered(work, one) for one in found)

    return run


def count_delivered(work: Work, found: Instances) -> int:
    """Make the masks of one image [N, H, W] truth values or COCO RLE; gives the number of objects."""
    if work.task == "pixels" and found.masks is not None:
        return len(whole_masks(found))
    if work.task == "RLE" and found.masks is not None:
        return len(to_rle(found.masks))
    return len(found)


def peer_step(work: Work, state: State) -> Run:
    """The training step of torchvision."""
    model = build_peer(work, state).train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-5, momentum=0.9)
    objects, image = make_objects(work.size, CLASSES), make_image(work.size)
    target = {"boxes": objects.boxes, "labels": objects.labels + 1, "masks": whole_masks(objects).to(torch.uint8)}

    def run() -> int:
        losses = model([image / 255] * work.images, [dict(target) for _ in range(work.images)])
        sum(losses.values()).backward()
        optimizer.step()
        optimizer.zero_grad()
        return OBJECTS * work.images

    return run


def our_step(work: Work, state: State, precision: Precision) -> Run:
    """This library's, as `train.loop` makes it."""
    keep_freed_memory()
    weights = our_weights(work, state)
    model = build_model(weights.settings, CLASSES).train()
    model.load_state_dict(weights.state)
    settings = RunSettings.of(weights.settings)
    optimizer = build_optimizer(model, settings.train)
    set_learning_rate(optimizer, 0, steps=100_000, settings=settings)
    inputs, sizes = weights.settings.input, [work.size] * work.images
    objects, image = make_objects(work.size, CLASSES), make_image(work.size)

    def run() -> int:
        images = [prepare_image(image, inputs) for _ in sizes]
        batch = make_batch(images, sizes, size_divisible=inputs.size_divisible, targets=[objects] * work.images)
        with autocast(precision, torch.device("cpu")):
            losses = model(batch)
        torch.stack([value.float() for value in losses.values()]).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        return OBJECTS * work.images

    return run
