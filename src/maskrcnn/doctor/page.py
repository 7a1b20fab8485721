"""The HTML page of a diagnosis, with all images inside; what it looks like stands in `page.html.jinja`."""

import base64
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup, escape
from torch import Tensor

from .. import __version__
from ..config import AnchorSettings
from ..data.images import read_image
from ..errors import DataError
from ..ops.files import replacing
from .class_checks import class_counts
from .diagnosis import Diagnosis
from .figures import (
    draw_classes,
    draw_example,
    draw_image_sizes,
    draw_numbers,
    draw_overlaps,
    draw_places,
    draw_ratios,
    draw_sizes,
)
from .findings import Example
from .input_advice import see
from .objects import ObjectTable

COLUMNS = ("", "images", "empty", "objects", "crowds", "invalid", "each (most)", "size, px (5 to 95 %)")
LEAST_CONTRAST = 64
"""Gray levels between the darkest and the brightest pixels of an example; darker ones are stretched to be seen."""


class Figure(NamedTuple):
    """A PNG, and what it shows in words."""

    png: bytes
    words: str


def write_diagnosis(path: Path, diagnosis: Diagnosis, *, command: str | None = None) -> None:
    """Write a diagnosis as a page that needs no other file, whole or not at all; missing folders are made.

    Args:
        path: The HTML file.
        diagnosis: Of `diagnose`.
        command: What to run with the advised settings; None: nothing is advised.
    """
    page = _template().render(
        name=Path(diagnosis.source).resolve().name,
        source=diagnosis.source,
        counts=diagnosis.counts,
        columns=COLUMNS,
        rows=summary_rows(diagnosis),
        findings=diagnosis.findings,
        drawn=lru_cache(_draw_example),
        command=command,
        figures=_figures(diagnosis) if diagnosis.tables else (),
        version=__version__,
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _template() -> Template:
    pages = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined)
    pages.filters["base64"] = lambda content: base64.b64encode(content).decode("ascii")
    pages.filters["marked"] = _marked
    return pages.get_template("page.html.jinja")


def _marked(text: str) -> Markup:
    """Escaped, with what stands between backticks as code, and lines kept."""
    pieces = str(escape(text)).split("`")
    marked = "".join(f"<code>{piece}</code>" if place % 2 else piece for place, piece in enumerate(pieces))
    return Markup(marked.replace("\n", "<br>"))


def summary_rows(diagnosis: Diagnosis) -> list[list[str]]:
    """A row of `COLUMNS` for each split."""
    return [
        [
            name,
            *(f"{one[key]:,}" for key in ("images", "empty_images", "objects", "crowds", "invalid")),
            f"{one['per_image'].get('median', 0):g} ({one['per_image'].get('most', 0):g})",
            f"{one['size'].get('median', 0):.0f} ({one['size'].get('p5', 0):.0f} to {one['size'].get('p95', 0):.0f})",
        ]
        for name, one in diagnosis.summary().items()
    ]


def _figures(diagnosis: Diagnosis) -> list[Figure]:
    tables, settings = diagnosis.tables, diagnosis.settings
    classes = tables[0].split.data.classes
    same = [table for table in tables if len(table.split.data.classes) == len(classes)]
    seen = {table.split.name: see(table, diagnosis.input_advised) for table in tables}
    now = _anchor_lines(settings.anchors)
    changed = diagnosis.best is not None and diagnosis.best.settings != settings.anchors
    best = _anchor_lines(diagnosis.best.settings) if changed and diagnosis.best else ((), ())
    turned = best[1] if best[1] != now[1] else ()
    figures = [
        Figure(draw_sizes({name: one.lengths for name, one in seen.items()}, now[0], best[0]), "object sizes"),
        Figure(draw_ratios({table.split.name: _ratios(table) for table in tables}, now[1], turned), "ratios"),
        Figure(
            draw_numbers({t.split.name: t.counts for t in tables}, settings.box_head.detections_per_image), "numbers"
        ),
        Figure(draw_image_sizes({table.split.name: _sizes(table) for table in tables}), "image sizes"),
        Figure(draw_places(_centers(tables)), "places"),
        Figure(draw_classes({t.split.name: class_counts(t) for t in same}, classes.names), "classes"),
    ]
    if diagnosis.now is not None and diagnosis.best is not None:
        other = diagnosis.best.overlaps if changed or diagnosis.input_advised != settings.input else None
        figures.insert(2, Figure(draw_overlaps(diagnosis.now.overlaps, other), "anchors"))
    return figures


def _anchor_lines(settings: AnchorSettings) -> tuple[Sequence[float], Sequence[float]]:
    """Sizes and ratios of anchors."""
    if settings.shapes is None:
        return [size for sizes in settings.sizes for size in sizes], settings.ratios
    shapes = [shape for own in settings.shapes for shape in own]
    sizes = sorted({round((w * h) ** 0.5) for w, h in shapes})
    return sizes, sorted({round(h / w, 1) for w, h in shapes})


def _ratios(table: ObjectTable) -> np.ndarray:
    sides = table.sides[~table.crowd].clip(min=1e-3)
    return sides[:, 1] / sides[:, 0]


def _sizes(table: ObjectTable) -> np.ndarray:
    return np.array([record.size for record in table.split.data.records]).reshape(-1, 2)


def _centers(tables: Sequence[ObjectTable]) -> np.ndarray:
    parts = [(t.boxes[:, :2] + t.boxes[:, 2:]) / 2 / t.sizes[:, ::-1].clip(min=1) for t in tables]
    return np.concatenate([np.zeros((0, 2)), *parts])


def _draw_example(example: Example) -> bytes | None:
    image = None if example.path is None else _read(example.path)
    return None if image is None else draw_example(image, example.box)


@lru_cache(maxsize=4)  # examples of one finding are often of one image
def _read(path: Path) -> Tensor | None:
    """[3, H, W] uint8 RGB, dark ones made brighter; None if it cannot be read."""
    try:
        image = read_image(path)
    except DataError:
        return None
    low, high = np.percentile(image[:, ::4, ::4].numpy(), (0.5, 99.8)).tolist()
    if high - low >= LEAST_CONTRAST or high == low:
        return image
    return ((image.float() - low) * (255 / (high - low))).clamp(0, 255).to(torch.uint8)
