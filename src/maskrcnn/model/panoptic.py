"""Objects and classes of pixels joined to one map without overlaps (Kirillov et al. 2019, Panoptic segmentation,
section 7)."""

import numpy as np
import torch
from torch import Tensor

from ..config import PanopticSettings
from ..structures.instances import Instances
from ..structures.panoptic import THING, Panoptic, Segment


def merge_panoptic(instances: Instances, semantic: Tensor, settings: PanopticSettings) -> Panoptic:
    """Lay the objects down, the most certain first, each on the pixels that are still free; then stuff on the rest.

    An object that finds more than `settings.overlap_threshold` of its mask taken is dropped. Pixels of things stay
    empty unless an object took them, and so do those of stuff with fewer than `settings.stuff_area_limit` pixels left.

    Args:
        instances: Predicted objects with scores and masks, in the image's pixels.
        semantic: [h, w] int64 stuff label of each pixel of the same image, or `THING`.
        settings: Of the merge.

    Returns:
        Segments with the map on the CPU, the objects first.
    """
    ids = np.zeros(instances.size, dtype=np.int32)
    segments = _lay_objects(ids, instances, settings)
    classes = semantic.cpu().numpy()
    free = np.where(ids == 0, classes, THING)
    areas = np.bincount(free.ravel(), minlength=THING + 1)
    areas[THING] = 0
    for label in np.flatnonzero(areas >= max(1, settings.stuff_area_limit)).tolist():
        segment = Segment(id=len(segments) + 1, label=label, is_thing=False, area=int(areas[label]))
        ids[free == label] = segment.id
        segments.append(segment)
    return Panoptic(torch.from_numpy(ids), segments)


def _lay_objects(ids: np.ndarray, instances: Instances, settings: PanopticSettings) -> list[Segment]:
    """Write the objects' ids into the map, in place; return their segments."""
    if instances.scores is None or instances.masks is None:
        raise ValueError("objects need scores and masks to become segments")
    segments: list[Segment] = []
    scores, labels = instances.scores.tolist(), instances.labels.tolist()
    for i in instances.scores.argsort(descending=True, stable=True).tolist():
        if scores[i] < settings.score_threshold:
            break
        x, y, bitmap = instances.masks.crop(i)
        window = ids[y : y + bitmap.shape[0], x : x + bitmap.shape[1]]
        free = bitmap & (window == 0)
        area, left = int(bitmap.sum()), int(free.sum())
        if left == 0 or (area - left) / area > settings.overlap_threshold:
            continue
        segment = Segment(len(segments) + 1, labels[i], is_thing=True, area=left, score=scores[i], instance=i)
        window[free] = segment.id
        segments.append(segment)
    return segments
