"""`maskrcnn models`: the weights and the presets that are known by name."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..config import ModelSettings
from ..config.presets import preset_names, read_preset
from ..errors import SettingError
from ..weights.published import FOLDER_VARIABLE, PUBLISHED, SCORES, SHIPPED, Published, find_published
from .console import show


def models(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A name, to show all about it; or a part of a name, to list those."),
    ] = None,
) -> None:
    """List weights and presets that are known by name, with published scores and licenses."""
    known = find_published(name) if name else None
    if known:
        show(published_details(known))
        return
    tables = list(catalog(name or ""))
    if not tables:
        raise SettingError(f"{name}: no weights and no preset have that in their name. `maskrcnn models` lists all.")
    show(*tables)


def catalog(part: str = "") -> Iterator[RenderableType]:
    """A heading and a table per origin of everything whose name or second name contains `part`, capitals or not."""
    if shipped := [name for name in SHIPPED if _contains(name, part)]:
        yield _heading("Weights in this library", "they work offline; docs/models describes them")
        yield Group(*(Text(f"  {name}") for name in shipped))
    for (publisher, is_backbone), rows in _published_groups(part).items():
        one = next(iter(rows.values()))
        kind = "Backbones" if is_backbone else "Detectors"
        yield _heading(f"{kind} of {publisher}", f"{one.license}; as listed in {one.source}")
        yield _published_table(rows)
    if presets := [name for name in preset_names() if _contains(name, part)]:
        yield _heading("Presets", "settings alone, for `maskrcnn train --preset NAME`")
        yield _preset_table(presets)


def published_details(name: str) -> Table:
    """Everything that is known of a published checkpoint."""
    one = PUBLISHED[name]
    checksum = f"{one.checksum.kind.upper()} begins with {one.checksum.start}" if one.checksum else "none is published"
    rows = {
        "name": f"{name}, {one.alias}" if one.alias else name,
        "scores": ", ".join(f"{SCORES[key]} {value:.1f}" for key, value in one.scores.items()),
        "data": one.trained_on,
        "license": one.license,
        "scores from": one.source,
        "address": one.address,
        "hash": checksum,
        "preset": one.preset or "",
        "offline": f"put {one.file_name} into the folder that {FOLDER_VARIABLE} names",
    }
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for key, words in rows.items():
        if words:
            table.add_row(Text(key, style="bold"), Text(words, overflow="fold"))
    return table


def describe_settings(settings: ModelSettings) -> str:
    """A model in one line: its backbone, its neck and its heads."""
    heads = {
        "masks": settings.mask_head,
        "keypoints": settings.keypoint_head,
        "classes of pixels": settings.semantic_head,
    }
    parts = [settings.backbone.name, settings.neck.name + (" dilated" if settings.backbone.dilate_stage5 else "")]
    parts += ["cascade"] if settings.cascade else []
    parts += ["boxes", *(words for words, head in heads.items() if head)]
    norm = settings.backbone.norm
    return ", ".join(parts) + ("" if norm == "frozen_batch" else f"; {norm.replace('_', ' ')} norm")


def _published_groups(part: str) -> dict[tuple[str, bool], dict[str, Published]]:
    groups: dict[tuple[str, bool], dict[str, Published]] = {}
    for name, one in PUBLISHED.items():
        if _contains(f"{name} {one.alias or ''}", part):
            groups.setdefault((name.partition("/")[0], one.is_backbone), {})[name] = one
    return groups


def _contains(name: str, part: str) -> bool:
    return part.lower() in name.lower()


def _heading(title: str, remark: str) -> Text:
    return Text.assemble("\n", (title, "bold cyan"), f": {remark}")


def _published_table(rows: Mapping[str, Published]) -> Table:
    scores = [key for key in SCORES if any(key in one.scores for one in rows.values())]
    with_alias = any(one.alias for one in rows.values())
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="")
    table.add_column("name", no_wrap=True)
    for key in scores:
        table.add_column(SCORES[key], justify="right", no_wrap=True)
    table.add_column("data")
    if with_alias:
        table.add_column("also called", no_wrap=True)
    for name, one in rows.items():
        numbers = [f"{one.scores[key]:.1f}" if key in one.scores else "" for key in scores]
        table.add_row(name, *numbers, one.trained_on, *([one.alias or ""] if with_alias else []))
    return table


def _preset_table(names: Iterable[str]) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True)
    for name in names:
        table.add_row(name, describe_settings(read_preset(name)))
    return table
