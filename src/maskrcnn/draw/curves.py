"""Curves of a training run: losses and scores over the steps."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..errors import DataError
from ..ops.files import parse_json, replacing

SCORES = (
    ("bbox", "AP", "boxes AP"),
    ("segm", "AP", "masks AP"),
    ("segm", "AP50", "masks AP50"),
    ("keypoints", "AP", "keypoints AP"),
    ("keypoints", "AP50", "keypoints AP50"),
    ("proposals", "AR@100", "proposals AR@100"),
    ("proposals", "AR@1000", "proposals AR@1000"),
)
SMOOTHED = 50  # the average is over a fiftieth of the curve
Curve = dict[int, float]
COLORS = ("#9aa5b1", "#c3cad2", "#7fb2e5", "#1f6fb4", "#12436d")
THICKNESS = 0.8
"""Of the bars of one work together; works are 1 apart."""


def draw_curves(log: Path, image: Path) -> None:
    """Draw the losses and the scores a training run has logged, as PNG, written whole or not at all.

    Each loss is drawn as logged, faintly, and averaged over a fiftieth of the run. Where a resumed run logged a step
    again the later entry counts. A last line that was cut off is left out.

    Args:
        log: JSON lines; those with `step`, `loss` and `losses` (each by its name), and those with `step` and `scores`
            ({"bbox": {"AP": ...}, "segm": {"AP": ...}}, fractions) are drawn.
        image: The PNG file to write; missing folders are made.

    Raises:
        DataError: A line other than the last cannot be read.
    """
    entries = read_log(Path(log))
    figure = Figure(figsize=(11, 4.2), layout="constrained", dpi=120)
    axes = figure.subplots(1, 2)
    _draw_losses(axes[0], _losses(entries))
    _draw_scores(axes[1], _scores(entries))
    _write(figure, image)


def read_log(log: Path) -> list[dict[str, Any]]:
    """Entries of a training log in their order; DataError names a line that is not one."""
    try:
        lines = log.read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"{log}: cannot be read ({error.strerror}). Check the path.") from error
    entries = []
    for number, line in enumerate(lines, start=1):
        try:
            entries.append(dict(parse_json(line, str(log))))
        except (DataError, ValueError, TypeError) as error:
            if number < len(lines):  # the last one may have been cut off when the run was stopped
                raise DataError(f"{log}: line {number}: {line!r:.60} is not a JSON object. Take it out.") from error
    return entries


def _losses(entries: list[dict[str, Any]]) -> dict[str, Curve]:
    """The total and each loss by step."""
    curves: dict[str, Curve] = {}
    for entry in entries:
        if "loss" in entry:
            for name, value in {"total": entry["loss"], **entry.get("losses", {})}.items():
                curves.setdefault(name, {})[entry["step"]] = value
    return curves


def _scores(entries: list[dict[str, Any]]) -> dict[str, Curve]:
    """Scores in percent by step."""
    curves: dict[str, Curve] = {}
    for entry in entries:
        for section, name, title in SCORES:
            score = entry.get("scores", {}).get(section, {}).get(name, -1)
            if score >= 0:
                curves.setdefault(title, {})[entry["step"]] = 100 * score
    return curves


def _draw_losses(axes: Axes, curves: Mapping[str, Curve]) -> None:
    for number, (name, curve) in enumerate(curves.items()):
        steps, values = _sorted(curve)
        color = "black" if name == "total" else f"C{number - 1}"
        axes.plot(steps, values, color=color, alpha=0.15, linewidth=0.8)
        axes.plot(steps, _smooth(values), color=color, linewidth=2 if name == "total" else 1.2, label=name)
    _finish(axes, "losses", curves, place="upper right")
    if curves:
        axes.set_yscale("log")


def _draw_scores(axes: Axes, curves: Mapping[str, Curve]) -> None:
    for number, (name, curve) in enumerate(curves.items()):
        steps, values = _sorted(curve)
        label = f"{name}, best {values.max():.1f}"
        axes.plot(steps, values, color=f"C{number}", marker="o", markersize=3.5, label=label)
    axes.set_ylim(0, 105)
    _finish(axes, "average precision or recall on held-out images, percent", curves, place="lower right")


def _finish(
    axes: Axes, title: str, curves: Mapping[str, Curve], *, place: Literal["upper right", "lower right"]
) -> None:
    axes.set_title(title, fontsize=11)
    axes.set_xlabel("step")
    axes.grid(visible=True, which="both", color="0.92")
    axes.spines[["top", "right"]].set_visible(False)
    if curves:
        axes.legend(loc=place, fontsize=9).set_frame_on(False)
    else:
        axes.text(0.5, 0.5, "none logged", transform=axes.transAxes, ha="center", color="0.5")


def _sorted(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    steps = sorted(curve)
    return np.array(steps), np.array([curve[step] for step in steps], dtype=float)


def _smooth(values: np.ndarray) -> np.ndarray:
    """Mean of a window around each point, which is cut at the ends."""
    half = len(values) // SMOOTHED // 2
    sums = np.concatenate([[0.0], np.cumsum(values)])
    starts = np.maximum(np.arange(len(values)) - half, 0)
    ends = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return (sums[ends] - sums[starts]) / (ends - starts)


def draw_bars(works: Mapping[str, Mapping[str, float]], image: Path, *, label: str) -> None:
    """Draw lying bars with their values beside them as PNG, written whole or not at all.

    Args:
        works: Value of each contender for each work, from top to bottom; a contender may lack some works.
        image: The PNG file to write; missing folders are made.
        label: What the values are.
    """
    contenders = list(dict.fromkeys(name for values in works.values() for name in values))
    figure = Figure(figsize=(9, 0.8 + 0.85 * max(1, len(works))), layout="constrained", dpi=120)
    axes = figure.subplots()
    height = THICKNESS / max(1, len(contenders))
    for place, name in enumerate(contenders):
        rows = [row for row, values in enumerate(works.values()) if name in values]
        lengths = [values[name] for values in works.values() if name in values]
        middles = [row + (place - (len(contenders) - 1) / 2) * height for row in rows]
        bars = axes.barh(middles, lengths, height * 0.9, color=COLORS[place % len(COLORS)], label=name)
        axes.bar_label(bars, fmt="%.2f", padding=3, fontsize=8)
    axes.set_yticks(range(len(works)), list(works))
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.set_xlabel(label)
    axes.spines[["top", "right"]].set_visible(False)
    if contenders:
        figure.legend(loc="outside upper center", ncols=len(contenders), frameon=False, fontsize=9)
    _write(figure, image)


def _write(figure: Figure, image: Path) -> None:
    image = Path(image)
    image.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    with replacing(image) as temporary:
        figure.savefig(temporary, format="png")
