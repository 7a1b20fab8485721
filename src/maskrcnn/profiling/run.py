"""Works in turn, each with all its contenders."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from .contenders import DEFAULT, PEERS, PRODUCTS, can_do, make_run
from .peers import make_weights
from .processes import Maker, Measured, measure
from .report import Row, rows_of
from .works import Work


def profile_works(
    works: Mapping[str, Work],
    settings: Sequence[str],
    *,
    rounds: int,
    threads: int,
    say: Callable[[str], None],
    on_run: Callable[[], None],
) -> list[Row]:
    """Time works with some settings of ours beside torchvision as it comes and with its allocator tuned.

    Args:
        works: By name.
        settings: Of `contenders.SETTINGS`.
        rounds: Timed runs of each contender, which alternate.
        threads: Of each contender.
        say: Told what comes next, and what was found.
        on_run: Called after each of the `count_runs` runs.

    Raises:
        MeasurementError: A contender's process died.
    """
    rows: list[Row] = []
    for name, measured in measure_all(
        works, contenders_for(settings), rounds=rounds, threads=threads, say=say, on_run=on_run
    ).items():
        rows += rows_of(name, measured)
    return rows


def contenders_for(settings: Sequence[str]) -> dict[str, bool]:
    """Contenders, and whether the operations of their runs are counted."""
    contenders = dict.fromkeys([*PEERS, *settings], False)
    if DEFAULT in settings:
        contenders |= {DEFAULT: True, PRODUCTS: False}
    return contenders


def count_runs(works: Mapping[str, Work], settings: Sequence[str], rounds: int) -> int:
    """All runs of `profile_works`."""
    contenders = contenders_for(settings)
    return sum(can_do(name, work) for work in works.values() for name in contenders) * (rounds + 1)


def measure_all(
    works: Mapping[str, Work],
    contenders: Mapping[str, bool],
    *,
    rounds: int,
    threads: int,
    say: Callable[[str], None],
    on_run: Callable[[], None],
    make: Maker = make_run,
) -> dict[str, dict[str, Measured]]:
    """Measurements by work and contender, where that is for such a work; see `measure`."""
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, work in works.items():
            weights = Path(folder) / f"{work.model}.pt"
            if not weights.exists():
                torch.save(make_weights(work.model), weights)
            say(f"{name}: {work.title} ...")
            able = {who: counted for who, counted in contenders.items() if can_do(who, work)}
            results[name] = measure(name, work, able, weights, rounds=rounds, threads=threads, make=make, on_run=on_run)
            found = ", ".join(f"{who} {one.median:.2f} s" for who, one in results[name].items() if who != PRODUCTS)
            say(f"  {found}")
    return results
