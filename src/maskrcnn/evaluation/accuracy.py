"""Instance accuracy TP / (TP + FP + FN) of masks, the score of nuclei benchmarks (Caicedo et al. 2019, Schmidt 2018).

It asks how well the objects that are really kept, above one score threshold, fit those that are there.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from faster_coco_eval.core import mask as coco_mask
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from .annotations import Annotations
from .results import Results
from .sections import Section

IOUS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
SCORES = tuple(step / 20 for step in range(1, 20))


class Threshold(NamedTuple):
    """A score in 0..1 from which on predictions count, and where it comes from: given, weights, default or chosen."""

    score: float
    origin: str


class Overlaps(NamedTuple):
    """Predictions of one image against its annotated objects.

    Args:
        scores: [P] of the predictions.
        ious: [P, G] with the objects; 0 where the classes differ.
        crowds: [P] largest part of the prediction's own area inside one crowd region of its class.
    """

    scores: np.ndarray
    ious: np.ndarray
    crowds: np.ndarray


def instance_accuracy(
    truth: Annotations,
    results: Results,
    *,
    score_threshold: float,
    ious: Sequence[float] = IOUS,
    image_ids: Collection[int] | None = None,
) -> dict[float, float]:
    """Accuracy pooled over the images, at each mask IoU threshold.

    Predictions and objects of the same class whose IoU is above the threshold may be paired, each with one partner, and
    as many pairs as possible are made. TP counts the pairs, FP and FN what stays alone. Crowd regions are no objects: a
    prediction that fits no object and lies in a crowd region of its class with more than the threshold's part of its
    own area counts nothing.

    Args:
        truth: The annotated objects.
        results: Predictions with masks.
        score_threshold: Predictions with at least this score are kept.
        ious: IoU thresholds.
        image_ids: Images that count; None: all.

    Returns:
        Fraction by IoU threshold; -1 if there is neither an object nor a prediction.
    """
    images = _overlaps(truth, results, image_ids)
    return {iou: _pooled(images, score_threshold, iou) for iou in ious}


def accuracy_section(truth: Annotations, results: Results, score_threshold: float) -> Section:
    """`instance_accuracy` as a section of a report."""
    found = instance_accuracy(truth, results, score_threshold=score_threshold)
    rule = f"TP / (TP + FP + FN) of masks with a score of at least {score_threshold:g}"
    numbers = {f"{iou:g}": fraction for iou, fraction in found.items()}
    return Section("accuracy", "accuracy by IoU", f"{rule}, pooled over images, one-to-one matching", numbers)


def best_score_threshold(
    truth: Annotations,
    results: Results,
    *,
    scores: Sequence[float] = SCORES,
    ious: Sequence[float] = IOUS,
    image_ids: Collection[int] | None = None,
) -> float:
    """The score threshold with the best mean accuracy, to be chosen on training images and used on others.

    Args:
        scores: Thresholds to choose from; of equally good ones the first is taken.
        truth, results, ious, image_ids: As for `instance_accuracy`.
    """
    images = _overlaps(truth, results, image_ids)
    means = [np.mean([_pooled(images, score, iou) for iou in ious]) for score in scores]
    return scores[int(np.argmax(means))]


def image_accuracies(
    truth: Annotations, results: Results, *, score_threshold: float, ious: Sequence[float] = IOUS
) -> dict[int, list[float]]:
    """Accuracy of each image at each IoU threshold by the image's id; -1 where nothing is and nothing was found.

    Args:
        truth, results, score_threshold, ious: As for `instance_accuracy`.
    """
    images = zip(truth.sizes, _overlaps(truth, results, None), strict=True)
    return {key: [_pooled([image], score_threshold, iou) for iou in ious] for key, image in images}


def _pooled(images: Sequence[Overlaps], score_threshold: float, iou: float) -> float:
    counts = np.array([_counts(image, score_threshold, iou) for image in images]).reshape(-1, 3).sum(0)
    return float(counts[0] / counts.sum()) if counts.any() else -1.0


def _counts(image: Overlaps, score_threshold: float, iou: float) -> tuple[int, int, int]:
    """True positives, false positives and false negatives of one image."""
    kept = image.scores >= score_threshold
    fits = image.ious[kept] > iou
    in_crowd = ~fits.any(1) & (image.crowds[kept] > iou)
    pairs = int((maximum_bipartite_matching(csr_array(fits), perm_type="column") >= 0).sum()) if fits.any() else 0
    return pairs, int((~in_crowd).sum()) - pairs, fits.shape[1] - pairs


def _overlaps(truth: Annotations, results: Results, image_ids: Collection[int] | None) -> list[Overlaps]:
    objects: dict[int, list[dict]] = defaultdict(list)
    for found, mask in zip(truth.objects, truth.masks, strict=True):
        objects[found["image_id"]].append({**found, "segmentation": mask})
    predictions: dict[int, list[dict]] = defaultdict(list)
    for record in results.with_field("segm"):
        predictions[record["image_id"]].append(record)
    chosen = truth.sizes if image_ids is None else image_ids
    return [_image_overlaps(predictions[key], objects[key]) for key in chosen]


def _image_overlaps(predictions: list[dict], objects: list[dict]) -> Overlaps:
    masks = [record["segmentation"] for record in predictions]
    crowd = np.array([bool(found.get("iscrowd")) for found in objects], dtype=bool)
    overlaps = np.zeros((len(predictions), len(objects)))
    if overlaps.size:
        overlaps[:] = coco_mask.iou(masks, [found["segmentation"] for found in objects], crowd.astype(int).tolist())
    same = category_ids(predictions)[:, None] == category_ids(objects)[None]
    overlaps *= same
    scores = np.array([record["score"] for record in predictions], dtype=float)
    return Overlaps(scores, overlaps[:, ~crowd], overlaps[:, crowd].max(1, initial=0))


def category_ids(records: list[dict]) -> np.ndarray:
    """[N] int64."""
    return np.array([record["category_id"] for record in records], dtype=np.int64)
