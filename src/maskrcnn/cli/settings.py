"""`maskrcnn settings`: every setting, its value and what it means."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
import yaml
from pydantic.fields import FieldInfo
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from ..config import RunSettings
from ..config.base import section_of, walk_settings
from ..weights.published import preset_settings
from . import options
from .console import show


def settings(
    overrides: options.Overrides = None,
    preset: options.Preset = None,
    config: options.ConfigFile = None,
    as_yaml: Annotated[
        bool,
        typer.Option("--yaml", help="Print a file for `--config`, with defaults as comments."),
    ] = False,
) -> None:
    """List every setting of a training run, with its value and its meaning."""
    chosen = preset_settings(preset).changed(config, overrides)
    if as_yaml:
        typer.echo(settings_yaml(chosen), nl=False)
    else:
        show(*settings_tables(chosen), "\nWritten as `train.steps=2000` behind `maskrcnn train`.")


def settings_yaml(chosen: RunSettings) -> str:
    """A file of all settings. Defaults are comments: given, they would win over what weights bring along."""
    default = RunSettings().model_dump(mode="json")
    return "\n".join(_yaml_lines(chosen.model_dump(mode="json"), default)) + "\n"


def _yaml_lines(chosen: dict[str, Any], default: dict[str, Any], depth: int = 0) -> Iterator[str]:
    for name, value in chosen.items():
        known = default.get(name)
        mark = "# " if value == known else ""
        if isinstance(value, dict) and value:
            yield f"{mark}{'  ' * depth}{name}:"
            yield from _yaml_lines(value, known if isinstance(known, dict) else {}, depth + 1)
        else:
            text = yaml.safe_dump([value], default_flow_style=True, width=1000).strip()[1:-1]
            yield f"{mark}{'  ' * depth}{name}: {text}"


def settings_tables(chosen: RunSettings) -> Iterator[RenderableType]:
    """A heading and a table per section of settings; values that differ from the default stand out."""
    for key, field in walk_settings(RunSettings):
        if section := section_of(field):
            table = Table(show_header=False, box=None, padding=(0, 2, 0, 2))
            for name, leaf in section.model_fields.items():
                if not section_of(leaf):
                    table.add_row(name, _show(key, name, chosen), _meaning(leaf))
            if table.row_count:
                yield Text.assemble("\n", (key, "bold cyan"), f": {section.__doc__}")
                yield table


def _show(section: str, name: str, chosen: RunSettings) -> Text:
    value, default = (_value_at(tree, f"{section}.{name}") for tree in (chosen, RunSettings()))
    return Text(_words(value), style="" if value == default else "bold green")


def _value_at(tree: Any, key: str) -> Any:
    for name in key.split("."):
        tree = getattr(tree, name, None)  # a section that is switched off has no values
    return tree


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(_words(part) for part in value)
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _meaning(field: FieldInfo) -> str:
    choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
    return f"{field.description}" + (f" One of {', '.join(map(str, choices))}." if choices else "")
