"""From which score on an object counts as found, and who says so."""

from collections.abc import Mapping

from ..config import SCORE_THRESHOLD
from ..errors import WeightsError
from ..evaluation.accuracy import Threshold

NOTE = "score_threshold"
"""The weights' note with the threshold that was chosen on their training images."""


def find_threshold(given: float | None, notes: Mapping[str, str]) -> Threshold:
    """The score threshold somebody gave, or the weights' own, or the usual one.

    Args:
        given: None if nobody gave one.
        notes: Of the weights.

    Raises:
        WeightsError: The weights' note is no fraction.
    """
    if given is not None:
        return Threshold(given, "given")
    if NOTE not in notes:
        return Threshold(SCORE_THRESHOLD, "default")
    try:
        score = float(notes[NOTE])
    except ValueError:
        score = -1
    if not 0 <= score <= 1:
        raise WeightsError(
            f"the weights' note {NOTE} is {notes[NOTE]!r}, but must be a number in 0..1. Give --score-threshold."
        )
    return Threshold(score, "weights")
