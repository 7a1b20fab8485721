"""Who is timed on a GPU: torchvision, and this library plain, compiled, and with CUDA graphs at the padded shape.

Everything before the number of boxes decides the shapes (backbone, neck and the RPN's convolutions) can be compiled or
captured; the rest runs as it always does.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from faster_coco_eval.core import mask as coco_mask
from torch import Tensor, nn

from maskrcnn.config import RunSettings
from maskrcnn.data.preprocessing import make_batch, prepare_image
from maskrcnn.model.build import build_model
from maskrcnn.model.mask_rcnn import MaskRCNN
from maskrcnn.model.rpn import RPN
from maskrcnn.ops.devices import autocast
from maskrcnn.predict.predictor import Predictor
from maskrcnn.profiling.contenders import CLASSES, build_peer, make_weights, our_weights
from maskrcnn.profiling.works import Work, make_image, make_objects, whole_masks
from maskrcnn.structures.batch import Batch, Scales
from maskrcnn.structures.masks import to_rle
from maskrcnn.training.optimizer import build_optimizer, set_learning_rate
from maskrcnn.weights.own import Weights

DEVICE = torch.device("cuda")
SIZE = (800, 1344)
WORK = Work("both", "R50-FPN", SIZE, 1, "pixels")
PEER, OURS = "torchvision", "maskrcnn"
PLAIN = "bfloat16"
VARIANTS = ("float32", PLAIN, f"{PLAIN}, compiled", f"{PLAIN}, CUDA graph", f"{PLAIN}, compiled, CUDA graph")
"""Of ours: a precision, and what is done to the part of fixed shapes."""
PREDICTION, RLE, TRAINING = "prediction", "prediction, RLE", "training step"
Run = Callable[[], object]
Outputs = tuple[dict[int, Tensor], tuple[list[Tensor], list[Tensor]]]
Part = Callable[[Tensor], Outputs]


class Contender(NamedTuple):
    """Who does which work; `make` gives what does it once."""

    work: str
    name: str
    make: Callable[[], Run]


class FixedPart(nn.Module):
    """Images to the levels' features and the RPN's logits and deltas."""

    def __init__(self, model: MaskRCNN, *, mixed: bool) -> None:
        super().__init__()
        self.backbone, self.neck, self.rpn = model.backbone, model.neck, model.rpn
        self.mixed = mixed

    def forward(self, images: Tensor) -> Outputs:
        # Within the part, so that no backward pass is captured under autocast; and a graph must not use its cache.
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.mixed, cache_enabled=False):
            features = self.neck(self.backbone(images))
            # As in the model: where the RPN learns from patches, its maps need no gradients.
            patches = self.rpn.patches_pay(features)
            with torch.set_grad_enabled(torch.is_grad_enabled() and not patches):
                return features, RPN.forward(self.rpn, features)


def put_in(model: MaskRCNN, part: Part) -> None:
    """Let a model take its features and the outputs of its RPN from `part`."""
    held: list[tuple[list[Tensor], list[Tensor]]] = []

    def features(images: Tensor) -> dict[int, Tensor]:
        maps, outputs = part(images)
        held[:] = [outputs]
        return maps

    model.features = features
    model.rpn.forward = lambda maps: held[0]


def once(make: Callable[[Tensor], Part]) -> Part:
    """A part that is made when the first images come, for images of their shape."""
    made: list[Part] = []

    def run(images: Tensor) -> Outputs:
        if not made:
            made.append(make(images))
        return made[0](images)

    return run


def capture(part: Part, images: Tensor) -> Part:
    """The part without gradients as one CUDA graph; what it gives lasts until its next run."""
    held, side = images.clone(), torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            part(held)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        outputs = part(held)

    def replay(images: Tensor) -> Outputs:
        held.copy_(images)
        graph.replay()
        return outputs

    return replay


class Setting(NamedTuple):
    """What all contenders share."""

    image: Tensor
    peer: nn.Module
    weights: Weights


@cache
def setting() -> Setting:
    state = make_weights(WORK.model)
    return Setting(make_image(SIZE), build_peer(WORK, state).to(DEVICE), our_weights(WORK, state))


def make_batches(count: int, *, targets: bool) -> Batch:
    image, _, weights = setting()
    inputs = weights.settings.input
    objects = [make_objects(SIZE, CLASSES) for _ in range(count)] if targets else None
    images = [prepare_image(image, inputs)] * count
    return make_batch(images, [SIZE] * count, size_divisible=inputs.size_divisible, targets=objects).to(DEVICE)


def peer_images(count: int) -> list[Tensor]:
    return [(setting().image / 255).to(DEVICE)] * count


def predictions(count: int) -> list[Contender]:
    """Boxes and masks as each gives them; and, of few images, masks as RLE."""

    def peer_masks(mixed: bool) -> Run:
        images, peer = peer_images(count), setting().peer

        def run() -> list[Tensor]:
            with torch.no_grad(), torch.autocast(DEVICE.type, torch.bfloat16, enabled=mixed):
                return [found["masks"][:, 0] > 0.5 for found in peer(images)]

        return run

    def peer_rle() -> Run:
        find = peer_masks(False)
        return lambda: [[coco_mask.encode(np.asfortranarray(one)) for one in masks.cpu().numpy()] for masks in find()]

    def ours(variant: str) -> Run:
        predictor, scales = our_predictor(variant), Scales((make_batches(count, targets=False),))
        return lambda: predictor.predict_scales(scales)

    def our_rle() -> Run:
        find = ours(PLAIN)
        return lambda: [to_rle(found.masks) for found in find()]

    found = [Contender(PREDICTION, f"{PEER} float32", lambda: peer_masks(False))]
    found += [Contender(PREDICTION, f"{PEER} bfloat16", lambda: peer_masks(True))]
    found += [Contender(PREDICTION, f"{OURS} {variant}", lambda variant=variant: ours(variant)) for variant in VARIANTS]
    if count <= 2:  # torchvision's encoding on the host takes seconds
        found += [Contender(RLE, f"{PEER} float32", peer_rle)]
        found += [Contender(RLE, f"{OURS} {PLAIN}", our_rle)]
    return found


def our_predictor(variant: str) -> Predictor:
    predictor = Predictor(setting().weights, device=DEVICE, precision=variant.split(",")[0])
    part = compiled_part() if "compiled" in variant else FixedPart(predictor.model, mixed=False)
    if "graph" in variant:
        put_in(predictor.model, once(lambda images: capture(part, images)))
    elif "compiled" in variant:
        put_in(predictor.model, part)
    return predictor


@cache
def compiled_part() -> Part:
    """Of prediction; compiled for its first batch, and once more for all others."""
    model = Predictor(setting().weights, device=DEVICE, precision=PLAIN).model
    return torch.compile(FixedPart(model, mixed=False))


def steps(count: int) -> list[Contender]:
    """Forward, backward and SGD."""

    def peer_step(mixed: bool) -> Run:
        train, images = peer_training(mixed), peer_images(count)
        objects = make_objects(SIZE, CLASSES)
        target = {"boxes": objects.boxes.to(DEVICE), "labels": objects.labels.to(DEVICE) + 1}
        targets = [target | {"masks": whole_masks(objects).to(DEVICE, torch.uint8)} for _ in range(count)]
        return lambda: train(images, targets)

    def our_step(variant: str) -> Run:
        training = compiled_training if "compiled" in variant else our_training
        train, batch = training(variant), make_batches(count, targets=True)
        return lambda: train(batch)

    found = [Contender(TRAINING, f"{PEER} float32", lambda: peer_step(False))]
    found += [Contender(TRAINING, f"{PEER} bfloat16", lambda: peer_step(True))]
    for variant in VARIANTS[:-1]:
        found += [Contender(TRAINING, f"{OURS} {variant}", lambda variant=variant: our_step(variant))]
    return found


@cache
def peer_training(mixed: bool) -> Callable[[list[Tensor], list[dict]], None]:
    model = copy.deepcopy(setting().peer).train()
    optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=1e-5, momentum=0.9)
    fill_momentum(optimizer)

    def run(images: list[Tensor], targets: list[dict]) -> None:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=mixed):
            losses = model(images, [dict(target) for target in targets])
        sum(losses.values()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return run


def our_training(variant: str) -> Callable[[Batch], None]:
    weights, precision = setting().weights, variant.split(",")[0]
    model = build_model(weights.settings, CLASSES).train()
    model.load_state_dict(weights.state)
    model.to(DEVICE, memory_format=torch.channels_last)
    settings = RunSettings.of(weights.settings)
    optimizer = build_optimizer(model, settings.train)
    set_learning_rate(optimizer, 0, steps=100_000, settings=settings)
    fill_momentum(optimizer)
    if "compiled" in variant:
        put_in(model, torch.compile(FixedPart(model, mixed=True)))
    elif "graph" in variant:
        put_in(model, once(lambda images: capture_training(model, images)))

    def run(batch: Batch) -> None:
        with autocast(precision, DEVICE):
            losses = model(batch)
        sum(losses.values()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return run


compiled_training = cache(our_training)


def fill_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Its memory is there from the start, and no part of what a step needs for itself."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def capture_training(model: MaskRCNN, images: Tensor) -> Part:
    """The part with its backward pass as CUDA graphs, in bfloat16."""
    with torch.autocast(DEVICE.type, enabled=False):
        return torch.cuda.make_graphed_callables(FixedPart(model, mixed=True), (images.clone(),))
