"""Contenders in processes of their own, because memory and its settings hold for a whole process; their runs alternate,
so that all of them see the same moods of the machine."""

from __future__ import annotations

import math
import multiprocessing
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

from ..errors import MeasurementError
from .works import Work

Request = Literal["run", "memory", "operations"]
Maker = Callable[[Work, str, dict[str, Any]], Callable[[], int]]
"""What makes a contender ready: work, its name and tensors of torchvision's names to a function that does it once."""
MIB = 2**20


@dataclass(frozen=True)
class Measured:
    """What a contender needed for a work.

    Args:
        seconds: Of each timed run.
        mebibytes: Most memory that its process ever had; None: the system does not tell.
        objects: How many it found, or was trained on, in a run.
        operations: Floating point operations of a run; 0: not counted.
    """

    seconds: tuple[float, ...]
    mebibytes: float | None
    objects: int
    operations: int = 0

    @property
    def median(self) -> float:
        """Of the seconds."""
        return statistics.median(self.seconds)


class Contest:
    """The processes of one work, each ready for its next run.

    Args:
        title: Of the work, for messages.
        work: What they do.
        weights: File of `make_weights` for its model.
        threads: Of each; only one of them works at a time.
        make: Such as `make_run`; a function of a module, since it is called in the processes.
    """

    def __init__(self, title: str, work: Work, weights: Path, threads: int, make: Maker) -> None:
        self._title, self._work, self._weights, self._threads, self._make = title, work, weights, threads, make
        self._processes: dict[str, tuple[BaseProcess, Connection]] = {}
        self._context = _context()

    def start(self, name: str) -> int:
        """Start a contender and let it do the work once, untimed; gives the number of objects it found."""
        ours, theirs = self._context.Pipe()
        arguments = (self._work, name, self._weights, self._threads, self._make, theirs)
        process = self._context.Process(target=_serve, args=arguments, daemon=True)
        process.start()
        theirs.close()
        self._processes[name] = (process, ours)
        return self._answer(name)

    def ask(self, name: str, request: Request) -> Any:
        """Seconds of one more run, MiB of memory so far, or operations of one run."""
        return self._answer(name, request)

    def end(self) -> None:
        """End all processes."""
        for process, pipe in self._processes.values():
            pipe.close()
            process.terminate()
            process.join()

    def _answer(self, name: str, request: Request | None = None) -> Any:
        process, pipe = self._processes[name]
        try:
            if request is not None:
                pipe.send(request)
            answer = pipe.recv()
        except (EOFError, ConnectionError):
            process.join()
            raise MeasurementError(
                f"{self._title}: the process of {name} has ended (exit code {process.exitcode}); -9 means that the "
                "memory ran out. The processes of one work are in memory together: close other programs, or choose "
                "smaller works (--work)."
            ) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer


@contextmanager
def open_contest(title: str, work: Work, weights: Path, threads: int, make: Maker) -> Iterator[Contest]:
    """A contest whose processes end with the block."""
    contest = Contest(title, work, weights, threads, make)
    try:
        yield contest
    finally:
        contest.end()


def measure(
    title: str,
    work: Work,
    names: Mapping[str, bool],
    weights: Path,
    *,
    rounds: int,
    threads: int,
    make: Maker,
    on_run: Callable[[], None],
) -> dict[str, Measured]:
    """Time contenders, one run each per round.

    Args:
        title: Of the work, for messages.
        work: What they do.
        names: The contenders that `make` knows, and whether the operations of their runs are counted as well.
        weights: File of `make_weights` for the work's model.
        rounds: Timed runs of each, after an untimed one.
        threads: Of each contender.
        make: Such as `make_run`.
        on_run: Called after each run.

    Raises:
        MeasurementError: A process died.
    """
    with open_contest(title, work, weights, threads, make) as contest:
        objects: dict[str, int] = {}
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for name in names:
            objects[name] = contest.start(name)
            on_run()
        for _ in range(rounds):
            for name in names:
                seconds[name].append(contest.ask(name, "run"))
                on_run()
        return {
            name: Measured(
                tuple(seconds[name]),
                contest.ask(name, "memory"),
                objects[name],
                contest.ask(name, "operations") if counted else 0,
            )
            for name, counted in names.items()
        }


def prepare_processes() -> None:
    """Let the processes' imports begin now, beside the caller's own, not only when the first process starts."""
    if sys.platform != "win32":
        from multiprocessing import forkserver

        _context()
        forkserver.ensure_running()


def _context() -> Any:
    """Processes that start with everything imported, once for all of them, where the system can do that."""
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["maskrcnn.profiling.contenders"])
    return context


def _serve(work: Work, name: str, weights: Path, threads: int, make: Maker, pipe: Connection) -> None:
    """A contender's process: answers one request after the other."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends it
    try:
        import cv2
        import torch

        torch.set_num_threads(threads)
        cv2.setNumThreads(threads)
        run = make(work, name, torch.load(weights, weights_only=True, mmap=True))
        pipe.send(run())
        while True:
            pipe.send(_respond(pipe.recv(), run))
    except (EOFError, ConnectionError):  # the parent is gone
        return
    except Exception as error:
        pipe.send(MeasurementError(f"{work.title}: {name} cannot do this: {type(error).__name__}: {error}"))


def _respond(request: Request, run: Callable[[], int]) -> float | int | None:
    if request == "memory":
        return peak_memory()
    if request == "operations":
        return count_operations(run)
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def peak_memory() -> float | None:
    """Most MiB of memory that this process ever had; None: the system does not tell."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its maximum includes that of the program which started this one.
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(lines[0].split()[1]) / 1024 if lines else None
    if sys.platform == "win32":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB  # macOS counts bytes


def count_operations(run: Callable[[], int]) -> int:
    """Floating point operations of convolutions and matrix products in one run: 2 for a product and its addition."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False, custom_mapping=_operations_of_onednn()) as counter:
        run()
    return counter.get_total_flops()


def _operations_of_onednn() -> dict[Any, Callable[..., int]]:
    """Formulas, of the shapes of arguments, for operators of torch that its counter does not know."""
    import torch
    from torch.utils.flop_counter import conv_flop_count

    def convolve(inputs: list[int], weight: list[int], *_: Any, out_shape: list[int]) -> int:
        return conv_flop_count(inputs, weight, out_shape)

    def add_convolved(onto: list[int], inputs: list[int], weight: list[int], *_: Any, out_shape: list[int]) -> int:
        return conv_flop_count(inputs, weight, out_shape)

    def connect(rows: list[int], weight: list[int], *_: Any, out_shape: list[int]) -> int:
        return 2 * math.prod(rows) * weight[0]

    formulas: dict[str, Callable[..., int]] = {
        "_convolution_pointwise": convolve,
        "_convolution_pointwise_": add_convolved,
        "_linear_pointwise": connect,
    }
    there = torch.ops.mkldnn
    return {getattr(there, name): formula for name, formula in formulas.items() if hasattr(there, name)}
