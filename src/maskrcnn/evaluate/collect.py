"""From a model's predictions on batches to the COCO results list."""

from collections.abc import Callable, Iterable

from ..structures.batch import Batch
from ..structures.classes import Classes
from ..structures.instances import Instances
from .results import to_results


def collect_results(
    predict: Callable[[Batch], list[Instances]],
    batches: Iterable[Batch],
    classes: Classes,
    *,
    on_progress: Callable[[int], None] | None = None,
) -> list[dict]:
    """Predict every picture; masks become run lengths one picture at a time, so that memory stays small.

    Args:
        predict: The model: objects of each picture of a batch, in the picture's own pixels.
        batches: Pictures with their `image_ids`.
        classes: The data set's classes.
        on_progress: Called after each batch with the number of pictures it held.

    Returns:
        COCO records in the order of the pictures.
    """
    results: list[dict] = []
    for batch in batches:
        for instances, image_id in zip(predict(batch), batch.image_ids, strict=True):
            results += to_results(instances, image_id, classes)
        if on_progress:
            on_progress(len(batch))
    return results
