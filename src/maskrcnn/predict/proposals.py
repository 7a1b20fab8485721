"""The region proposals of a whole dataset: written to a file, and how many of the objects are among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..data.dataset import Dataset, has_objects
from ..data.loading import evaluation_batches
from ..data.proposals import write_proposals
from ..evaluation.collect import collect_proposals
from ..evaluation.recall import average_recall
from ..model.mask_rcnn import find_proposals
from ..structures.batch import Batch
from ..structures.instances import Instances
from .evaluation import truth_of
from .predictor import Predictor


def propose_for(
    predictor: Predictor,
    data: Dataset,
    path: Path,
    *,
    batch: int = 1,
    workers: int | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Run backbone and region proposal network on every image, write the proposals, and score them.

    Args:
        predictor: The model.
        data: Images, with objects or without.
        path: The file; its ending says the form, see `data.proposals`.
        batch, workers: As for `evaluation_batches`.
        on_progress: Called with the number of images that are done since the last call.

    Returns:
        Counts of `images`, `objects` and `proposals`; where there are objects to find, `recall` of `average_recall`.

    Raises:
        DataError: An image cannot be read, or the file has another ending.
    """
    truth = truth_of(data)
    found: dict[int, Instances] = {}

    def propose(images: Batch) -> list[Instances]:
        return find_proposals(predictor.model, predictor.placed(images))

    def remembered() -> Iterator[tuple[int, Instances]]:
        batches = evaluation_batches(data.records, predictor.settings.input, batch=batch, workers=workers)
        for image_id, instances in collect_proposals(propose, batches, on_progress=on_progress):
            found[image_id] = instances
            yield image_id, instances

    write_proposals(path, remembered())
    report = {
        "annotations": truth.source,
        "images": len(truth.sizes),
        "objects": len(truth.objects),
        "proposals": sum(map(len, found.values())),
    }
    if any(map(has_objects, data.records)):
        report["recall"] = average_recall(truth, found)
    return report
