"""From a model's predictions on batches to the COCO results list."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from ..structures.batch import Batch, Scales
from ..structures.classes import Classes
from ..structures.instances import Instances
from .annotations import Annotations
from .results import Results, to_results

Seen = TypeVar("Seen", Batch, Scales)


def collect_results(
    predict: Callable[[Seen], list[Instances]],
    batches: Iterable[Seen],
    classes: Classes,
    truth: Annotations,
    *,
    describe: Callable[[Instances, int, Classes], list[dict]] = to_results,
    on_progress: Callable[[int], None] | None = None,
) -> Results:
    """Predict every image of a dataset; masks become RLE one image at a time, so that memory stays small.

    Args:
        predict: The model: objects of each image of a batch, in the image's own pixels.
        batches: Images with their `image_ids`.
        classes: The dataset's classes.
        truth: Its images and categories, see `Results.parse`.
        describe: Makes COCO records of one image's predictions: `to_results` of objects, `to_segment_results` of
            segments.
        on_progress: Called after each batch with the number of images it held.

    Returns:
        The predictions in the order of the images.

    Raises:
        DataError: The model found what cannot be scored, such as a box that is not finite.
    """
    records: list[dict] = []
    for batch in batches:
        for instances, image_id in zip(predict(batch), batch.image_ids, strict=True):
            records += describe(instances, image_id, classes)
        if on_progress:
            on_progress(len(batch))
    return Results.parse(records, truth, source="predictions")


def collect_proposals(
    propose: Callable[[Batch], list[Instances]],
    batches: Iterable[Batch],
    *,
    on_progress: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, Instances]]:
    """Image id and proposals of each image, on the CPU, as they are found.

    Args:
        propose: The model: proposals of each image of a batch, in the image's own pixels.
        batches, on_progress: As for `collect_results`.
    """
    for batch in batches:
        for instances, image_id in zip(propose(batch), batch.image_ids, strict=True):
            yield image_id, instances.to("cpu")
        if on_progress:
            on_progress(len(batch))
