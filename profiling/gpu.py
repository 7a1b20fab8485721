"""Prediction and a training step on a GPU beside torchvision's `maskrcnn_resnet50_fpn`: same weights, same image.

Both live in one process, and their runs alternate. torchvision gets its images and masks on the device already.
Prints tables of medians, ratios, memory and the slowest kernels, and writes them to `gpu.md` beside this file, anew
after each piece of work. A contender that cannot run has its error as its row.

    python profiling/gpu.py [--batches 1 2 8 16] [--rounds 7]
"""

from __future__ import annotations

import argparse
import gc
import platform
import statistics
import time
from pathlib import Path
from typing import NamedTuple

import torch
import torchvision
from gpu_contenders import DEVICE, OURS, PEER, PLAIN, SIZE, Contender, Run, predictions, steps
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

COUNTED = f"{OURS} {PLAIN}"
"""Whose operations are counted, and whose kernels are listed: the others of a work compute the same."""
PROFILED = 8
"""Images of the runs whose kernels are listed."""


class Row(NamedTuple):
    """What one contender needs for one piece of work; or why it cannot do it."""

    work: str
    batch_size: int
    contender: str
    seconds: float = 0
    gibibytes: float = 0
    operations: int = 0
    error: str = ""


class Kernels(NamedTuple):
    """What the device did in one run: (name, milliseconds) of the slowest kernels, and of how many which time."""

    slowest: list[tuple[str, float]]
    count: int
    milliseconds: float


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


def measure(contenders: list[Contender], batch_size: int, rounds: int) -> tuple[list[Row], dict[Contender, Run]]:
    """Medians of alternating runs, after two to warm up; and the runs of those that can."""
    rows: dict[Contender, Row] = {}
    runs: dict[Contender, Run] = {}
    for contender in contenders:
        row = Row(contender.work, batch_size, contender.name)
        try:
            run, gibibytes = start(contender)
            operations = count_operations(run) if contender.name == COUNTED else 0
            runs[contender], rows[contender] = run, row._replace(gibibytes=gibibytes, operations=operations)
        except Exception as error:
            rows[contender] = row._replace(error=f"{type(error).__name__}: {error}")
            gc.collect()  # here, and not during the next capture
    seconds: dict[Contender, list[float]] = {contender: [] for contender in runs}
    for _ in range(rounds):
        for contender, run in runs.items():
            seconds[contender].append(timed(run))
    for contender, own in seconds.items():
        rows[contender] = rows[contender]._replace(seconds=statistics.median(own))
    return list(rows.values()), runs


def start(contender: Contender) -> tuple[Run, float]:
    """What runs it, warm, and the GiB that this needed beyond what was there: with what it compiles and captures."""
    run = contender.make()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    resting = torch.cuda.memory_allocated()
    run()
    run()
    torch.cuda.synchronize()
    return run, (torch.cuda.max_memory_allocated() - resting) / 2**30


def count_operations(run: Run) -> int:
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def find_kernels(run: Run, most: int = 10) -> Kernels:
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        run()
        torch.cuda.synchronize()
    events = [event for event in found.key_averages() if event.device_type == torch.autograd.DeviceType.CUDA]
    events.sort(key=lambda event: -event.self_device_time_total)
    return Kernels(
        [(event.key, event.self_device_time_total / 1000) for event in events[:most]],
        sum(event.count for event in events),
        sum(event.self_device_time_total for event in events) / 1000,
    )


def table(rows: list[Row], rate: float) -> list[str]:
    lines = [
        f"| work | images | contender | ms | images/s | of {PEER}'s float32 time | of its bfloat16 time "
        "| GiB beyond weights | of the bf16 rate |",
        "|---|---:|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        lines.append(
            f"| {row.work} | {row.batch_size} | {row.contender} | " + " | ".join(cells(row, rows, rate)) + " |"
        )
    return lines


def cells(row: Row, rows: list[Row], rate: float) -> list[str]:
    """Numbers of a row among all."""
    if row.error:
        return [" ".join(row.error.replace("|", "/").split())[:200], *[""] * 5]
    same = {
        one.contender: one for one in rows if (one.work, one.batch_size) == (row.work, row.batch_size) and not one.error
    }
    peers = [same.get(f"{PEER} {precision}") for precision in ("float32", "bfloat16")]
    operations = same[COUNTED].operations if COUNTED in same else 0
    return [
        f"{1000 * row.seconds:.1f}",
        f"{row.batch_size / row.seconds:.1f}",
        *("" if peer is None else f"{row.seconds / peer.seconds:.2f}" for peer in peers),
        f"{row.gibibytes:.2f}",
        f"{100 * operations / row.seconds / rate:.0f} %" if operations else "",
    ]


def page(rows: list[Row], rate: float, kernels: dict[str, Kernels], rounds: str, minutes: float) -> list[str]:
    lines = [
        "# On a GPU, beside torchvision",
        "",
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"Python {platform.python_version()}; images of {SIZE[0]} x {SIZE[1]}, 1000 proposals, 100 detections; "
        f"medians of {rounds} alternating runs. bf16 matrix products reach {rate / 1e12:.0f} TFLOP/s here. Measured in "
        f"{minutes:.1f} minutes.",
        "",
        "compiled: backbone, neck and RPN by `torch.compile`. CUDA graph: the same part captured at the padded shape "
        "of the batch, in training with its backward pass.",
        "",
        *table(rows, rate),
    ]
    for work, found in kernels.items():
        lines += ["", f"Slowest kernels of a {work} of {PROFILED} images, {COUNTED}."]
        lines += [f"It starts {found.count}, which take {found.milliseconds:.1f} ms of the device."]
        lines += ["", "| kernel | ms |", "|---|---:|"]
        lines += [f"| `{name[:100]}` | {milliseconds:.2f} |" for name, milliseconds in found.slowest]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 8, 16])
    parser.add_argument("--rounds", type=int, default=7, help="of one image; fewer of large batches, 3 at least")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    started = time.perf_counter()
    rate, rows, kernels = bf16_rate(), [], {}
    rounds = {size: max(3, arguments.rounds - size // 4) for size in arguments.batches}
    said = f"{min(rounds.values())} to {max(rounds.values())}"
    for size in arguments.batches:
        for contenders in (predictions, steps):
            found, runs = measure(contenders(size), size, rounds[size])
            rows += found
            counted = [run for contender, run in runs.items() if contender.name == COUNTED]
            if size == PROFILED and counted:
                kernels[found[0].work] = find_kernels(counted[0])
            del runs, counted
            gc.collect()
            torch.cuda.empty_cache()
            minutes = (time.perf_counter() - started) / 60
            print("\n".join(table(rows[-len(found) :], rate)), f"{minutes:.1f} minutes", sep="\n", flush=True)
            lines = page(rows, rate, kernels, said, minutes)
            arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
