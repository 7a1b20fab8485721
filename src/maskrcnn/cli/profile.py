"""`maskrcnn profile`: how fast this machine is with this library, beside torchvision."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from ..profiling.works import QUICK, WORKS, choose_works
from ..progress import ImageBar
from . import options
from .console import require_place, say, show

QUICK_ROUNDS, USUAL_ROUNDS = 2, 5


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def profile(
    json: Annotated[Path | None, options.output_option("--json", metavar="FILE", help="Write the tables.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help=f"Only {_listed(QUICK)}, in the default setting; about a minute.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="All works; about 15 minutes.")] = False,
    work: Annotated[
        list[str] | None,
        typer.Option("--work", metavar="NAME", help=f"Only this work; repeatable. There are {_listed(WORKS)}."),
    ] = None,
    rounds: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help=f"Timed runs of each; default: {USUAL_ROUNDS}, with --quick {QUICK_ROUNDS}."
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Threads of each; default: as torch chooses.")
    ] = None,
) -> None:
    """Time prediction and training on this machine, beside torchvision's Mask R-CNN: same weights, same work.

    The ratio is our time divided by the peer's: 0.25 means four times as fast. torchvision runs with its defaults,
    and with freed memory kept by the C library, as this library sets it for itself. Our settings are `float32`,
    `default`, which is bfloat16 if the processor supports it, and for predictions the same with `--engine openvino`,
    if OpenVINO is installed. `matrix products` show the best rate of the machine.

    Nothing is downloaded: the weights are random, but find as many objects as allowed. Runs alternate between
    processes, and each number is a median; close other programs first. All processes of a work together need about
    7 GB of memory for a prediction of one image, and 13 GB for `training` and for four images.

    Quick look: `maskrcnn profile --quick`. One work: `maskrcnn profile --work training --json training.json`.
    """
    works = choose_works(work or [], quick=quick, everything=everything)
    require_place(json)
    from ..profiling.processes import prepare_processes

    prepare_processes()
    import torch

    from ..evaluation.report import write_report
    from ..profiling.contenders import DEFAULT, SETTINGS, can_do, is_installed
    from ..profiling.report import count_runs, describe_machine, profile_works, remarks, tables_of

    usable = [DEFAULT] if quick else [name for name in SETTINGS if any(can_do(name, one) for one in works.values())]
    settings = [name for name in usable if is_installed(name)]
    rounds = rounds or (QUICK_ROUNDS if quick else USUAL_ROUNDS)
    threads = threads or torch.get_num_threads()
    machine = describe_machine(threads=threads, rounds=rounds)
    for name in [name for name in usable if name not in settings]:
        say(f'{name} is left out, because it is not installed: `pip install "maskrcnn[{name}]"`.')
    with ImageBar("measuring", count_runs(works, settings, rounds)) as bar:
        rows = profile_works(works, settings, rounds=rounds, threads=threads, say=say, on_run=lambda: bar.advance(1))
    if json is not None:
        write_report(json, {"rows": rows, "machine": machine})
    show(tables_of(rows))
    for remark in remarks(rows, machine):
        say(remark)
