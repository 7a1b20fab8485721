"""`maskrcnn doctor`: what somebody with experience would say about a dataset."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..progress import announce, waiting
from .console import require_place
from .datasets import DataFormat
from .settings import ConfigFile, Overrides, Preset

if TYPE_CHECKING:
    from ..doctor.diagnosis import Diagnosis
    from ..doctor.findings import Finding

COLORS = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}
NAMED = 3
"""Examples of each finding on the terminal; the page has more."""


def doctor(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A dataset's folder or file, of any format.")],
    overrides: Overrides = None,
    val: Annotated[
        Path | None, typer.Option("--val", metavar="FILE_OR_DIR", help="Validation data, if they are elsewhere.")
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option("--split", help="`train`, `val` or `test`; repeatable; default: all.")
    ] = None,
    form: DataFormat = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the images, if they are elsewhere.")
    ] = None,
    preset: Preset = None,
    config: ConfigFile = None,
    report: Annotated[Path, typer.Option("--report", metavar="FILE", help="The HTML page to write.")] = Path(
        "doctor.html"
    ),
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the findings for programs.")
    ] = None,
) -> None:
    """Check a dataset before training: what is wrong with it, and which settings suit it.

    Every image is read and every object is measured. Exits with 1 if training would stop at an error, otherwise 0.
    """
    from ..doctor.diagnosis import diagnose
    from ..ops.json_files import write_json
    from ..weights.published import preset_settings

    for path in (report, as_json):
        require_place(path)
    settings = preset_settings(preset).changed(config, overrides)
    found = diagnose(data, settings.model, val=val, splits=split or (), form=form, images=images, announce=announce)
    options = {"--val": val, "--format": form, "--images": images, "--preset": preset, "--config": config}
    command = _command(found, data, options, overrides or [])
    with waiting("drawing the figures"):
        found.write_page(report, command=command)
    if as_json:
        write_json(as_json, found.as_json(), indent=1)
    _print(found, command, report)
    if found.counts["error"]:
        raise typer.Exit(1)


def _command(found: Diagnosis, data: Path, options: dict[str, Path | str | None], overrides: list[str]) -> str | None:
    """How to train with what is advised; None if nothing is."""
    if not found.words:
        return None
    words = ["maskrcnn", "train", "--data", str(data)]
    for option, value in options.items():
        words += [] if value is None else [option, str(value)]
    words += ["--skip-invalid"] if any(one.name == "invalid-objects" for one in found.findings) else []
    changed = {one.partition("=")[0] for one in found.words}
    kept = [one for one in overrides if one.partition("=")[0] not in changed]
    return shlex.join([*words, *kept, *found.words])


def _print(found: Diagnosis, command: str | None, report: Path) -> None:
    console = Console()
    console.print(_numbers(found))
    for finding in found.findings:
        console.print(_told(finding), soft_wrap=True)
    verdict = ", ".join(f"{count} {each}{'' if count == 1 else 's'}" for each, count in found.counts.items())
    console.print(Text(f"{verdict}.", style="bold"))
    if command:
        stops = any(one.severity == "error" and one.name != "invalid-objects" for one in found.findings)
        when = "When the errors are corrected, train with what is advised:" if stops else "Train with what is advised:"
        console.print(when, Text(f"  {command}", style="cyan"), sep="\n", soft_wrap=True)
    console.print(f"With images and figures: {report}", highlight=False, soft_wrap=True)


def _numbers(found: Diagnosis) -> Table:
    from ..doctor.page import COLUMNS, summary_rows

    table = Table(box=None, padding=(0, 1, 0, 0))
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in summary_rows(found):
        table.add_row(*row)
    return table


def _told(finding: Finding) -> Text:
    """A finding as lines of the terminal."""
    text = Text.assemble(
        (f"\n{finding.severity.upper()} ", COLORS[finding.severity]), finding.what.replace("\n", "\n  ")
    )
    text.append(f"\n  {finding.advice.replace('`', '')}", style="dim")
    if finding.settings:
        text.append(f"\n  {' '.join(finding.settings)}", style="cyan")
    for example in finding.examples[:NAMED]:
        text.append(f"\n  - {example.words}", style="dim")
    if finding.examples and finding.count > NAMED:
        text.append("\n  - ...", style="dim")
    return text
