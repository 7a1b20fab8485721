"""How the learning rate moves during a run: a pure function of the step, so that there is no state to keep."""

import math

from ..config import TrainSettings

_WARMUP_START = 0.001


def learning_rate_factor(step: int, *, steps: int, settings: TrainSettings) -> float:
    """What the learning rate is multiplied with in a step.

    Linear warm-up from a thousandth (Goyal et al. 2017, "Accurate, Large Minibatch SGD"), then either a fall to a tenth
    at each milestone or half a cosine down to zero (Loshchilov and Hutter 2017, "SGDR").

    Args:
        step: The step about to be made, 0..steps - 1.
        steps: All steps of the run.
        settings: Schedule, milestones and length of the warm-up, which is at most a tenth of all steps.
    """
    warmup = min(settings.warmup_steps, steps // 10)
    rise = _WARMUP_START + (1 - _WARMUP_START) * step / warmup if step < warmup else 1.0
    if settings.scheduler == "step":
        return rise * 0.1 ** sum(step >= milestone * steps for milestone in settings.milestones)
    progress = max(0, step - warmup) / max(1, steps - warmup)
    return rise * (1 + math.cos(math.pi * progress)) / 2
