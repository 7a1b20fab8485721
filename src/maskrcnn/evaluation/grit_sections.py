"""GRIT's numbers as sections of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .grit import GritAnswer, GritSample, sample_score
from .grit_numbers import GROUPS, MEASURES, PARTITIONS, TASKS, grit_numbers
from .sections import Numbers, Say, Section, say_nothing

PROTOCOL = (
    "GRIT's evaluate.py: IoU of the best pairs in sum by pairs and objects that stay alone, mean over samples; `mean` "
    "is that of the same and the new sources, `all_samples` is not GRIT's. {}"
)
MEASURES_PROTOCOL = "GRIT's evaluate.py: each measure as the mean of the same and the new sources; rows are partitions"
OVERALL = "GRIT's evaluate.py: mean over 7 tasks and 2 sources; tasks that were not answered count 0"


def grit_sections(
    samples: Mapping[str, Sequence[GritSample]],
    answers: Mapping[str, Mapping[str, GritAnswer]],
    *,
    note: str = "",
    say: Say = say_nothing,
) -> list[Section]:
    """Score answers as GRIT's leaderboard does.

    Args:
        samples, answers: As for `grit_numbers`.
        note: What the protocol should say beside the rule.
        say: Called with what is being scored.

    Returns:
        Of each answered task its accuracy, with a row for each concept group there is, and its measures of confidence,
        with a row for each partition there is; and the overall number. Fractions of 1; None where there are fewer than
        two samples.
    """
    scores = {}
    for task, found in answers.items():
        say(task)
        scores[task] = [sample_score(task, sample, found[sample.example_id]) for sample in samples[task]]
    numbers = {name: value / 100 for name, value in grit_numbers(samples, answers, scores).items()}
    sections = [section for task in answers for section in _task_sections(task, numbers, scores[task], note)]
    return [*sections, Section("overall", "all of GRIT", OVERALL, {"mean": numbers.get("overall.mean")})]


def _task_sections(task: str, numbers: Numbers, scores: Sequence[float], note: str) -> list[Section]:
    end = f"{TASKS[task]}.mean"
    accuracy: dict[str, float | None] = {"mean": numbers.get(f"acc.any.agg.{end}")}
    accuracy |= {partition: numbers.get(f"acc.any.{partition}.{end}") for partition in PARTITIONS}
    accuracy["all_samples"] = float(np.mean(scores)) if scores else None
    groups = {group: {"mean": numbers[name]} for group in GROUPS if (name := f"acc.{group}.agg.{end}") in numbers}
    measures = {measure: numbers.get(f"{measure}.any.agg.{end}") for measure in MEASURES}
    rows = {
        partition: {measure: numbers.get(f"{measure}.any.{partition}.{end}") for measure in MEASURES}
        for partition in PARTITIONS
        if accuracy[partition] is not None
    }
    return [
        Section(task, task, PROTOCOL.format(note).rstrip(), accuracy, groups, row="concept group"),
        Section(
            f"{task}_measures", f"{task}, measures of confidence", MEASURES_PROTOCOL, measures, rows, row="partition"
        ),
    ]
