"""Figures of what is in a dataset, as PNG files in memory; arrays by the name of their split."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import matplotlib.ticker as ticks
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import Tensor
from torchvision.transforms.v2 import functional as F

COLORS = ("#2f6db3", "#e07b28", "#3f9b6c")
"""Of the splits, in turn."""
NOW, ADVISED = "#8a8f98", "#b3262f"
MOST_BARS = 40
MARGIN = 0.35
"""Of a box's longer side, shown around it."""
LEAST_MARGIN = 12
INK = (255, 60, 60)

Place = Literal["best", "lower left", "upper left", "lower right"]
BySplit = Mapping[str, np.ndarray]


def draw_classes(counts: BySplit, names: Sequence[str]) -> bytes:
    """Objects of each class, the most frequent first.

    Args:
        counts: [K] of each split.
        names: K names.
    """
    order = np.argsort(-sum(counts.values(), np.zeros(len(names))), kind="stable")[:MOST_BARS]
    height = 0.6 / max(1, len(counts))

    def draw(axes: Axes) -> None:
        for number, (name, values) in enumerate(counts.items()):
            places = np.arange(len(order)) + (number - (len(counts) - 1) / 2) * height
            axes.barh(places, values[order], height, color=COLORS[number % len(COLORS)], label=name)
        axes.set_yticks(np.arange(len(order)), [names[i][:24] for i in order], fontsize=8)
        axes.invert_yaxis()
        axes.set_xscale("symlog", linthresh=10)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_formatter(ticks.StrMethodFormatter("{x:,.0f}"))
        more = f", the {len(order)} most frequent of {len(names)}" if len(names) > len(order) else ""
        _finish(axes, f"objects per class{more}", "objects", place="lower right")

    return _figure(draw, max(2.6, 0.9 + 0.2 * len(order)))


def draw_sizes(lengths: BySplit, sizes: Sequence[float], advised: Sequence[float]) -> bytes:
    """How large objects are for the network, with the sizes of anchors.

    Args:
        lengths: [N] root of the box's area in input pixels, of each split.
        sizes: Of the settings' anchors.
        advised: Of other ones, or none.
    """

    def draw(axes: Axes) -> None:
        edges = 2 ** np.arange(0, 11.01, 0.25)
        _histograms(axes, lengths, edges)
        axes.set_xscale("log", base=2)
        axes.xaxis.set_major_formatter(ticks.StrMethodFormatter("{x:g}"))
        _lines(axes, sizes, NOW, "anchors")
        _lines(axes, advised, ADVISED, "advised")
        _finish(axes, "object sizes at the network's input", "root of the area, px")

    return _figure(draw)


def draw_ratios(ratios: BySplit, own: Sequence[float], advised: Sequence[float]) -> bytes:
    """Height over width of objects, with the ratios of anchors; arguments as for `draw_sizes`."""

    def draw(axes: Axes) -> None:
        _histograms(axes, ratios, 2 ** np.arange(-4, 4.01, 0.2))
        axes.set_xscale("log", base=2)
        axes.set_xticks([1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8], ["1:8", "1:4", "1:2", "1", "2:1", "4:1", "8:1"])
        _lines(axes, own, NOW, "anchors")
        _lines(axes, advised, ADVISED, "advised")
        _finish(axes, "height over width of objects", "height : width")

    return _figure(draw)


def draw_overlaps(now: np.ndarray, advised: np.ndarray | None) -> bytes:
    """Share of objects whose best anchor reaches an IoU.

    Args:
        now: [N] best IoU of each object with the settings' anchors.
        advised: The same with other ones, or None.
    """

    def draw(axes: Axes) -> None:
        for values, color, name in ((now, NOW, "settings"), (advised, ADVISED, "advised")):
            if values is not None and len(values):
                label = f"{name}: {(values >= 0.5).mean():.0%} from 0.5, {(values >= 0.7).mean():.0%} from 0.7"
                axes.plot(np.sort(values), 100 * (1 - np.arange(len(values)) / len(values)), color=color, label=label)
        for limit in (0.5, 0.7):
            axes.axvline(limit, color="0.8", linewidth=0.8, zorder=0)
        axes.set(xlim=(0, 1), ylim=(0, 102), ylabel="objects, %")
        _finish(axes, "objects with an anchor of at least this IoU", "IoU with the best anchor", place="lower left")

    return _figure(draw)


def draw_numbers(counts: BySplit, limit: int) -> bytes:
    """How many objects images have.

    Args:
        counts: [P] objects of each image, of each split.
        limit: Most detections of the network.
    """

    def draw(axes: Axes) -> None:
        most = max((int(values.max(initial=0)) for values in counts.values()), default=0)
        step = max(1, -(-(most + 1) // 30))
        _histograms(axes, counts, np.arange(-0.5, most + 1 + step, step))
        if most > 0.5 * limit:
            axes.axvline(limit, color=ADVISED, linewidth=1.2, label=f"most detections ({limit})")
        axes.set_ylabel("images, %")
        _finish(axes, "objects per image", "objects")

    return _figure(draw)


def draw_image_sizes(sizes: BySplit) -> bytes:
    """Widths and heights of images: [P, 2] heights and widths of each split."""

    def draw(axes: Axes) -> None:
        for number, (name, values) in enumerate(sizes.items()):
            kinds, times = np.unique(values, axis=0, return_counts=True)
            area = 14 + 220 * times / max(1, times.sum())
            color = COLORS[number % len(COLORS)]
            axes.scatter(kinds[:, 1], kinds[:, 0], area, color=color, alpha=0.55, linewidths=0, label=name)
        axes.set(ylabel="height, px", xlim=(0, None), ylim=(0, None))
        _finish(axes, "image sizes", "width, px", place="upper left")

    return _figure(draw)


def draw_places(centers: np.ndarray) -> bytes:
    """Where in their image objects are: [N, 2] x, y of their centers, in parts of its width and height."""

    def draw(axes: Axes) -> None:
        counts, _, _ = np.histogram2d(centers[:, 1], centers[:, 0], bins=24, range=((0, 1), (0, 1)))
        axes.imshow(counts, cmap="Blues", vmin=0, extent=(0, 1, 1, 0), aspect="auto")
        axes.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], xticklabels=["left", "", "right"])
        axes.set_yticklabels(["top", "", "bottom"])
        axes.set_title("where the centers of objects are", fontsize=10, loc="left")

    return _figure(draw)


def draw_example(pixels: Tensor, box: Sequence[float] | None, *, side: int = 150) -> bytes:
    """An image, or the part of it around a box that is drawn in, as a small JPEG.

    Args:
        image: [3, H, W] uint8 RGB.
        box: x1, y1, x2, y2, or None.
        side: Longest of the result.
    """
    image = F.to_pil_image(pixels)
    x1, y1, x2, y2 = box or (0, 0, *image.size)
    margin = 0.0 if box is None else max(LEAST_MARGIN, MARGIN * max(x2 - x1, y2 - y1))
    left, top = max(0, int(x1 - margin)), max(0, int(y1 - margin))
    right, bottom = min(image.width, int(x2 + margin) + 1), min(image.height, int(y2 + margin) + 1)
    shown = image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))
    scale = side / max(shown.size)
    size = (max(1, round(shown.width * scale)), max(1, round(shown.height * scale)))
    shown = shown.resize(size, Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.LANCZOS)
    if box is not None:
        corners = [(x1 - left) * scale, (y1 - top) * scale, (x2 - left) * scale, (y2 - top) * scale]
        ImageDraw.Draw(shown).rectangle(corners, outline=INK, width=2)
    memory = io.BytesIO()
    shown.save(memory, format="JPEG", quality=85)
    return memory.getvalue()


def _histograms(axes: Axes, values: BySplit, edges: np.ndarray) -> None:
    """Shares of the values of each split between edges; those beyond count in the first and the last."""
    for number, (name, own) in enumerate(values.items()):
        if len(own):
            kept, weights = np.clip(own, edges[0], edges[-1] * (1 - 1e-9)), np.full(len(own), 100 / len(own))
            color = COLORS[number % len(COLORS)]
            bins = edges.tolist()
            axes.hist(kept, bins, weights=weights, color=color, alpha=0.25)
            axes.hist(kept, bins, weights=weights, color=color, histtype="step", linewidth=1.3, label=name)
    axes.set_ylabel("objects, %")


def _lines(axes: Axes, places: Sequence[float], color: str, label: str) -> None:
    style = "--" if color == NOW else "-"
    for number, place in enumerate(places):
        axes.axvline(place, color=color, linestyle=style, linewidth=1, label=None if number else label)


def _finish(axes: Axes, title: str, below: str, *, place: Place = "best") -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel(below, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, color="0.93")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        above = {"bbox_to_anchor": (1.0, 1.0), "ncols": 3} if place == "lower right" else {}
        legend = axes.legend(loc=place, fontsize=8, frameon=False, **above)
        for handle in legend.legend_handles:
            if isinstance(handle, PathCollection):  # dots of a scatter are as large as their first
                handle.set_sizes([36])


def _figure(draw: Callable[[Axes], None], height: float = 2.9) -> bytes:
    figure = Figure(figsize=(4.8, height), layout="constrained", dpi=110)
    FigureCanvasAgg(figure)
    draw(figure.subplots())
    memory = io.BytesIO()
    figure.savefig(memory, format="png")
    return memory.getvalue()
