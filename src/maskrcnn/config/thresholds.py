"""From which score on a prediction counts as found, where neither the caller nor the weights say otherwise."""

SCORE_THRESHOLD = 0.5
"""Of drawings, and of all numbers that are about objects found rather than about a ranking."""
