"""Bars of several contenders for each of several works."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..ops.files import replacing

COLORS = ("#9aa5b1", "#c3cad2", "#7fb2e5", "#1f6fb4", "#12436d")
THICKNESS = 0.8
"""Of the bars of one work together; works are 1 apart."""


def draw_bars(works: Mapping[str, Mapping[str, float]], image: Path, *, label: str) -> None:
    """Draw lying bars with their values beside them as PNG, written whole or not at all.

    Args:
        works: Value of each contender for each work, from top to bottom; a contender may lack some works.
        image: The PNG file to write; missing folders are made.
        label: What the values are.
    """
    contenders = list(dict.fromkeys(name for values in works.values() for name in values))
    figure = Figure(figsize=(9, 0.8 + 0.85 * max(1, len(works))), layout="constrained", dpi=120)
    FigureCanvasAgg(figure)
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
    image = Path(image)
    image.parent.mkdir(parents=True, exist_ok=True)
    with replacing(image) as temporary:
        figure.savefig(temporary, format="png")
