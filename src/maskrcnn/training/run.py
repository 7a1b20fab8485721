"""A run in its folder: what it is made of, what it writes, and what is due after a step.

The folder holds `last.pt` (checkpoint), `last.safetensors` and `best.safetensors` (weights to predict with),
`log.jsonl` and `tensorboard/`.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch import Tensor, nn

from ..config import RunSettings
from ..errors import SettingError
from ..ops.files import remove_partial_files
from ..progress import counted
from ..structures.batch import Batch
from ..structures.classes import Classes
from ..weights.own import apply_weights, save_weights
from .checkpoint import Checkpoint, RunProgress, load_checkpoint, restore_optimizer, save_checkpoint
from .layers import LAYERS, freeze_layers, require_trainable
from .log import LossWindow, TrainingDisplay, TrainingLog
from .optimizer import average_weights, build_optimizer
from .run_folder import BEST_NAME, CHECKPOINT_NAME, LAST_NAME, locked
from .settings import check_resumable, evaluation_interval, required_steps


class Run:
    """A run between two of its steps: a new one, or one that goes on from the checkpoint in its folder.

    Args:
        model: Its weights are those of the checkpoint, if there is one.
        settings, classes, folder: What it is a run of, and where; the folder is made if it is not there.
        device: Where to train.
        resume: Go on from the folder's checkpoint; without one, start.
        quiet: Show nothing on the screen.

    Raises:
        SettingError: The folder holds a run already and `resume` is not set, or one of another model or optimizer, or
            another process trains in it; or the model's frozen layers are random.
        WeightsError: The checkpoint cannot be read.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: RunSettings,
        *,
        classes: Classes,
        folder: Path,
        device: torch.device,
        resume: bool,
        quiet: bool,
    ) -> None:
        self.steps = required_steps(settings)
        checkpoint = _find_checkpoint(folder / CHECKPOINT_NAME, resume=resume)
        changes = [] if checkpoint is None else check_resumable(folder / CHECKPOINT_NAME, checkpoint, settings, classes)
        if checkpoint is None:
            require_trainable(model)
        self._lock = ExitStack()
        self._lock.enter_context(locked(folder))
        remove_partial_files(folder)
        self.settings, self.classes, self.folder, self.device = settings, classes, folder, device
        self.model = model.to(device)
        self.frozen = freeze_layers(self.model, settings.train.layers)
        self.optimizer = build_optimizer(self.model, settings.train)
        self.progress = progress = RunProgress() if checkpoint is None else checkpoint.progress
        decay = settings.train.ema_decay
        self.average = average_weights(self.model, decay, updates=progress.step) if decay else None
        if checkpoint is not None:
            self._restore(checkpoint)
        self._saved_step = -1 if checkpoint is None else progress.step
        self._saved_at = time.monotonic()
        self._images = 0
        self._logged_seconds = progress.seconds
        self.window = LossWindow(folder, progress.loss_sums, progress.loss_count)
        self.log = TrainingLog(folder, settings, classes, position=progress.log_position, step=progress.step)
        self.display = TrainingDisplay(self.steps, step=progress.step, quiet=quiet)
        if changes:
            self.display.say(f"Resumed after step {progress.step} with {', '.join(changes)}.")

    def __enter__(self) -> Self:
        self.display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.display.__exit__(kind, error, trace)
        self.log.close()
        self._lock.close()

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The losses, by name, of the trained layers, times their weights."""
        layers, weights = self.settings.train.layers, self.settings.train.loss_weights
        losses = self.model(batch) if set(layers) == set(LAYERS) else self.model(batch, layers)
        if unknown := weights.keys() - losses.keys():
            raise SettingError(
                f"train.loss_weights: there is no loss {', '.join(sorted(unknown))}. The losses of this model are "
                f"{', '.join(losses)}."
            )
        return {name: loss * weights[name] if name in weights else loss for name, loss in losses.items()}

    def begin_training(self) -> None:
        """Put the trained layers into training mode; norms of frozen ones do not update their statistics."""
        self.model.train()
        for module in self.frozen:
            module.eval()

    @property
    def result(self) -> nn.Module:
        """The model to evaluate and to keep: averaged, if the run averages."""
        return self.model if self.average is None else self.average.module

    def is_finished(self) -> bool:
        """Whether all steps are made, or too many evaluations have brought no better score."""
        patience = self.settings.train.patience
        return self.progress.step >= self.steps or (patience is not None and self.progress.waited >= patience)

    def checkpoint_is_due(self) -> bool:
        """Also before the first step: then even a run that is killed at once can be resumed."""
        step, train = self.progress.step, self.settings.train
        is_old = time.monotonic() - self._saved_at >= 60 * train.checkpoint_minutes
        return step != self._saved_step and (is_old or step % train.checkpoint_every == 0)

    def evaluation_is_due(self) -> bool:
        """Whether the model of this step is still to be evaluated."""
        step = self.progress.step
        last = step == self.steps or step % evaluation_interval(self.settings.train) == 0
        return step > self.progress.evaluated and last

    def record(self, paths: tuple[str, ...], values: dict[str, Tensor]) -> None:
        """Take a step's losses; on the CPU, where it costs nothing, they are checked at once."""
        self._images += len(paths)
        self.window.add(self.progress.step + 1, paths, values)
        if self.device.type == "cpu":
            self.window.settle()

    def step_is_done(self, seconds: float, learning_rate: float) -> None:
        """Count a step, and now and then write a line of the log."""
        self.progress.step += 1
        self.progress.seconds += seconds
        self.display.advance(self.progress.step)
        if self.progress.step % self.settings.train.log_every == 0:
            self._log_losses(learning_rate)

    def evaluation_is_done(self, scores: dict, seconds: float) -> None:
        """Log the scores, and keep the weights if none so far were better; of equal ones the later are kept.

        A score that is not defined says nothing of the weights. Patience begins when something was found.
        """
        progress = self.progress
        progress.evaluated, progress.scores = progress.step, scores
        name, score = main_score(scores)
        self.log.evaluation(progress.step, scores, seconds)
        if score is None:
            self.display.say(f"step {progress.step}: {name} is not defined, for there is nothing to find")
            return
        best = progress.best
        progress.waited = 0 if best is None or score > best or score == 0 else progress.waited + 1
        if best is None or score >= best:
            progress.best = score
            self._save_weights(BEST_NAME)
        words = " (best so far)" if best is None or score > best else " (as the best so far)" if score == best else ""
        self.display.say(f"step {progress.step}: {name} {score:.3f}{words}")

    def save(self) -> None:
        """Write the checkpoint and the last weights, after a check that all losses were finite."""
        self.window.settle()
        progress = self.progress
        progress.loss_sums, progress.loss_count = self.window.content()
        progress.log_position = self.log.position()
        checkpoint = Checkpoint(
            progress=progress,
            settings=self.settings,
            classes=self.classes,
            model=self.model.state_dict(),
            optimizer=self.optimizer.state_dict(),
            average=None if self.average is None else self.average.module.state_dict(),
        )
        save_checkpoint(self.folder / CHECKPOINT_NAME, checkpoint)
        self._save_weights(LAST_NAME)
        self._saved_step, self._saved_at = progress.step, time.monotonic()

    def show_end(self) -> None:
        """Say how the run ended, and how to go on if it was stopped."""
        step, best = self.progress.step, self.progress.best
        if not self.is_finished():
            self.display.say(f"Stopped after step {step} of {self.steps}; resume the run in {self.folder} to go on.")
        else:
            name, _ = main_score(self.progress.scores)
            words = "" if best is None else f", best {name} {best:.3f}"
            self.display.say(f"{counted(step, 'step')} done{words}: {self.folder}")

    def _restore(self, checkpoint: Checkpoint) -> None:
        source = str(self.folder / CHECKPOINT_NAME)
        apply_weights(self.model, checkpoint.model, source=source)
        restore_optimizer(self.optimizer, checkpoint.optimizer, source=source)
        if self.average is not None and checkpoint.average is not None:
            apply_weights(self.average.module, checkpoint.average, source=source)

    def _save_weights(self, name: str) -> None:
        notes = {"step": str(self.progress.step), "best": str(self.progress.best)}
        path = self.folder / name
        save_weights(path, self.result.state_dict(), self.settings.model, self.classes, notes=notes)

    def _log_losses(self, learning_rate: float) -> None:
        self.window.settle()
        means = self.window.take_means()
        entry = {
            "step": self.progress.step,
            "loss": means.pop("loss"),
            "gradient_norm": means.pop("gradient_norm", None),
            "losses": means,
            "learning_rate": learning_rate,
            "images_per_second": self._images / max(1e-9, self.progress.seconds - self._logged_seconds),
            "seconds": self.progress.seconds,
        }
        self._images, self._logged_seconds = 0, self.progress.seconds
        self.log.step(entry)
        self.display.show(entry)


def _find_checkpoint(path: Path, *, resume: bool) -> Checkpoint | None:
    if not path.exists():
        return None
    if not resume:
        raise SettingError(f"{path.parent}: holds a training run already. Resume it, or give another folder.")
    return load_checkpoint(path)


def main_score(scores: dict) -> tuple[str, float | None]:
    """Name and value of the score by which weights are compared.

    AP of the finest thing that is trained and annotated, keypoints, masks or boxes; AR@1000 where only proposals are.
    None: there is nothing to find, so that no score is defined.
    """
    name = "AR@1000" if "proposals" in scores else "AP"
    parts = [scores.get(part) for part in ("keypoints", "segm", "bbox", "proposals")]
    values = [part.get(name) for part in parts if isinstance(part, dict)]
    return name, next((value for value in values if isinstance(value, int | float) and value >= 0), None)
