"""Errors a user can act on: every message names the file, the record, the rule and the remedy."""


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
