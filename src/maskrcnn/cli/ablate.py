"""`maskrcnn ablate`: the paper's tables of what each choice is worth, trained again on data of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ..config.presets import read_studies
from .settings import ConfigFile, Overrides

TABLE_NAME = "table.md"
STUDIES = ", ".join(read_studies())


def ablate(
    overrides: Overrides = None,
    study: Annotated[str, typer.Option("--study", metavar="NAME", help=f"{STUDIES}.")] = "roi_pooling",
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="JSON_OR_DIR", help="COCO file, or a dataset's folder; default: drawn shapes."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the images, if not beside the file.")
    ] = None,
    val: Annotated[
        Path | None,
        typer.Option("--val", metavar="JSON_OR_DIR", help="Validation data; default: a part of the images."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Folder for runs and table; default: `ablations/NAME`."),
    ] = None,
    weights: Annotated[
        str, typer.Option("--weights", metavar="FILE_OR_NAME", help="Weights that all variants start from.")
    ] = "none",
    config: ConfigFile = None,
    device: Annotated[
        str | None,
        typer.Option("--device", metavar="NAME", help="`cpu`, `cuda`, `cuda:1`; default: CUDA if available."),
    ] = None,
) -> None:
    """Train the variants of one of the paper's tables under one budget and one seed, and print that table.

    Settings are for all variants; those of a variant override them. After an interruption, the same command continues
    where it stopped.
    """
    from ..ops.devices import choose_device
    from ..training.ablation import ablation_markdown, ablation_table, find_study, run_ablation
    from ..training.run_folder import DataArguments

    chosen, folder, console = find_study(study), output or Path("ablations") / study, Console(stderr=True)
    source = None if data is None else DataArguments(data, images=images, val=val)
    measured: dict[str, dict[str, Any]] = {}
    runs = run_ablation(chosen, folder, config, overrides, data=source, weights=weights, device=choose_device(device))
    for name, scores in runs:
        measured[name] = scores
        Console().print(ablation_table(chosen, measured))
    if len(measured) < len(chosen.variants):
        raise typer.Exit(1)
    (folder / TABLE_NAME).write_text(ablation_markdown(chosen, measured), encoding="utf-8")
    console.print(f"The table: {folder / TABLE_NAME}", highlight=False)
