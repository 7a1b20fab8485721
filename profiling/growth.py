"""How time and memory of prediction grow with the image, the number of objects and the number of images at once.

Our default beside torchvision as it comes, each measurement in a process of its own; masks become RLE.
Writes a table, and the slope with what explains it, to `growth.md` beside this file.

    python profiling/growth.py [--rounds 2] [--sides 400 800 1200 1600 2000 2400] [--objects 10 100 300 1000]
        [--count 1 2 4 8]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from maskrcnn.profiling.contenders import DEFAULT, PEER, PRODUCT_FLOPS, PRODUCTS
from maskrcnn.profiling.processes import Measured
from maskrcnn.profiling.report import describe_machine, measure_all
from maskrcnn.profiling.works import WORKS, Work

BASE = WORKS["prediction-rle"]
CONTENDERS = {PEER: False, DEFAULT: True, PRODUCTS: False}
Series = dict[float, dict[str, Measured]]


def make_work(title: str, *, size: tuple[int, int] = BASE.size, images: int = 1, most: int = 100) -> Work:
    return Work(title, BASE.model, size, images, BASE.task, most)


def table(series: Series, unit: str) -> list[str]:
    """Rows of one growing quantity."""
    lines = [
        f"| {unit} | ours, s | GFLOP | share of the matrix rate | ours, MiB | torchvision, s | MiB | ratio "
        "| objects, ours and torchvision's |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for value, one in series.items():
        ours, theirs = one[DEFAULT], one[PEER]
        rate = PRODUCT_FLOPS / one[PRODUCTS].median
        lines.append(
            f"| {value:g} | {ours.median:.2f} | {ours.operations / 1e9:.0f} "
            f"| {ours.operations / ours.median / rate:.2f} | {ours.mebibytes or 0:.0f} | {theirs.median:.2f} "
            f"| {theirs.mebibytes or 0:.0f} | {ours.median / theirs.median:.2f} | {ours.objects}, {theirs.objects} |"
        )
    return lines


def slope(values: Sequence[float], heights: Sequence[float]) -> tuple[float, float]:
    """Slope and start of the straight line with the least squares."""
    steepness, start = np.polyfit(values, heights, 1)
    return float(steepness), float(start)


def explain(series: Series, unit: str) -> str:
    """The slope in words: how much of it is arithmetic."""
    if len(series) < 2:
        return "One point has no slope."
    values = list(series)
    seconds, start = slope(values, [one[DEFAULT].median for one in series.values()])
    theirs, _ = slope(values, [one[PEER].median for one in series.values()])
    operations, _ = slope(values, [one[DEFAULT].operations for one in series.values()])
    memory, kept = slope(values, [one[DEFAULT].mebibytes or 0 for one in series.values()])
    their_memory, _ = slope(values, [one[PEER].mebibytes or 0 for one in series.values()])
    rate = float(np.median([PRODUCT_FLOPS / one[PRODUCTS].median for one in series.values()]))
    arithmetic = operations / rate
    if seconds <= 0:
        return f"Time does not grow beyond the noise of these runs; memory by {memory:.2f} MiB with each {unit}."
    share = "all" if arithmetic > seconds else f"{100 * arithmetic / seconds:.0f} %"
    return (
        f"Each further {unit} costs {1000 * seconds:.2f} ms (torchvision {1000 * theirs:.2f} ms) and {memory:.2f} MiB "
        f"(torchvision {their_memory:.2f} MiB), beyond {start:.2f} s and {kept:.0f} MiB that are always there. It is "
        f"{operations / 1e9:.2f} GFLOP more, which matrix products of {rate / 1e9:.0f} GFLOP/s do in "
        f"{1000 * arithmetic:.2f} ms: {share} of the slope is arithmetic; what is beyond it moves memory."
    )


def grow(works: dict[float, Work], rounds: int, threads: int) -> Series:
    """Measure each work; the key is the quantity that grows."""
    named = {work.title: work for work in works.values()}
    found = measure_all(
        named,
        CONTENDERS,
        rounds=rounds,
        threads=threads,
        say=lambda words: print(words, flush=True),
        on_run=lambda: None,
    )
    return {value: found[work.title] for value, work in works.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--sides", type=int, nargs="*", default=[400, 800, 1200, 1600, 2000, 2400])
    parser.add_argument("--objects", type=int, nargs="*", default=[10, 100, 300, 1000])
    parser.add_argument("--count", type=int, nargs="*", default=[1, 2, 4, 8])
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    height, width = BASE.size
    machine = describe_machine(threads=arguments.threads, rounds=arguments.rounds)
    lines = [
        "# Growth of time and memory",
        "",
        f"{machine['processor']}, {machine['threads']} threads, torch {machine['torch']}, torchvision "
        f"{machine['torchvision']}, {machine['date']}; prediction with ResNet-50 FPN, {BASE.task}; ours at its default "
        f"({machine['default_precision']}), torchvision as it comes; medians of {machine['rounds']} alternating runs; "
        f"{machine['busy_cores_before']} of {machine['cores']} cores were busy before.",
    ]
    questions: list[tuple[str, str, dict[float, Work]]] = [
        (
            "Size of the image, which is a square",
            "megapixel",
            {s * s / 1e6: make_work(f"{s}x{s}", size=(s, s)) for s in arguments.sides},
        ),
        (
            f"Objects in an image of {height}x{width}",
            "object",
            {n: make_work(f"{n} objects", most=n) for n in arguments.objects},
        ),
        (
            f"Images of {height}x{width} at once",
            "image",
            {n: make_work(f"{n} images", images=n) for n in arguments.count},
        ),
    ]
    for title, unit, works in questions:
        if works:
            series = grow(works, arguments.rounds, arguments.threads)
            lines += ["", f"## {title}", "", *table(series, f"{unit}s"), "", explain(series, unit)]
            arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
