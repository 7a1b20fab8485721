"""The training loop.

Every batch and every random number follow from the seed and the batch's number, so a run that is killed and resumed
from its checkpoint makes exactly the steps it would have made.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from ..config import RunSettings
from ..data.dataset import Dataset
from ..data.loading import explaining_killed_workers
from ..evaluation.report import Report
from ..ops.devices import autocast, keep_freed_memory
from ..structures.batch import Batch
from ..structures.classes import Classes
from .optimizer import set_learning_rate
from .run import Run
from .run_folder import BEST_NAME, LAST_NAME

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STANDARD_ERROR = 2
_NOTICE = b"\nStopping after this step, with a checkpoint. Ctrl-C again stops at once.\n"
Batches = Callable[[int], Iterator[Batch]]
Evaluation = Callable[[nn.Module], dict]


@dataclass(repr=False)
class TrainingResult:
    """How a run ended.

    Args:
        step: Optimizer steps made.
        finished: False: it was asked to stop before its end, and can be resumed.
        best: Best score (see `main_score`); None without evaluation.
        scores: The last evaluation's; of a finished `maskrcnn.train` those of the weights, as `maskrcnn evaluate` has.
        weights: The file to predict with: best.safetensors, or last.safetensors without evaluation.
        folder: Of the run.
        val: Its validation data, of `maskrcnn.train`.
        report: The scores of the finished run's weights, of `maskrcnn.train`; None where no head is trained.
    """

    step: int
    finished: bool
    best: float | None
    scores: dict
    weights: Path
    folder: Path
    val: Dataset | None = None
    report: Report | None = None

    def __repr__(self) -> str:
        state = "finished" if self.finished else "stopped"
        return f"TrainingResult({state} at step {self.step}, best={self.best}, weights={str(self.weights)!r})"


def train_loop(
    model: nn.Module,
    batches: Batches,
    settings: RunSettings,
    *,
    classes: Classes,
    folder: Path,
    evaluate: Evaluation | None = None,
    device: torch.device | str = "cpu",
    resume: bool = False,
    quiet: bool = False,
) -> TrainingResult:
    """Train a model, with everything the run leaves behind in one folder.

    Args:
        model: `forward(batch)` gives its losses by name.
        batches: Gives the batches from number n on, without end; batch n must be the same every time.
        settings: Of the run; `train.steps` must be set (see `with_steps`).
        classes: What the labels mean.
        folder: Made if it does not exist.
        evaluate: Scores of a model, such as {"bbox": {"AP": 0.4, ...}, "segm": {"AP": 0.35, ...}}.
        device: Where to train.
        resume: Go on from the folder's last checkpoint; without one, start. Settings of the model, layers, optimizer,
            averaging, seed and held-out part must be the same; all others may change, such as `train.steps`.
        quiet: Show nothing on the screen.

    Raises:
        TrainingError: A loss is not finite.
        SettingError: The folder holds a run already, or one of another model or optimizer, or another process trains
            in it.
        WeightsError: The checkpoint cannot be read or written.
    """
    device = torch.device(device)
    if device.type == "cpu":
        keep_freed_memory()
    with (
        explaining_killed_workers(),
        StopRequest(quiet=quiet) as stop,
        Run(model, settings, classes=classes, folder=folder, device=device, resume=resume, quiet=quiet) as run,
    ):
        stream = batches(run.progress.step * settings.train.accumulate_steps)
        while True:
            if run.checkpoint_is_due() or (evaluate and run.evaluation_is_due()):
                run.save()
            if evaluate and run.evaluation_is_due():
                _evaluate(run, evaluate)
            if run.is_finished() or stop.received:
                break
            _step(run, stream)
        run.save()
        run.show_end()
    progress = run.progress
    weights = folder / (LAST_NAME if progress.best is None else BEST_NAME)
    return TrainingResult(progress.step, run.is_finished(), progress.best, progress.scores, weights, folder)


def _step(run: Run, stream: Iterator[Batch]) -> None:
    train = run.settings.train
    started = time.monotonic()
    run.begin_training()
    rate = set_learning_rate(run.optimizer, run.progress.step, steps=run.steps, settings=run.settings)
    paths: tuple[str, ...] = ()
    values: dict[str, Tensor] = {}
    for part in range(train.accumulate_steps):
        batch = next(stream).to(run.device)
        seed_random_numbers(train.seed, run.progress.step * train.accumulate_steps + part)
        with autocast(train.precision, run.device):
            losses = run.losses(batch)
            loss = torch.stack([value.float() for value in losses.values()]).sum() / train.accumulate_steps
        loss.backward()
        paths += batch.paths
        for name, value in (losses | {"loss": loss * train.accumulate_steps}).items():
            values[name] = values.get(name, 0) + value.detach() / train.accumulate_steps
    if train.clip_grad_norm is not None:
        values["gradient_norm"] = nn.utils.clip_grad_norm_(run.model.parameters(), train.clip_grad_norm)
    run.record(paths, values)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    if run.average is not None:
        run.average.update_parameters(run.model)
    run.step_is_done(time.monotonic() - started, rate)


def _evaluate(run: Run, evaluate: Evaluation) -> None:
    """Score the averaged weights, or the weights as they are, and keep them if they are the best."""
    started = time.monotonic()
    model = run.result.eval()
    with torch.no_grad(), autocast(run.settings.train.precision, run.device):
        scores = evaluate(model)
    run.evaluation_is_done(scores, time.monotonic() - started)


def seed_random_numbers(seed: int, number: int) -> None:
    """Seed all generators for one batch, so that its random choices follow from the run's seed and its number."""
    # SeedSequence mixes the two, so that neighboring batches and neighboring seeds have nothing in common.
    mixed = int(np.random.SeedSequence((seed, number)).generate_state(1)[0])
    torch.manual_seed(mixed)
    np.random.seed(mixed)
    random.seed(mixed)


class StopRequest:
    """While entered, the first Ctrl-C or SIGTERM sets `received` and says so; a second Ctrl-C interrupts at once.

    Outside the main thread, where Python cannot receive signals, nothing is changed.

    Args:
        quiet: Say nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.received = False
        self._quiet = quiet
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._receive) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.received = True
        self._restore()
        if not self._quiet:
            os.write(_STANDARD_ERROR, _NOTICE)  # the only way to write that may interrupt another

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
