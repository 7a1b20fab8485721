"""`maskrcnn propose`: region proposals to a file, and their recall."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ..progress import ImageBar
from .console import require_place
from .datasets import DataFormat, open_data
from .models import AUTO, TORCH, BatchSize, Device, Engine, Precision, Source, open_predictor
from .settings import Overrides


def propose(
    data: Annotated[Path, typer.Option("--data", metavar="JSON_OR_DIR", help="A dataset: file or folder.")],
    weights: Source,
    overrides: Overrides = None,
    output: Annotated[
        Path,
        typer.Option(metavar="FILE", help="`.jsonl`: one line per image; `.json`: COCO's list of results, larger."),
    ] = Path("proposals.jsonl"),
    images: Annotated[
        Path | None, typer.Option("--images", metavar="DIR", help="Folder of the images, if not beside the file.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of a folder: `train`, `val` or `test`.")] = "val",
    form: DataFormat = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=VALUE", help="Only images whose records have this value, e.g. `gray=true`; repeatable."
        ),
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the scores.")] = None,
    skip_invalid: Annotated[bool, typer.Option("--skip-invalid", help="Leave out objects that break a rule.")] = False,
    batch_size: BatchSize = 1,
    device: Device = None,
    precision: Precision = AUTO,
    engine: Engine = TORCH,
) -> None:
    """Write a model's region proposals, and score them by average recall (AR@100, AR@300, AR@1000).

    Only the backbone and the region proposal network are run. `maskrcnn train --proposals` trains on the file,
    `maskrcnn evaluate --proposals` detects objects in its boxes. More proposals: `rpn.post_nms_top_n=2000`.
    """
    from ..data.proposals import check_proposals_name
    from ..evaluation.recall import recall_table
    from ..evaluation.report import write_report
    from ..predict.proposals import propose_for

    check_proposals_name(output)
    for path in (json, output):
        require_place(path)
    chosen = open_data(data, split, images=images, form=form, where=where, skip_invalid=skip_invalid)
    predictor = open_predictor(weights, overrides or [], device=device, precision=precision, engine=engine)
    with ImageBar("proposing", len(chosen.records)) as bar:
        report = propose_for(predictor, chosen, output, batch_size=batch_size, on_progress=bar.advance)
    if json:
        write_report(json, {**report, "weights": weights, "settings": overrides or [], "where": where or []})
    if "recall" in report:
        Console().print("Average recall of boxes over IoU 0.50:0.95, without classes, in percent")
        Console().print(recall_table(report["recall"]))
    words = f"{report['proposals']} proposals for {report['images']} images: {output}"
    Console(stderr=True).print(words, highlight=False, markup=False, soft_wrap=True)
