"""Two runs on the same images: how much their average precision differs, and how much of that is chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from ..errors import DataError
from ..evaluation.annotations import Annotations
from ..evaluation.coco import TITLES, unique_names
from ..evaluation.prediction_files import is_predictions
from ..evaluation.results import IouType, Results
from ..ops.files import read_json
from .matching import class_precisions, match_results

RESAMPLES = 1000
SEED = 0
INTERVAL = (0.025, 0.975)
NUMBERS: dict[str, slice] = {"AP": slice(None), "AP50": slice(0, 1), "AP75": slice(5, 6)}
"""Which IoU thresholds each number is the mean of."""
MOST_CLASSES = 10

Precisions = dict[str, np.ndarray]
"""By number [K, 1 + R]: the images as they are, then R resamples; NaN for classes without objects."""


@dataclass(frozen=True)
class Difference:
    """A number of two runs.

    Args:
        first, second: Fractions.
        difference: Second less first.
        low, high: Where the difference lies in 95 % of the resamples.
        second_better: Share of the resamples in which the second run is better; equal ones count half.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    second_better: float


@dataclass(frozen=True)
class Comparison:
    """What `compare_results` finds of boxes, masks or keypoints.

    Args:
        numbers: AP, AP50, AP75.
        per_class: AP of each class that has objects, by its name.
    """

    numbers: dict[str, Difference]
    per_class: dict[str, Difference]


Read = Callable[[Path], Results]


def read_other(path: Path, truth: Annotations, read: Read | None = None) -> Results:
    """The predictions of another run on the same images.

    Args:
        path: Its results, of COCO or of `maskrcnn predict`, or its report if that names them as `results_file`.
        truth: What both are scored on.
        read: Reads results of other formats than COCO's, such as a benchmark's own; None: there are none.

    Raises:
        DataError: The file cannot be used, the report names no results, or these are of other images or classes.
    """
    results = results_of(path, others=read is not None)
    return Results.read(results, truth) if read is None else read(results)


def results_of(path: Path, *, others: bool) -> Path:
    """The results that a report names, or the path itself if it is not a report.

    Args:
        path: A report or results.
        others: Results may be JSON objects or no JSON at all.
    """
    try:
        if path.is_dir() and others:
            return path
        with path.open("rb") as file:
            is_object = file.read(1000).lstrip().startswith(b"{")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Give a results file or a report.") from error
    content = read_json(path) if is_object else {}
    named = content.get("results_file")
    if not is_object or is_predictions(content) or (others and named is None):
        return path
    if named is None and "rules" not in content:
        raise DataError(
            f"{path}: is neither a results file, which is a list of records, nor a report (--json). Give one of these."
        )
    if not isinstance(named, str):
        raise DataError(
            f"{path}: is a report without `results_file`, but runs are compared by their predictions. Evaluate that "
            "run again, save its predictions (--results FILE), and compare with that file."
        )
    results = path.parent / named
    if not results.exists():
        raise DataError(
            f"{path}: its `results_file` {results} is not there. Put it there, or compare with the results themselves."
        )
    return results


def compare_results(
    truth: Annotations,
    first: Results,
    second: Results,
    iou_type: IouType,
    *,
    max_detections: int = 100,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    on_progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Compare two runs by a paired bootstrap over images (Efron and Tibshirani 1993).

    In each resample as many images as there are were drawn with replacement, the same for both runs, and AP is
    computed anew; copies of an image stand beside each other. Matches stay what they are, because images are matched
    alone. A class without an object in a resample is left out of its mean.

    Args:
        truth: What both are scored on.
        first, second: The predictions.
        iou_type: "bbox", "segm" or "keypoints".
        max_detections: Most detections that count per image and class.
        resamples: How many.
        seed: Of the draws.
        on_progress: Called with the numbers of steps done, in all `comparison_steps`.
    """
    weights = _weights(len(truth.sizes), resamples, seed)
    found = [
        _precisions(truth, results, iou_type, weights, max_detections, on_progress or (lambda done: None))
        for results in (first, second)
    ]
    categories = sorted(truth.categories)
    names = unique_names(truth.categories)
    per_class = {
        names[category]: _difference(found[0]["AP"][k], found[1]["AP"][k])
        for k, category in enumerate(categories)
        if not np.isnan(found[0]["AP"][k, 0])
    }
    numbers = {
        name: _difference(_class_mean(found[0][name]), _class_mean(found[1][name]))
        for name in NUMBERS
        if not np.isnan(found[0][name][:, 0]).all()
    }
    return Comparison(numbers, per_class)


def comparison_steps(truth: Annotations) -> int:
    """How many steps `compare_results` takes."""
    return 2 * (len(truth.sizes) + len(truth.categories))


def _weights(images: int, resamples: int, seed: int) -> np.ndarray:
    """[P, 1 + R] how often each image counts: once, then as often as it was drawn."""
    even = np.full(images, 1 / max(1, images))
    draws = np.random.default_rng(seed).multinomial(images, even, size=resamples) if images else even[None]
    return np.concatenate([np.ones((1, images)), draws]).T.astype(np.int32, order="C")


def _precisions(
    truth: Annotations,
    results: Results,
    iou_type: IouType,
    weights: np.ndarray,
    max_detections: int,
    on_progress: Callable[[int], None],
) -> Precisions:
    matches = match_results(truth, results, iou_type, max_detections=max_detections, on_progress=on_progress)
    found: dict[str, list[np.ndarray]] = {name: [] for name in NUMBERS}
    for _, precision in class_precisions(truth, matches, weights):
        for name, thresholds in NUMBERS.items():
            found[name].append(precision[thresholds].mean(axis=0))
        on_progress(1)
    return {name: np.array(rows).reshape(len(rows), weights.shape[1]) for name, rows in found.items()}


def _class_mean(values: np.ndarray) -> np.ndarray:
    """[1 + R] means of [K, 1 + R] over the classes that have objects; NaN if none has."""
    there = ~np.isnan(values)
    counts = there.sum(axis=0)
    return np.where(counts > 0, np.where(there, values, 0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def _difference(first: np.ndarray, second: np.ndarray) -> Difference:
    """Of [1 + R] values of both runs."""
    differences = (second - first)[1:]
    differences = differences[~np.isnan(differences)]
    low, high = np.quantile(differences, INTERVAL) if len(differences) else (np.nan, np.nan)
    better = ((differences > 0) + 0.5 * (differences == 0)).mean() if len(differences) else 0.5
    return Difference(
        float(first[0]), float(second[0]), float(second[0] - first[0]), float(low), float(high), float(better)
    )


def comparison_report(
    comparisons: Mapping[IouType, Comparison], *, resamples: int = RESAMPLES, seed: int = SEED
) -> dict[str, Any]:
    """The comparisons for a JSON file: the rule, and of each its numbers and those `per_class`."""
    return {
        "protocol": f"COCO's AP, paired bootstrap over images, {resamples} resamples, seed {seed}; "
        "interval of 95 % of them; differences are second less first",
        **{
            iou_type: {
                **{name: asdict(found) for name, found in comparison.numbers.items()},
                "per_class": {name: asdict(found) for name, found in comparison.per_class.items()},
            }
            for iou_type, comparison in comparisons.items()
        },
    }


def comparison_tables(
    comparisons: Mapping[IouType, Comparison], first: str, second: str, *, resamples: int = RESAMPLES
) -> Group:
    """The comparisons for the terminal, in percent: the numbers, and the classes that changed most.

    Args:
        comparisons: By IoU type.
        first, second: Names of the runs.
        resamples: How many there were.
    """
    table = partial(_table, first=first, second=second)
    rows = {
        f"{TITLES[iou_type]} {name}": found
        for iou_type, comparison in comparisons.items()
        for name, found in comparison.numbers.items()
    }
    parts: list[RenderableType] = [
        Text(f"{second} against {first}", style="bold"),
        Text(f"COCO's AP; 95 % of {resamples} draws of the images with replacement, the same for both runs"),
        table("", rows),
    ]
    for iou_type, comparison in comparisons.items():
        if len(comparison.per_class) > 1:
            changed = sorted(comparison.per_class.items(), key=lambda item: -abs(item[1].difference))[:MOST_CLASSES]
            parts += [Text(f"AP of {TITLES[iou_type]} by class, the largest changes"), table("class", dict(changed))]
    return Group(*parts)


def _table(title: str, rows: Mapping[str, Difference], *, first: str, second: str) -> Table:
    numbers = (Text(first), Text(second), "difference", "95 % interval", Text(f"{second} better in"))
    columns = [Column(name, justify="right", overflow="fold", no_wrap=name == "95 % interval") for name in numbers]
    table = Table(title, *columns)
    for name, found in rows.items():
        interval = f"{100 * found.low:+.1f} to {100 * found.high:+.1f}"
        values = f"{100 * found.first:.1f}", f"{100 * found.second:.1f}", f"{100 * found.difference:+.1f}"
        sure = found.low > 0 or found.high < 0
        table.add_row(Text(name), *values, interval, f"{found.second_better:.1%}", style="bold" if sure else None)
    return table
