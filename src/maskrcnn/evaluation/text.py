"""Precision, recall and their harmonic mean of detected text, by the three rules that papers report.

The rules differ in what is ignored, in who is paired with whom, and in the score from which a text counts; none of
them ranks by score. `evaluation/text_report.py` makes their polygons from annotations and predictions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import shapely
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

IOU = 0.5
"""Words and found texts fit each other above it."""

IGNORED_PART = 0.5
"""A found text counts nothing if more than this part of it lies in one ignored word."""

MMOCR_THRESHOLDS = tuple(np.arange(0.3, 0.9, 0.1).tolist())
"""Seven, as floating-point numbers go: .3, .4, ... .9."""

Matching = Literal["first", "most"]


class TextScore(NamedTuple):
    """Fractions of 1."""

    precision: float
    recall: float
    hmean: float


class Counts(NamedTuple):
    """Of one image: pairs, words that can be found, found texts that count."""

    pairs: int
    words: int
    found: int


@dataclass(frozen=True)
class TextImage:
    """The words of one image and what was found there.

    Args:
        words: Annotated polygons, each [V, 2] x, y.
        ignored: Of each word, whether it cannot be read ("###") and is not looked for.
        found: Predicted polygons.
        scores: Of each, in 0..1.
    """

    words: Sequence[np.ndarray]
    ignored: Sequence[bool]
    found: Sequence[np.ndarray]
    scores: Sequence[float]


def mmocr_scores(images: Sequence[TextImage], *, matching: Matching = "first") -> dict[float, TextScore]:
    """The scores by MMOCR's rule at each of its seven thresholds; it reports the one with the best `hmean`.

    A word is paired with the first unpaired found text that fits it, in the given orders (MMOCR 1.0.1,
    `HmeanIOUMetric`). Scores are compared in single precision with double-precision thresholds: .7 is below .7.

    Args:
        images: All of the dataset; counts are pooled.
        matching: "most" makes as many pairs as possible (MMOCR's `max_matching`).

    Returns:
        By threshold. Without a word: recall 1, and precision 1 if nothing was found either, else 0.
    """
    fits = [_mmocr_fits(image) for image in images]
    return {
        threshold: _mmocr_score([_counts(fit[:, scores >= threshold], matching) for fit, scores in fits])
        for threshold in MMOCR_THRESHOLDS
    }


def best_threshold(scores: dict[float, TextScore]) -> float:
    """The first of the thresholds with the best harmonic mean."""
    return max(scores, key=lambda threshold: scores[threshold].hmean)


def icdar2015_score(images: Sequence[TextImage], *, score_threshold: float = 0) -> TextScore:
    """The score by the official script of ICDAR 2015's Incidental Scene Text challenge.

    Coordinates are cut to whole pixels, words that cannot be read are ignored, and pairs are made as in MMOCR's rule.
    The script has no threshold, all submitted texts count: so it is the submission that is cut at one.

    Args:
        images: Words and found texts of four corners; counts are pooled.
        score_threshold: Found texts with at least this score are submitted.

    Returns:
        Zeros where there is nothing to divide by.
    """
    return _plain_score([_icdar2015_counts(image, score_threshold) for image in images])


def ctw1500_score(images: Sequence[TextImage], *, score_threshold: float = 0) -> TextScore:
    """The score by the script that came with CTW1500 (`voc_eval_polygon.py`, first version of the annotations).

    Every word counts. Each found text, in the given order, goes to the word it overlaps most: right if they fit and the
    word is still free, wrong otherwise; found polygons that cross themselves count nothing.

    Args:
        images: Words and found texts of any polygon; counts are pooled.
        score_threshold: Found texts with at least this score are handed in; the script itself has none.
    """
    return _plain_score([_ctw1500_counts(image, score_threshold) for image in images])


def _mmocr_fits(image: TextImage) -> tuple[np.ndarray, np.ndarray]:
    """[W, F] whether words and found texts fit, and [F] scores, without what is ignored or scores too low."""
    scores = np.array(image.scores, dtype=np.float32).astype(np.float64)
    words, found = (_polygons(polygons, np.float32) for polygons in (image.words, image.found))
    ignored = np.array(image.ignored, dtype=bool)
    kept = scores >= min(MMOCR_THRESHOLDS)
    found, scores = found[kept], scores[kept]
    counts = ~_in_ignored(words[ignored], found, margin=1e-5)
    return _overlaps(words[~ignored], found[counts]) > IOU, scores[counts]


def _icdar2015_counts(image: TextImage, score_threshold: float) -> Counts:
    words, found = (_polygons(polygons, np.int64) for polygons in (image.words, image.found))
    found = found[np.array(image.scores, dtype=float) >= score_threshold]
    ignored = np.array(image.ignored, dtype=bool)
    found = found[~_in_ignored(words[ignored], found, margin=0)]
    return _counts(_overlaps(words[~ignored], found) > IOU, "first")


def _ctw1500_counts(image: TextImage, score_threshold: float) -> Counts:
    words = np.array([shapely.Polygon(polygon) for polygon in image.words], dtype=object)
    taken: set[int] = set()
    wrong = 0
    for polygon, score in zip(image.found, image.scores, strict=True):
        text = shapely.Polygon(polygon)
        if score < score_threshold or not text.is_valid:
            continue
        overlaps = np.where(shapely.is_valid(words), _overlaps_valid(words, text), 0.0)
        best = int(overlaps.argmax()) if len(overlaps) else -1
        if best < 0 or overlaps[best] <= IOU or best in taken:
            wrong += 1
        else:
            taken.add(best)
    return Counts(len(taken), len(words), len(taken) + wrong)


def _polygons(contours: Sequence[np.ndarray], dtype: type) -> np.ndarray:
    """[N] shapely polygons; those that cross themselves become what their inside covers, in one piece."""
    rounded = [np.asarray(polygon).astype(dtype).astype(np.float64) for polygon in contours]
    polygons = np.array([shapely.Polygon(polygon) for polygon in rounded], dtype=object)
    repaired = np.where(shapely.is_valid(polygons), polygons, shapely.buffer(polygons, 0))
    return np.where(shapely.get_num_geometries(repaired) > 1, shapely.convex_hull(repaired), repaired)


def _in_ignored(ignored: np.ndarray, found: np.ndarray, *, margin: float) -> np.ndarray:
    """[F] whether more than half of a found text lies in a single ignored word."""
    areas = shapely.area(found) + margin
    inside = shapely.area(shapely.intersection(ignored[:, None], found[None])).max(axis=0, initial=0)
    return inside > IGNORED_PART * areas


def _overlaps(words: np.ndarray, found: np.ndarray) -> np.ndarray:
    """[W, F] intersection over union."""
    return _overlaps_valid(words[:, None], found[None])


def _overlaps_valid(first: np.ndarray, second: np.ndarray | shapely.Polygon) -> np.ndarray:
    shared = shapely.area(shapely.intersection(first, second))
    union = shapely.area(first) + shapely.area(second) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _counts(fits: np.ndarray, matching: Matching) -> Counts:
    words, found = fits.shape
    if matching == "most":
        pairs = int((maximum_bipartite_matching(csr_array(fits), perm_type="row") >= 0).sum()) if fits.any() else 0
        return Counts(pairs, words, found)
    free = np.ones(found, dtype=bool)
    for fit in fits:
        candidates = np.flatnonzero(fit & free)
        free[candidates[:1]] = False
    return Counts(int((~free).sum()), words, found)


def _mmocr_score(counts: Sequence[Counts]) -> TextScore:
    pairs, words, found = _pooled(counts)
    if not words:
        return _score(0.0 if found else 1.0, 1.0)
    return _score(pairs / found if found else 0.0, pairs / words)


def _plain_score(counts: Sequence[Counts]) -> TextScore:
    pairs, words, found = _pooled(counts)
    return _score(pairs / found if found else 0.0, pairs / words if words else 0.0)


def _pooled(counts: Sequence[Counts]) -> Counts:
    return Counts(*(sum(column) for column in zip(*counts, strict=True))) if counts else Counts(0, 0, 0)


def _score(precision: float, recall: float) -> TextScore:
    total = precision + recall
    return TextScore(precision, recall, 2 * precision * recall / total if total else 0.0)
