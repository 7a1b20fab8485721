"""`maskrcnn doctor`: what somebody with experience would say about a dataset."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..progress import announce, counted, waiting
from . import options
from .commands import data_words
from .console import require_place, show

if TYPE_CHECKING:
    from ..doctor.diagnosis import Diagnosis
    from ..doctor.findings import Finding

COLORS = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}
NAMED = 3
"""Examples of each finding on the terminal; the page has more."""


def doctor(
    data: options.Data,
    overrides: options.Overrides = None,
    images: options.Images = None,
    val: Annotated[
        Path | None, options.data_option("--val", metavar="PATH", help="Validation data, if they are elsewhere.")
    ] = None,
    split: options.Splits = None,
    form: options.DataFormat = None,
    allow_outside: options.AllowOutside = False,
    preset: options.Preset = None,
    config: options.ConfigFile = None,
    report: Annotated[Path, options.output_option("--report", metavar="FILE", help="The HTML page to write.")] = Path(
        "doctor.html"
    ),
    as_json: Annotated[
        Path | None, options.output_option("--json", metavar="FILE", help="Write the findings for programs.")
    ] = None,
) -> None:
    """Check a dataset before training: what is wrong with it, and which settings suit it.

    Every image is read and every object is measured. Exits with 1 if training would stop at an error, otherwise 0.
    """
    from ..doctor.diagnosis import diagnose
    from ..ops.files import write_json
    from ..weights.published import preset_settings

    for path in (report, as_json):
        require_place(path)
    settings = preset_settings(preset).changed(config, overrides)
    diagnosis = diagnose(data, settings.model, val=val, splits=split or (), form=form, images=images, announce=announce)
    more = {"--val": val, "--preset": preset, "--config": config}
    words = [word for option, value in more.items() if value for word in (option, str(value))]
    command = _command(diagnosis, [*data_words(data, images, form), *words], overrides or [])
    with waiting("drawing the figures"):
        diagnosis.write_page(report, command=command)
    if as_json:
        write_json(as_json, diagnosis.as_json(), indent=1)
    _print(diagnosis, command, report)
    if diagnosis.counts["error"]:
        raise typer.Exit(1)


def _command(diagnosis: Diagnosis, data: list[str], overrides: list[str]) -> str | None:
    """How to train with what is advised; None if nothing is."""
    if not diagnosis.words:
        return None
    skip = ["--skip-invalid"] if any(one.name == "invalid-objects" for one in diagnosis.findings) else []
    changed = {one.partition("=")[0] for one in diagnosis.words}
    kept = [one for one in overrides if one.partition("=")[0] not in changed]
    return shlex.join(["maskrcnn", "train", *data, *skip, *kept, *diagnosis.words])


def _print(diagnosis: Diagnosis, command: str | None, report: Path) -> None:
    counts = ", ".join(counted(count, severity) for severity, count in diagnosis.counts.items())
    show(_numbers(diagnosis), *map(_lines, diagnosis.findings), Text(f"{counts}.", style="bold"))
    if command:
        stops = any(one.severity == "error" and one.name != "invalid-objects" for one in diagnosis.findings)
        when = "When the errors are corrected, train with what is advised:" if stops else "Train with what is advised:"
        show(when, Text(f"  {command}", style="cyan"))
    show(f"With images and figures: {report}")


def _numbers(diagnosis: Diagnosis) -> Table:
    from ..doctor.page import COLUMNS, summary_rows

    table = Table(box=None, padding=(0, 1, 0, 0))
    for number, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if number else "left", no_wrap=True)
    for row in summary_rows(diagnosis):
        table.add_row(*row)
    return table


def _lines(finding: Finding) -> Text:
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
