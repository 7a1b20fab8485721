"""`maskrcnn propose`: region proposals to a file, and their recall."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ..progress import ImageBar, counted
from . import options
from .console import require_place, say, show
from .datasets import open_data


def propose(
    data: options.Data,
    weights: options.Source,
    overrides: options.PredictionOverrides = None,
    images: options.Images = None,
    split: options.Split = "val",
    form: options.DataFormat = None,
    where: options.Where = None,
    skip_invalid: options.SkipInvalid = False,
    allow_outside: options.AllowOutside = False,
    batch_size: options.BatchSize = 1,
    device: options.Device = None,
    precision: options.Precision = options.AUTO,
    engine: options.Engine = options.TORCH,
    output: Annotated[
        Path,
        options.output_option(
            metavar="FILE", help="`.jsonl`: one line per image; `.json`: COCO's list of results, larger."
        ),
    ] = Path("proposals.jsonl"),
    json: options.JsonFile = None,
) -> None:
    """Write a model's region proposals, and score them by average recall (AR@100, AR@300, AR@1000).

    Only the backbone and the region proposal network are run. `maskrcnn train --proposals` trains on the file,
    `maskrcnn evaluate --proposals` detects objects in its boxes. More proposals: `rpn.post_nms_top_n=2000`.
    """
    from ..data.proposals import check_proposals_name
    from ..evaluation.recall import recall_table
    from ..evaluation.report import write_report
    from ..predict.predictor import Predictor
    from ..predict.proposals import propose_for

    check_proposals_name(output)
    for path in (json, output):
        require_place(path)
    chosen = open_data(data, split, images=images, form=form, where=where, skip_invalid=skip_invalid)
    predictor = Predictor(weights, settings=overrides, device=device, precision=precision, engine=engine)
    with ImageBar("proposing", len(chosen.records)) as bar:
        report = propose_for(predictor, chosen, output, batch_size=batch_size, on_progress=bar.advance)
    if json:
        write_report(json, {**report, "weights": weights, "settings": overrides or [], "where": where or []})
    if "recall" in report:
        show("Average recall of boxes over IoU 0.50:0.95, without classes, in percent", recall_table(report["recall"]))
    say(f"{counted(report['proposals'], 'proposal')} for {counted(report['images'], 'image')}: {output}")
