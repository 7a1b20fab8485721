"""A training run that is killed at random moments and resumed, beside one that is not."""

import random
import time
from pathlib import Path

from tests.training import tiny
from tests.training.test_resume import differences, everything, run_in_a_process

SETTINGS = {"optimizer": "adamw", "ema_decay": 0.9, "precision": "bfloat16", "evaluate_every": 3, "checkpoint_every": 2}


def kill_and_resume(folder: Path, seed: int, kills: int) -> tuple[int, list[str]]:
    """How often the run was killed, and what it left that the unbroken one did not.

    Each start is killed up to two seconds after its first step; a run of so many steps as it has kills and ten more
    comes to its end afterwards, or before.
    """
    settings = {**SETTINGS, "steps": 10 + 2 * kills, "seed": seed}
    draw, killed = random.Random(seed), 0
    for _ in range(kills):
        killed += run_in_a_process(folder / "killed", settings, until=_after(folder / "killed", draw.uniform(0, 2)))
    run_in_a_process(folder / "killed", settings)
    tiny.real_run(folder / "whole", **settings)
    return killed, differences(everything(folder / "killed"), everything(folder / "whole"))


def _after(folder: Path, seconds: float):
    """So long after the log has grown."""
    log = folder / "log.jsonl"
    size = log.stat().st_size if log.exists() else 0
    end = None

    def is_reached(_: Path) -> bool:
        nonlocal end
        if end is None and log.exists() and log.stat().st_size != size:
            end = time.monotonic() + seconds
        return end is not None and time.monotonic() > end

    return is_reached
