"""Prediction and a training step beside torchvision's `maskrcnn_resnet50_fpn`: same weights, same picture, same run.

Every contender lives in a process of its own, because memory settings hold for a whole process; their runs alternate,
so that all of them see the same moods of the machine. Prints a table of medians and ratios, and writes it to
`against_torchvision.md` beside this file.

    python benchmarks/against_torchvision.py [--rounds 7] [--threads 2]
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.detection import maskrcnn_resnet50_fpn
from torchvision.ops.misc import FrozenBatchNorm2d

from maskrcnn.config import RunSettings
from maskrcnn.data.inputs import make_batch, prepare_picture
from maskrcnn.data.shapes import draw_scene
from maskrcnn.model.build import build_model
from maskrcnn.ops.allocator import keep_freed_memory
from maskrcnn.ops.precision import autocast
from maskrcnn.predict.predictor import Predictor
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.masks import Crop, MaskCrops, to_rle
from maskrcnn.train.optimiser import build_optimiser, set_learning_rate
from maskrcnn.weights.files import Weights
from maskrcnn.weights.reading import understand

HEIGHT, WIDTH, CLASSES, OBJECTS, BATCH = 800, 1216, 90, 8, 2
# Wanted deviations of the random network's outputs: proposals and detections are then many and differ from one another.
DEVIATIONS = {
    "rpn.head.cls_logits": 1.5,
    "rpn.head.bbox_pred": 0.2,
    "roi_heads.box_predictor.cls_score": 2.0,
    "roi_heads.box_predictor.bbox_pred": 0.5,
    "roi_heads.mask_predictor.mask_fcn_logits": 2.0,
}
Run = Callable[[], object]


def make_picture() -> Tensor:
    """[3, 800, 1216] uint8."""
    scene = draw_scene(np.random.default_rng(0), WIDTH)
    return torch.from_numpy(scene.picture[:HEIGHT].copy()).permute(2, 0, 1).contiguous()


def make_peer(picture: Tensor) -> nn.Module:
    """Torchvision's model with frozen norms and random weights whose outputs keep it busy."""
    torch.manual_seed(0)
    model = maskrcnn_resnet50_fpn(weights=None, weights_backbone=None, num_classes=CLASSES + 1).eval()
    freeze_norms(model)
    for parameter in [*model.backbone.body.conv1.parameters(), *model.backbone.body.layer1.parameters()]:
        parameter.requires_grad_(False)
    hooks = [
        model.get_submodule(name).register_forward_hook(_taming(deviation)) for name, deviation in DEVIATIONS.items()
    ]
    with torch.no_grad():
        model([picture / 255])
    for hook in hooks:
        hook.remove()
    return model


def freeze_norms(module: nn.Module) -> None:
    """What torchvision does when it loads published weights; `weights=None` would leave norms to be trained."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features))
        freeze_norms(child)


def _taming(deviation: float) -> Callable[[nn.Module, tuple, Tensor], Tensor]:
    """Scale a last layer, when it first runs, to outputs of mean 0 in each channel and the wanted deviation."""
    done = []

    def tame(layer: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        if not done:
            factor = deviation / output.std()
            mean = output.transpose(0, 1).flatten(1).mean(dim=1)
            layer.weight.mul_(factor)
            layer.bias.copy_((layer.bias - mean) * factor)
            done.append(factor)
        return layer.forward(*inputs)

    return tame


def our_weights(peer: nn.Module) -> Weights:
    weights = understand(peer.state_dict(), "torchvision")
    weights.settings.backbone.norm_epsilon = 1e-5
    return weights


def peer_prediction(picture: Tensor) -> Run:
    model = make_peer(picture)

    def run() -> int:
        with torch.no_grad():
            return len(model([picture / 255])[0]["masks"] > 0.5)

    return run


def our_prediction(picture: Tensor, precision: str) -> Run:
    predictor = Predictor(our_weights(make_peer(picture)), precision=precision)
    return lambda: len(to_rle(predictor.predict(picture).masks))


def make_objects() -> Instances:
    """Eight discs."""
    random, boxes, crops = np.random.default_rng(1), [], []
    for _ in range(OBJECTS):
        side = int(random.integers(60, 300))
        x, y = int(random.integers(WIDTH - side)), int(random.integers(HEIGHT - side))
        rows, columns = np.mgrid[:side, :side] - side / 2
        boxes.append([x, y, x + side, y + side])
        crops.append(Crop(x, y, rows**2 + columns**2 < side**2 / 4))
    labels = torch.from_numpy(random.integers(CLASSES, size=OBJECTS))
    size = (HEIGHT, WIDTH)
    return Instances(size=size, boxes=torch.tensor(boxes).float(), labels=labels, masks=MaskCrops.of(crops, size))


def peer_step(picture: Tensor) -> Run:
    model = make_peer(picture).train()
    optimiser = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-5, momentum=0.9)
    objects = make_objects()
    masks = torch.zeros(OBJECTS, HEIGHT, WIDTH, dtype=torch.uint8)
    for i in range(OBJECTS):
        x, y, bitmap = objects.masks.crop(i)
        masks[i, y : y + len(bitmap), x : x + len(bitmap)] = torch.from_numpy(bitmap.astype(np.uint8))
    target = {"boxes": objects.boxes, "labels": objects.labels + 1, "masks": masks}

    def run() -> None:
        losses = model([picture / 255] * BATCH, [dict(target) for _ in range(BATCH)])
        sum(losses.values()).backward()
        optimiser.step()
        optimiser.zero_grad()

    return run


def our_step(picture: Tensor, precision: str) -> Run:
    keep_freed_memory()
    weights = our_weights(make_peer(picture))
    model = build_model(weights.settings, CLASSES).train()
    model.load_state_dict(weights.state)
    settings = RunSettings(model=weights.settings)
    optimiser = build_optimiser(model, settings.train)
    set_learning_rate(optimiser, 0, steps=100_000, settings=settings)
    size = (HEIGHT, WIDTH)

    def run() -> None:
        inputs = weights.settings.input
        images = [prepare_picture(picture, inputs)] * BATCH
        targets = [make_objects() for _ in range(BATCH)]
        batch = make_batch(images, [size] * BATCH, pad_to=inputs.pad_to, targets=targets)
        with autocast(precision, torch.device("cpu")):
            losses = model(batch)
        sum(losses.values()).backward()
        optimiser.step()
        optimiser.zero_grad()

    return run


def tuned(make: Callable[[Tensor], Run]) -> Callable[[Tensor], Run]:
    """The same with the C library told to keep freed memory, as this library does for itself."""

    def make_tuned(picture: Tensor) -> Run:
        keep_freed_memory()
        return make(picture)

    return make_tuned


CONTENDERS: dict[str, dict[str, Callable[[Tensor], Run]]] = {
    "prediction, 1 picture": {
        "torchvision": peer_prediction,
        "torchvision, tuned allocator": tuned(peer_prediction),
        "maskrcnn float32": lambda picture: our_prediction(picture, "float32"),
        "maskrcnn default": lambda picture: our_prediction(picture, "auto"),
    },
    f"training step, {BATCH} pictures": {
        "torchvision": peer_step,
        "torchvision, tuned allocator": tuned(peer_step),
        "maskrcnn float32": lambda picture: our_step(picture, "float32"),
        "maskrcnn default": lambda picture: our_step(picture, "auto"),
    },
}


def serve(work: str, name: str, threads: int, pipe: Connection) -> None:
    """A contender's process: one timed run for every message."""
    torch.set_num_threads(threads)
    run = CONTENDERS[work][name](make_picture())
    found = run()
    pipe.send(found)
    while pipe.recv():
        started = time.perf_counter()
        run()
        pipe.send(time.perf_counter() - started)


def measure(work: str, rounds: int, threads: int) -> dict[str, list[float]]:
    """Seconds of each contender, one run each per round."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name in CONTENDERS[work]:
        pipes[name], theirs = context.Pipe()
        processes.append(context.Process(target=serve, args=(work, name, threads, theirs), daemon=True))
        processes[-1].start()
        print(f"{work}: {name}: ready, {pipes[name].recv()} found", flush=True)
    seconds: dict[str, list[float]] = {name: [] for name in pipes}
    for number in range(rounds):
        for name, pipe in pipes.items():
            pipe.send(True)
            seconds[name].append(pipe.recv())
        print(f"  round {number + 1}/{rounds}: " + ", ".join(f"{t[-1]:.2f}" for t in seconds.values()), flush=True)
    for process in processes:
        process.terminate()
    return seconds


def table(results: dict[str, dict[str, list[float]]]) -> str:
    """Markdown rows of medians, and their ratios to torchvision as it comes and with a tuned allocator."""
    lines = ["| work | contender | seconds | of torchvision | of torchvision, tuned |", "|---|---|---|---|---|"]
    for work, seconds in results.items():
        medians = {name: statistics.median(values) for name, values in seconds.items()}
        plain, tuned_peer = medians["torchvision"], medians["torchvision, tuned allocator"]
        lines += [
            f"| {work} | {name} | {median:.2f} | {median / plain:.2f} | {median / tuned_peer:.2f} |"
            for name, median in medians.items()
        ]
    return "\n".join(lines)


def processor() -> str:
    """The processor's own name where the system tells it."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="timed runs of each contender")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of each contender")
    arguments = parser.parse_args()
    results = {work: measure(work, arguments.rounds, arguments.threads) for work in CONTENDERS}
    head = (
        f"ResNet-50 FPN, {HEIGHT}x{WIDTH}, {CLASSES} classes, same random weights; 1000 proposals and 100 detections; "
        f"medians of {arguments.rounds} alternating runs.\n{processor()}, {arguments.threads} threads, torch "
        f"{torch.__version__}, torchvision {torchvision.__version__}.\n"
    )
    text = f"{head}\n{table(results)}\n"
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
