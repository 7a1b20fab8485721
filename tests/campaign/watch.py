"""Cases run one after another in a child process, which is watched for code that runs, files, time and memory.

A case ends well in two ways: it succeeds, or it raises an error of `maskrcnn.errors`.
"""

import contextlib
import faulthandler
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import torch

from maskrcnn.errors import MaskRCNNError

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 10
"""Of a processor; six times as long by the clock, which other work on a machine does not use up."""
MEMORY = 1 << 30
PARTS = ("annotations", "images", "checkpoints")
EXECUTED = (
    "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile", "os.system", "pty.spawn", "socket.connect",
    "socket.getaddrinfo", "subprocess.Popen",
)  # fmt: skip
CHANGED = ("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "shutil.rmtree")
SYSTEM = tuple(map(os.path.realpath, (sys.prefix, sys.base_prefix, ROOT, "/proc", "/sys", "/usr", "/dev/null")))
"""Where Python and its libraries read their own files."""

Prepare = Callable[[Path, random.Random, int], Callable[[], object]]
"""Of a part: writes the files of a case into an empty folder, and gives what is to be done with them."""


class Outcome(NamedTuple):
    """How a case ended: as "success", "refused", or with one of the faults.

    The faults are "traceback", "outside" (code was executed, or a file of another folder was touched), "memory",
    "death" (the process ended) and "hang".
    """

    part: str
    number: int
    end: str
    what: str

    @property
    def is_fault(self) -> bool:
        return self.end not in ("success", "refused")


def run_watched(part: str, seed: int, numbers: range) -> list[Outcome]:
    """The outcome of each case; a child that does not live through one is replaced for the next."""
    outcomes: list[Outcome] = []
    while len(outcomes) < len(numbers):
        rest = numbers[len(outcomes) :]
        command = [sys.executable, "-m", "tests.campaign.watch", part, str(seed), str(rest.start), str(rest.stop)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        outcomes += [Outcome(part, *json.loads(line)) for line in done.stdout.splitlines()]
        if len(outcomes) < len(numbers):
            hung = "Timeout (" in done.stderr or done.returncode == -signal.SIGPROF
            if done.returncode == 1 and not hung:  # what a case raises is its outcome
                raise RuntimeError(done.stderr)
            what = f"exit code {done.returncode}: {done.stderr[:2000]}"
            outcomes.append(Outcome(part, numbers[len(outcomes)], "hang" if hung else "death", what))
    return outcomes


class _Watcher:
    """An audit hook; it cannot be taken off, so it is asleep between cases."""

    def __init__(self, folder: Path) -> None:
        self.allowed = (*SYSTEM, os.path.realpath(folder))
        self.awake, self.seen = False, list[str]()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.awake:
            return
        if event.startswith(EXECUTED):
            self.seen.append(f"{event} {arguments}"[:200])
        elif event in ("open", *CHANGED) and isinstance(arguments[0], str | bytes | os.PathLike):
            self.awake = False  # finding out where a path leads opens files, too
            place = os.path.realpath(os.fsdecode(arguments[0]).replace("\0", ""))
            self.awake = True
            if not any(place == folder or place.startswith(folder + os.sep) for folder in self.allowed):
                self.seen.append(f"{event} {place}")


def _outcome(act: Callable[[], object], watcher: _Watcher) -> tuple[str, str]:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    faulthandler.dump_traceback_later(6 * SECONDS, exit=True)
    watcher.seen.clear()
    watcher.awake = True
    try:
        act()
        end, what = "success", ""
    except MaskRCNNError as error:
        end, what = "refused", str(error)[:300]
    except MemoryError:
        end, what = "memory", traceback.format_exc(limit=-3)
    except BaseException:
        end, what = "traceback", traceback.format_exc(limit=-4)
    finally:
        watcher.awake = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        faulthandler.cancel_dump_traceback_later()
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return ("outside", "; ".join(watcher.seen[:3])) if watcher.seen else (end, what)


def _child(part: str, seed: int, numbers: range) -> None:
    torch.set_num_threads(1)
    faulthandler.register(signal.SIGPROF, chain=True)
    prepare: Prepare = import_module(f"tests.campaign.{part}").prepare
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "case")
        root.mkdir()
        with contextlib.suppress(Exception):  # not a case: what is imported at first use is loaded now
            prepare(root, random.Random(0), 0)()
        watcher = _Watcher(root)
        sys.addaudithook(watcher)
        for number in numbers:
            shutil.rmtree(root)
            root.mkdir()
            act = prepare(root, random.Random(f"{seed} {number}"), number)
            print(json.dumps([number, *_outcome(act, watcher)]), flush=True)


if __name__ == "__main__":
    _child(sys.argv[1], int(sys.argv[2]), range(int(sys.argv[3]), int(sys.argv[4])))
