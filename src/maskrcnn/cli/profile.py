"""`maskrcnn profile`: how fast this machine is with this library, beside torchvision."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..progress import ImageBar
from .console import require_place

QUICK_ROUNDS, USUAL_ROUNDS = 2, 5


def profile(
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the table.")] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="One prediction and one training step on small images, in less than a minute."),
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Also four images at once, ResNet-101, v2 heads, keypoints; many minutes.")
    ] = False,
    work: Annotated[
        list[str] | None, typer.Option("--work", metavar="NAME", help="Only this work, e.g. `training`; repeatable.")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Timed runs of each contender; default: 5, with --quick 2.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of each contender; default: as torch chooses.")
    ] = None,
) -> None:
    """Time prediction and training on this machine, beside torchvision's Mask R-CNN: same weights, same work.

    The ratio is our time divided by the peer's: 0.25 means four times as fast. torchvision runs with its defaults,
    and with freed memory kept by the C library, as this library sets it for itself. Our settings are `float32`,
    `default`, which is bfloat16 if the processor supports it, and for predictions the same with `--engine openvino`,
    if OpenVINO is installed. `matrix products` show the best rate of the machine.

    Nothing is downloaded: the weights are random, but find as many objects as allowed. Runs alternate between
    processes, and each number is a median; close other programs first. Predictions need about 8 GB of memory,
    `training` 12 GB.

    Quick look: `maskrcnn profile --quick`. One work: `maskrcnn profile --work training --json training.json`.
    """
    from ..profiling.works import choose_works

    works = choose_works(work or [], quick=quick, everything=everything)
    require_place(json)
    from ..profiling.processes import prepare_processes

    prepare_processes()
    import torch

    from ..evaluation.report import write_report
    from ..profiling.contenders import DEFAULT, SETTINGS, can_do, is_installed
    from ..profiling.report import describe_machine, remarks, tables_of
    from ..profiling.run import count_runs, profile_works

    wanted = [DEFAULT] if quick else [name for name in SETTINGS if any(can_do(name, one) for one in works.values())]
    settings = [name for name in wanted if is_installed(name)]
    rounds = rounds or (QUICK_ROUNDS if quick else USUAL_ROUNDS)
    threads = threads or torch.get_num_threads()
    machine = describe_machine(threads=threads, rounds=rounds)
    console = Console(stderr=True)

    def say(words: str) -> None:
        console.print(words, highlight=False, markup=False, soft_wrap=True)

    for name in [name for name in wanted if name not in settings]:
        say(f'{name} is left out, because it is not installed: `pip install "maskrcnn[{name}]"`.')
    with ImageBar("measuring", count_runs(works, settings, rounds), console) as bar:
        rows = profile_works(works, settings, rounds=rounds, threads=threads, say=say, on_run=lambda: bar.advance(1))
    if json is not None:
        write_report(json, {"rows": rows, "machine": machine})
    Console().print(tables_of(rows))
    for remark in remarks(rows, machine):
        say(remark)
