"""What the limits of the settings hide: said once for all images, with what to set."""

from __future__ import annotations

from collections.abc import Sequence

from ..config import InputSettings, ModelSettings
from ..data.dataset import Dataset
from ..data.preprocessing import resized_size
from ..progress import counted

SMALL = 0.5
"""Images that become smaller than this share of their sides are named."""


def dataset_notes(data: Dataset, settings: ModelSettings) -> list[str]:
    """What limits hide of annotated images."""
    counts, sizes = [len(record.instances) for record in data.records], [record.size for record in data.records]
    return [note for note in (detections_note(counts, settings), shrunk_note(sizes, settings.input)) if note]


def detections_note(counts: Sequence[int], settings: ModelSettings) -> str | None:
    """A sentence if images have as many objects as are kept, so that there may be more.

    Args:
        counts: Objects of each image, predicted or annotated.
        settings: Of the model.
    """
    limit = settings.box_head.detections_per_image
    full = sum(count >= limit for count in counts)
    if not full:
        return None
    wanted = max(2 * limit, max(counts))
    more = f" rpn.post_nms_top_n={4 * wanted}" if 4 * wanted > settings.rpn.post_nms_top_n else ""
    return (
        f"{counted(full, 'image')} with {limit} objects or more, but no more than {limit} are kept of each. For all "
        f"of them set box_head.detections_per_image={wanted}{more}."
    )


def shrunk_note(sizes: Sequence[tuple[int, int]], settings: InputSettings) -> str | None:
    """A sentence if images become so much smaller that small objects may be lost.

    Args:
        sizes: (height, width) of each image.
        settings: How images are resized.
    """
    scales = [resized_size(size, settings)[0] / size[0] for size in sizes]
    small = [scale for scale in scales if scale < SMALL]
    if not small:
        return None
    height, width = sizes[scales.index(min(scales))]
    return (
        f"{counted(len(small), 'image')} shrunk to less than {SMALL:.0%}, the most from {width} x {height} px to "
        f"{min(small):.0%}: small objects may be lost. To see all of it set input.min_size={min(height, width)} "
        f"input.max_size={max(height, width)}, or cut it into tiles."
    )
