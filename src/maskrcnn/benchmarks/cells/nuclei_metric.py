"""The scores of nuclei: instance accuracy, that of the Data Science Bowl 2018, mask AP, and those of cells."""

from __future__ import annotations

import numpy as np

from ...evaluation.accuracy import IOUS, image_accuracies, instance_accuracy
from ...evaluation.annotations import Annotations
from ...evaluation.coco import coco_sections
from ...evaluation.results import Results
from ...evaluation.sections import Say, Section, say_nothing
from .metric import cell_sections

DETECTIONS = 500
"""Most per image: images of the Data Science Bowl have up to 375 nuclei."""
BOWL_IOUS = tuple((50 + 5 * step) / 100 for step in range(10))
"""0.50, 0.55, ... 0.95."""


def nuclei_sections(
    truth: Annotations, results: Results, *, score_threshold: float, say: Say = say_nothing
) -> list[Section]:
    """Score predicted masks of nuclei.

    Args:
        truth: The annotated nuclei.
        results: The predictions.
        score_threshold: Predictions with at least this score count; for the mask AP all do.
        say: Called with what is being scored.

    Returns:
        Sections `accuracy`, `bowl`, `segm` and those of `cell_sections`.
    """
    say("instance accuracy")
    return [
        *accuracy_sections(truth, results, score_threshold=score_threshold),
        *coco_sections(truth, results, kinds=("segm",), max_detections=DETECTIONS, say=say),
        *cell_sections(truth, results, score_threshold=score_threshold, say=say),
    ]


def accuracy_sections(truth: Annotations, results: Results, *, score_threshold: float) -> list[Section]:
    """Instance accuracy pooled over the images (Caicedo 2019, Schmidt 2018), and the score of the Data Science Bowl.

    The latter is the mean over the images of their mean accuracy at the IoUs 0.50:0.05:0.95. Images without nuclei
    in which none was found do not count.

    Args:
        truth: The annotated nuclei.
        results: Masks as they are: they may overlap.
        score_threshold: Predictions with at least this score count.
    """
    pooled = instance_accuracy(truth, results, score_threshold=score_threshold)
    each = image_accuracies(truth, results, score_threshold=score_threshold, ious=BOWL_IOUS)
    scores = [np.mean(found) for found in each.values() if min(found) >= 0]
    used = f"masks with a score of at least {score_threshold:g}"
    known = {f"accuracy{round(100 * iou)}": value for iou, value in pooled.items() if value >= 0}
    numbers = {f"accuracy{round(100 * iou)}": known.get(f"accuracy{round(100 * iou)}") for iou in IOUS}
    mean = float(np.mean(list(known.values()))) if known else None
    return [
        Section(
            "accuracy",
            "instance accuracy",
            f"TP / (TP + FP + FN) at IoUs above 0.50 to 0.90, counts of all images together, `accuracy` their mean; "
            f"{used}",
            {"accuracy": mean, **numbers},
        ),
        Section(
            "bowl",
            "Data Science Bowl 2018",
            f"mean over images of their mean TP / (TP + FP + FN) at IoUs above 0.50:0.05:0.95; {used}",
            {"score": float(np.mean(scores)) if scores else None},
        ),
    ]
