"""Errors a user can act on: every message names the file, the record, the rule and the remedy."""

from collections.abc import Sequence


class MaskRCNNError(Exception):
    """Base of all errors this library raises on purpose; the command line prints it without a traceback."""


class SettingError(MaskRCNNError):
    """A setting is unknown, of the wrong type, or contradicts another."""


class DataError(MaskRCNNError):
    """An image or an annotation file cannot be used as it is."""


class WeightsError(MaskRCNNError):
    """A checkpoint cannot be read, or does not fit the model."""


class TrainingError(MaskRCNNError):
    """Training cannot go on, for example because a loss is not finite."""


class MeasurementError(MaskRCNNError):
    """Time or memory cannot be measured, for example because a process ran out of memory."""


def require_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """An argument is one of a few words.

    Raises:
        SettingError: It is not.
    """
    if value not in choices:
        raise SettingError(f"{name}={value}: must be one of {', '.join(choices)}.")
