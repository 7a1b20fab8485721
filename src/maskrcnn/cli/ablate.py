"""`maskrcnn ablate`: the paper's tables of what each choice is worth, trained again on data of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..config.presets import read_studies
from . import options
from .console import say, show

TABLE_NAME = "table.md"
STUDIES = ", ".join(read_studies())


def ablate(
    overrides: options.Overrides = None,
    study: Annotated[str, typer.Option("--study", metavar="NAME", help=f"{STUDIES}.")] = "roi_pooling",
    data: Annotated[
        Path | None,
        options.data_option("--data", metavar="PATH", help="A dataset of any known format; default: drawn shapes."),
    ] = None,
    images: options.Images = None,
    val: options.Validation = None,
    weights: Annotated[
        str, options.model_option("--weights", metavar="FILE_OR_NAME", help="Weights that all variants start from.")
    ] = "none",
    config: options.ConfigFile = None,
    device: options.Device = None,
    output: Annotated[
        Path | None,
        options.output_option("--output", metavar="DIR", help="Folder for runs and table; default: `ablations/NAME`."),
    ] = None,
) -> None:
    """Train the variants of one of the paper's tables under one budget and one seed, and print that table.

    Settings are for all variants; those of a variant override them. After an interruption, the same command continues
    where it stopped.
    """
    from ..ops.devices import choose_device
    from ..training.ablation import ablation_markdown, ablation_table, find_study, run_ablation
    from ..training.run_folder import DataArguments

    chosen, folder = find_study(study), output or Path("ablations") / study
    source = None if data is None else DataArguments(data, images=images, val=val)
    measured: dict[str, dict[str, Any]] = {}
    runs = run_ablation(chosen, folder, config, overrides, data=source, weights=weights, device=choose_device(device))
    for name, scores in runs:
        measured[name] = scores
        show(ablation_table(chosen, measured))
    if len(measured) < len(chosen.variants):
        raise typer.Exit(1)
    (folder / TABLE_NAME).write_text(ablation_markdown(chosen, measured), encoding="utf-8")
    say(f"The table: {folder / TABLE_NAME}")
