"""What was measured as rows of ratios, for files and for people."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from .. import __version__
from ..ops.devices import bfloat16_is_fast
from .contenders import (
    DEFAULT,
    OPENVINO,
    PEERS,
    PRODUCT_FLOPS,
    PRODUCTS,
    SETTINGS,
    can_do,
    is_installed,
    make_run,
    make_weights,
)
from .processes import Maker, Measured, measure
from .works import WORKS, Work

Row = dict[str, Any]
COLUMNS = ("work", "setting", "seconds", "peer", "its seconds", "ratio", "MiB", "its MiB")


def rows_of(work: str, measured: Mapping[str, Measured]) -> list[Row]:
    """A row for each setting of ours beside each peer that did the same work.

    `seconds` are medians of one run, which is all `images` together; `ratio` is seconds / peer_seconds. Beside
    `matrix products`, the peer's seconds are those of products with as many operations as the work has.

    Args:
        work: Its name.
        measured: By contender.
    """
    rows = []
    for setting in [name for name in SETTINGS if name in measured]:
        ours = measured[setting]
        for peer in [name for name in PEERS if name in measured]:
            theirs = measured[peer]
            more = {"peer_mebibytes": _rounded(theirs.mebibytes, 0), "peer_objects": theirs.objects}
            rows.append(_row(work, setting, ours, peer, theirs.median) | more)
        operations = _operations(setting, measured)
        if operations and PRODUCTS in measured:
            rate = PRODUCT_FLOPS / measured[PRODUCTS].median
            rows.append(_row(work, setting, ours, PRODUCTS, operations / rate) | {"operations": operations})
    return rows


def _operations(setting: str, measured: Mapping[str, Measured]) -> int:
    """Of a run; those of OpenVINO, which nobody can count, are the default's, in the same precision."""
    counted = DEFAULT if setting == OPENVINO else setting
    return measured[counted].operations if counted in measured else 0


def _row(work: str, setting: str, ours: Measured, peer: str, peer_seconds: float) -> Row:
    return {
        "work": work,
        "setting": setting,
        "seconds": _rounded(ours.median, 4),
        "peer": peer,
        "peer_seconds": _rounded(peer_seconds, 4),
        "ratio": _rounded(ours.median / peer_seconds, 4),
        "images": WORKS[work].images,
        "objects": ours.objects,
        "mebibytes": _rounded(ours.mebibytes, 0),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def describe_machine(*, threads: int, rounds: int) -> dict[str, Any]:
    """What the numbers hold for."""
    bfloat16 = bfloat16_is_fast(torch.device("cpu"))
    return {
        "processor": processor_name(),
        "cores": usable_cores(),
        "threads": threads,
        "memory_gib": total_memory(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "maskrcnn": __version__,
        "torch": torch.__version__,
        "torchvision": metadata.version("torchvision"),
        "openvino": metadata.version("openvino") if is_installed(OPENVINO) else None,
        "default_precision": "bfloat16" if bfloat16 else "float32",
        "rounds": rounds,
        "busy_cores_before": busy_cores(),
        "date": date.today().isoformat(),
    }


def processor_name() -> str:
    """The processor's own name where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def total_memory() -> float | None:
    """GiB of the machine; None: the system does not tell."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def busy_cores() -> float | None:
    """Cores that programs kept busy in the last minute, on average; None: the system does not tell."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def tables_of(rows: Sequence[Row]) -> Group:
    """The rows for the terminal, a table for each work."""
    tables = []
    for work in dict.fromkeys(row["work"] for row in rows):
        table = Table(box=SIMPLE_HEAD, title=f"{work}: {WORKS[work].title}", title_justify="left")
        for column in COLUMNS[1:]:
            table.add_column(column, justify="left" if column in ("setting", "peer") else "right")
        for row in rows:
            if row["work"] == work:
                table.add_row(row["setting"], *_cells(row))
        tables.append(table)
    return Group(*tables)


def _cells(row: Row) -> list[str]:
    memory = [row["mebibytes"], row.get("peer_mebibytes")]
    return [
        f"{row['seconds']:.2f}",
        row["peer"].replace(" allocator", ""),
        f"{row['peer_seconds']:.2f}",
        f"{row['ratio']:.2f}",
        *("" if mebibytes is None else f"{mebibytes:.0f}" for mebibytes in memory),
    ]


def markdown_of(report: Mapping[str, Any]) -> str:
    """A whole report as a page.

    Args:
        report: `rows` of `rows_of`, and `machine` of `describe_machine`.
    """
    machine = report["machine"]
    lines = [
        "# Time and memory beside torchvision",
        "",
        f"{machine['processor']}, {machine['threads']} threads, {machine['system']}; maskrcnn {machine['maskrcnn']}, "
        f"torch {machine['torch']}, torchvision {machine['torchvision']}, Python {machine['python']}; "
        f"{machine['date']}. Medians of {machine['rounds']} alternating runs; the default is "
        f"{machine['default_precision']} here. Before it {machine['busy_cores_before']} of {machine['cores']} cores "
        "were busy.",
        "",
        "Same weights, same images (800x1216, small ones 256x256), 1000 proposals, 100 detections; masks are "
        "delivered in the same form by both. Seconds are of one run, all images of it together; MiB are the most "
        "that a process ever had. `matrix products`: as many operations as the work has, in large products.",
        "",
        "| " + " | ".join(COLUMNS) + " |",
        "|---|---|---:|---|---:|---:|---:|---:|",
    ]
    for row in report["rows"]:
        lines.append("| " + " | ".join([WORKS[row["work"]].title, row["setting"], *_cells(row)]) + " |")
    return "\n".join(lines) + "\n"


def remarks(rows: Sequence[Row], machine: Mapping[str, Any]) -> list[str]:
    """What makes the numbers worth less, in sentences."""
    said = []
    busy = machine["busy_cores_before"]
    if busy is not None and busy > machine["cores"] / 4:
        said.append(
            f"Other programs kept about {busy:g} of {machine['cores']} cores busy in the minute before: these numbers "
            "say little. Measure again on a quiet machine."
        )
    for row in rows:
        if row.get("peer_objects", row["objects"]) != row["objects"]:
            said.append(
                f"{row['work']}: {row['setting']} found {row['objects']} objects, but {row['peer']} "
                f"{row['peer_objects']}: their work was not quite the same."
            )
    return said


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
        say: Called with what comes next, and with what was measured.
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
