"""Whether the network has heads for what is annotated."""

from collections.abc import Iterator, Sequence

from ...config import ModelSettings
from ...data.health.splits import Split
from ...structures.findings import Finding, counted


def find_in_heads(splits: Sequence[Split], settings: ModelSettings) -> Iterator[Finding]:
    """Annotations that no head learns from.

    Args:
        splits: The first is what is learnt from.
        settings: Of the network.
    """
    for split in splits[:1]:
        classes = split.data.classes
        if classes.keypoint_count and settings.keypoint_head is None:
            yield Finding(
                "note",
                "keypoints-not-learnt",
                f"{split.name}: objects have {counted(classes.keypoint_count, 'keypoint')} each, but the network has "
                "no head for them.",
                "To learn them, too: `model.keypoint_head={}`.",
                classes.keypoint_count,
            )
        if classes.stuff and settings.semantic_head is None:
            yield Finding(
                "note",
                "stuff-not-learnt",
                f"{split.name}: {counted(len(classes.stuff), 'class', 'classes')} of stuff (sky, grass) are annotated, "
                "but the network has no head for them.",
                "To learn them, too: `model.semantic_head={}`.",
                len(classes.stuff),
            )
