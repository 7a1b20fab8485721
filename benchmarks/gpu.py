"""Prediction and a training step on a GPU beside torchvision's `maskrcnn_resnet50_fpn`: same weights, same picture.

Both live in one process, and their runs alternate. torchvision gets its pictures and masks on the device already.
Prints tables of medians, ratios, memory and the slowest kernels, and writes them to `gpu.md` beside this file.

    python benchmarks/gpu.py [--batches 1 2 8 16] [--rounds 7] [--compiled]
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torchvision
from faster_coco_eval.core import mask as coco_mask
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from maskrcnn.config import RunSettings
from maskrcnn.data.inputs import make_batch, prepare_picture
from maskrcnn.measure.peers import CLASSES, build_peer, make_weights, our_weights
from maskrcnn.measure.scenes import make_objects, make_picture, whole_masks
from maskrcnn.measure.works import Work
from maskrcnn.model.build import build_model
from maskrcnn.model.mask_rcnn import MaskRCNN
from maskrcnn.ops.precision import autocast
from maskrcnn.predict.predictor import Predictor
from maskrcnn.structures.batch import Batch
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.masks import to_rle
from maskrcnn.train.optimiser import build_optimiser, set_learning_rate
from maskrcnn.weights.files import Weights

DEVICE = torch.device("cuda")
SIZE = (800, 1344)
WORK = Work("both", "R50-FPN", SIZE, 1, "pixels")
PEER = "torchvision"
Run = Callable[[], object]


class Row(NamedTuple):
    """What one contender needs for one piece of work."""

    work: str
    batch: int
    contender: str
    seconds: float
    gibibytes: float
    teraflops: float


def bf16_rate() -> float:
    """FLOPs per second of large bfloat16 matrix products."""
    a, b = (torch.randn(8192, 8192, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))
    seconds = statistics.median(timed(lambda: a @ b) for _ in range(10))
    return 2 * 8192**3 / seconds


def timed(run: Run) -> float:
    torch.cuda.synchronize()
    started = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def make_batches(picture: Tensor, weights: Weights, count: int, *, targets: bool) -> Batch:
    inputs = weights.settings.input
    objects = [make_objects(SIZE, CLASSES) for _ in range(count)] if targets else None
    images = [prepare_picture(picture, inputs)] * count
    return make_batch(images, [SIZE] * count, pad_to=inputs.pad_to, targets=objects).to(DEVICE)


def predictions(peer: nn.Module, weights: Weights, picture: Tensor, count: int, compiled: bool) -> Iterator[tuple]:
    """(work, contender, run) of prediction: boxes and masks as each gives them, and masks as run lengths."""
    images = [(picture / 255).to(DEVICE)] * count

    def peer_masks(mixed: bool) -> list[Tensor]:
        with torch.no_grad(), torch.autocast("cuda", dtype=torch.bfloat16, enabled=mixed):
            return [found["masks"][:, 0] > 0.5 for found in peer(images)]

    def peer_run_lengths() -> list:
        return [
            [coco_mask.encode(np.asfortranarray(one)) for one in masks.cpu().numpy()] for masks in peer_masks(False)
        ]

    yield "prediction", f"{PEER} float32", lambda: peer_masks(False)
    yield "prediction", f"{PEER} bfloat16", lambda: peer_masks(True)
    if count <= 2:  # their encoding on the host takes seconds
        yield "prediction, run lengths", f"{PEER} float32", peer_run_lengths
    batch = make_batches(picture, weights, count, targets=False)
    for precision in ("float32", "bfloat16"):
        predictor = Predictor(weights, device="cuda", precision=precision)
        yield "prediction", f"maskrcnn {precision}", lambda predictor=predictor: predictor.predict_batch(batch)
    if count <= 2:

        def run_lengths() -> list:
            return [to_rle(found.masks) for found in predictor.predict_batch(batch)]

        yield "prediction, run lengths", "maskrcnn bfloat16", run_lengths
    if compiled:
        graphed = Predictor(weights, device="cuda", precision="bfloat16")
        graphed.model.features = torch.compile(graphed.model.features, mode="reduce-overhead")
        yield "prediction", "maskrcnn bfloat16, compiled", lambda: graphed.predict_batch(batch)


def steps(peer: nn.Module, weights: Weights, picture: Tensor, count: int, compiled: bool) -> Iterator[tuple]:
    """(work, contender, run) of a training step."""
    batch = make_batches(picture, weights, count, targets=True)
    images = [(picture / 255).to(DEVICE)] * count
    targets = [
        {"boxes": one.boxes.to(DEVICE), "labels": one.labels.to(DEVICE) + 1, "masks": target_masks(one)}
        for one in (make_objects(SIZE, CLASSES) for _ in range(count))
    ]
    parameters = [parameter for parameter in peer.parameters() if parameter.requires_grad]
    optimiser = torch.optim.SGD(parameters, lr=1e-5, momentum=0.9)

    def peer_step(mixed: bool) -> None:
        peer.train()
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=mixed):
            losses = peer(images, [dict(target) for target in targets])
        sum(losses.values()).backward()
        optimiser.step()
        optimiser.zero_grad()
        peer.eval()

    yield "training step", f"{PEER} float32", lambda: peer_step(False)
    yield "training step", f"{PEER} bfloat16", lambda: peer_step(True)
    for precision in ("float32", "bfloat16"):
        yield "training step", f"maskrcnn {precision}", our_step(weights, batch, precision, compiled=False)
    if compiled:
        yield "training step", "maskrcnn bfloat16, compiled", our_step(weights, batch, "bfloat16", compiled=True)


def target_masks(objects: Instances) -> Tensor:
    """[N, H, W] uint8, as torchvision wants them."""
    return whole_masks(objects).to(DEVICE, torch.uint8)


def our_step(weights: Weights, batch: Batch, precision: str, *, compiled: bool) -> Run:
    model: MaskRCNN = build_model(weights.settings, CLASSES).train()
    model.load_state_dict(weights.state)
    model.to(DEVICE, memory_format=torch.channels_last)
    settings = RunSettings(model=weights.settings)
    optimiser = build_optimiser(model, settings.train)
    set_learning_rate(optimiser, 0, steps=100_000, settings=settings)
    if compiled:
        model.features = torch.compile(model.features)

    def run() -> None:
        with autocast(precision, DEVICE):
            losses = model(batch)
        sum(losses.values()).backward()
        optimiser.step()
        optimiser.zero_grad()

    return run


def measure(contenders: list[tuple], count: int, rounds: int) -> list[Row]:
    """Medians of alternating runs, after two to warm up; memory and FLOPs of one run each."""
    seconds: dict[int, list[float]] = {place: [] for place in range(len(contenders))}
    memory, flops = {}, {}
    for place, (_, _, run) in enumerate(contenders):
        run()
        run()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        resting = torch.cuda.memory_allocated()
        run()
        memory[place] = (torch.cuda.max_memory_allocated() - resting) / 2**30
        flops[place] = count_flops(run) if contenders[place][1] == "maskrcnn bfloat16" else 0
    for _ in range(rounds):
        for place, (_, _, run) in enumerate(contenders):
            seconds[place].append(timed(run))
    return [
        Row(work, count, name, statistics.median(seconds[place]), memory[place], flops[place] / 1e12)
        for place, (work, name, _) in enumerate(contenders)
    ]


def count_flops(run: Run) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def slowest_kernels(run: Run, most: int = 10) -> list[tuple[str, float]]:
    """(name, milliseconds) of the kernels that take longest."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        run()
        torch.cuda.synchronize()
    events = [event for event in found.key_averages() if event.device_type == torch.autograd.DeviceType.CUDA]
    events.sort(key=lambda event: -event.self_device_time_total)
    return [(event.key, event.self_device_time_total / 1000) for event in events[:most]]


def table(rows: list[Row], rate: float) -> list[str]:
    lines = [
        "| work | pictures | contender | ms | pictures/s | of torchvision's float32 time | GiB beyond weights | of the "
        "bf16 rate |",
        "|---|---:|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        own = [one for one in rows if (one.work, one.batch) == (row.work, row.batch)]
        peer = next(one.seconds for one in own if one.contender == f"{PEER} float32")
        share = f"{100 * row.teraflops * 1e12 / row.seconds / rate:.0f} %" if row.teraflops else ""
        lines.append(
            f"| {row.work} | {row.batch} | {row.contender} | {1000 * row.seconds:.1f} "
            f"| {row.batch / row.seconds:.1f} | {row.seconds / peer:.2f} | {row.gibibytes:.2f} | {share} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 8, 16])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--compiled", action="store_true", help="also with torch.compile of body and neck")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    picture, state = make_picture(SIZE), make_weights(WORK.model)
    peer, weights = build_peer(WORK, state), our_weights(WORK, state)
    peer.to(DEVICE)
    rate, rows, kernels = bf16_rate(), [], {}
    for count in arguments.batches:
        for contenders in (predictions, steps):
            made = list(contenders(peer, weights, picture, count, arguments.compiled))
            rows += measure(made, count, arguments.rounds)
            print("\n".join(table(rows, rate)), flush=True)
            if count == 8:
                plain = next(run for work, name, run in made if name == "maskrcnn bfloat16")
                kernels[made[0][0]] = slowest_kernels(plain)
            del made
            torch.cuda.empty_cache()
    lines = [
        "# On a GPU, beside torchvision",
        "",
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"Python {platform.python_version()}; pictures of {SIZE[0]} x {SIZE[1]}, 1000 proposals, 100 detections; "
        f"medians of {arguments.rounds} alternating runs. bf16 matrix products reach {rate / 1e12:.0f} TFLOP/s here.",
        "",
        *table(rows, rate),
    ]
    for work, slowest in kernels.items():
        lines += ["", f"Slowest kernels of a {work} of 8 pictures, bfloat16:", "", "| kernel | ms |", "|---|---:|"]
        lines += [f"| `{name[:100]}` | {milliseconds:.2f} |" for name, milliseconds in slowest]
    arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
