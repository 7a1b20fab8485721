"""Where the time of one predicted image goes, on the CPU: by part of the network, and by operator.

For a small image and a large one, in the default precision, with masks as pixels. Counts changes of layout too: those
that torch makes between its operators, and those that oneDNN makes inside them. Writes `parts.md` beside this file.

    python profiling/parts.py [--rounds 10] [--threads N] [--works prediction-small prediction]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

from maskrcnn.predict.predictor import Predictor
from maskrcnn.profiling.contenders import SETTINGS, make_weights, our_weights
from maskrcnn.profiling.report import describe_machine
from maskrcnn.profiling.works import WORKS, Work, make_image, whole_masks

Run = Callable[[], object]
SINGLE = [name for name, work in WORKS.items() if work.task == "pixels" and work.images == 1]
KINDS = {
    "convolutions": ("convolution",),
    "matrix products": ("mm", "linear"),
    "RoIAlign (embedding bags)": ("embedding_bag",),
}
"""Words in the names of operators."""
OTHERS = "all other operators"


class Stopwatch:
    """Seconds of each part, without those of parts within it."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._open: list[str] = []
        self._last = 0.0

    def watch(self, part: str, function: Callable) -> Callable:
        """The same function, timed."""
        return partial(self.run, part, function)

    def run(self, part: str, function: Callable, *arguments: Any, **named: Any) -> Any:
        """Call a function on a part's time."""
        self._book()
        self._open.append(part)
        result = function(*arguments, **named)
        self._book()
        self._open.pop()
        return result

    def _book(self) -> None:
        now = time.perf_counter()
        if self._open:
            self.seconds[self._open[-1]] += now - self._last
        self._last = now


def watched(predictor: Predictor, work: Work, stopwatch: Stopwatch) -> Run:
    """A prediction whose parts are timed, in the order in which they begin."""
    watch, model, image = stopwatch.watch, predictor.model, make_image(work.size)
    predictor.predict_scales = watch("objects put together", predictor.predict_scales)
    predictor.placed = watch("image prepared", predictor.placed)
    model.backbone.forward = watch("backbone", model.backbone.forward)
    model.neck.forward = watch("pyramid", model.neck.forward)
    model.rpn.forward = watch("RPN: layers", model.rpn.forward)
    model.propose = watch("RPN: proposals chosen", model.propose)
    boxes, masks = (watch(f"{head} head: RoIAlign", model.pool) for head in ("box", "mask"))
    size = model.settings.box_head.pool_size
    model.pool = lambda *arguments: (boxes if arguments[-1] == size else masks)(*arguments)
    model.box_head[0].forward = watch("box head: layers", model.box_head[0].forward)
    model.detect = watch("box head: detections chosen", model.detect)
    model.mask_head.forward = watch("mask head: layers", model.mask_head.forward)
    model.predict_masks = watch("mask head: masks chosen", model.predict_masks)

    def run() -> Tensor:
        found = stopwatch.run("image prepared", predictor, image)
        return stopwatch.run("masks as pixels", whole_masks, found)

    return run


def time_parts(run: Run, stopwatch: Stopwatch, rounds: int) -> dict[str, float]:
    """Median seconds of each part."""
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        stopwatch.seconds.clear()
        run()
        for part, own in stopwatch.seconds.items():
            seconds.setdefault(part, []).append(own)
    return {part: statistics.median(own) for part, own in seconds.items()}


def time_operators(run: Run) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds by kind, and by name of all that are of none; without those of operators within."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        run()
    kinds, others = dict.fromkeys((*KINDS, OTHERS), 0.0), {}
    for event in found.key_averages():
        seconds = event.self_cpu_time_total / 1e6
        kind = next((kind for kind, words in KINDS.items() if any(word in event.key for word in words)), OTHERS)
        kinds[kind] += seconds
        if kind == OTHERS:
            others[event.key] = seconds
    return kinds, others


class Layouts(TorchDispatchMode):
    """Notes copies of maps [B, C, H, W] that change the order of their numbers in memory."""

    COPIES = ("clone", "_to_copy", "copy_")

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[str] = []

    def __torch_dispatch__(self, operator: Any, types: Any, arguments: tuple = (), named: Any = None) -> Any:
        name = operator.overloadpacket.__name__
        result = operator(*arguments, **(named or {}))
        if name in self.COPIES:
            source = arguments[1] if name == "copy_" else arguments[0]
            if source.ndim == 4 and source.shape == result.shape and order(source) != order(result):
                self.changes.append(f"{name} of {list(source.shape)}")
        return result


def order(maps: Tensor) -> list[int]:
    """The dimensions longer than 1, the one with the largest stride first."""
    return sorted((i for i in range(maps.ndim) if maps.shape[i] > 1), key=lambda i: -maps.stride(i))


class Reorders(NamedTuple):
    """Changes of layout within oneDNN: how many, and their seconds."""

    calls: int
    seconds: float


def find_reorders(run: Run, weights: set[tuple[int, ...]]) -> tuple[Reorders, Reorders]:
    """Those of maps in one run, and those of weights, which have one of these shapes."""
    with tempfile.TemporaryFile() as file:
        sys.stdout.flush()
        kept = os.dup(1)
        os.dup2(file.fileno(), 1)  # oneDNN tells the process's output
        try:
            with torch.backends.mkldnn.verbose(torch.backends.mkldnn.VERBOSE_ON):
                run()
        finally:
            os.dup2(kept, 1)
            os.close(kept)
        file.seek(0)
        lines = file.read().decode().splitlines()
    found = {True: Reorders(0, 0), False: Reorders(0, 0)}
    for line in lines:
        fields = line.split(",")
        if "exec" in fields and "reorder" in fields:
            of_weights = tuple(int(side) for side in fields[-2].split("x")) in weights
            calls, seconds = found[of_weights]
            found[of_weights] = Reorders(calls + 1, seconds + float(fields[-1]) / 1000)
    return found[False], found[True]


def shapes_of(predictor: Predictor) -> set[tuple[int, ...]]:
    """Of the weights, and as oneDNN may see those of a product."""
    shapes = {tuple(parameter.shape) for parameter in predictor.model.parameters()}
    return shapes | {shape[::-1] for shape in shapes if len(shape) == 2}


def section(work: Work, rounds: int) -> list[str]:
    weights = our_weights(work, make_weights(work.model))
    predictor, stopwatch = Predictor(weights, device="cpu", precision=SETTINGS["default"].precision), Stopwatch()
    run = watched(predictor, work, stopwatch)
    run()
    parts = time_parts(run, stopwatch, rounds)
    whole = sum(parts.values())
    lines = ["", f"## {work.title}, {work.size[0]}x{work.size[1]}", "", "| part | ms | share |", "|---|---:|---:|"]
    lines += [f"| {part} | {1000 * own:.1f} | {100 * own / whole:.1f} % |" for part, own in parts.items()]
    lines += [f"| together | {1000 * whole:.1f} | |", "", "| operators | ms | share |", "|---|---:|---:|"]
    kinds, others = time_operators(run)
    slowest = sorted(others.items(), key=lambda item: -item[1])[:8]
    for name, own in (kinds | {f"of them `{name}`": own for name, own in slowest}).items():
        lines.append(f"| {name} | {1000 * own:.1f} | {100 * own / sum(kinds.values()):.1f} % |")
    layouts = Layouts()
    with layouts:
        run()
    maps, packed = find_reorders(run, shapes_of(predictor))
    changes = ", ".join(f"{count} {name}" for name, count in Counter(layouts.changes).items())
    lines += [
        "",
        f"Changes of layout between operators: {changes or 'none'}. Inside oneDNN: {maps.calls} of maps "
        f"({1000 * maps.seconds:.1f} ms), {packed.calls} of weights ({1000 * packed.seconds:.1f} ms).",
    ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--works", nargs="+", default=["prediction-small", "prediction"], choices=SINGLE)
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    machine = describe_machine(threads=arguments.threads, rounds=arguments.rounds)
    lines = [
        "# Where the time of a prediction goes",
        "",
        f"{machine['processor']}, {machine['threads']} threads, torch {machine['torch']}, {machine['date']}; 1000 "
        f"proposals, 100 detections, {machine['default_precision']}; medians of {machine['rounds']} runs, "
        f"operators of one; {machine['busy_cores_before']} of {machine['cores']} cores were busy before.",
    ]
    for name in arguments.works:
        lines += section(WORKS[name], arguments.rounds)
    arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
