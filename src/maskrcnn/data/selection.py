"""A part of a data set, chosen by what its image records say."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..errors import DataError, SettingError
from .records import CocoData, Record


def select_records(data: CocoData, conditions: Sequence[str]) -> CocoData:
    """The pictures whose image records fit all conditions.

    Args:
        data: A data set.
        conditions: `field=value`, such as `gray=true` or `modality=fluorescence`. Values are compared as JSON writes
            them, without regard to case; a record without the field counts as `null`.

    Raises:
        SettingError: A condition is not written so.
        DataError: No record has the field, or none fits.
    """
    fields = {name for record in data.records for name in record.fields}
    wanted = {}
    for words in conditions:
        name, equals, value = words.partition("=")
        if not equals:
            raise SettingError(f"{words}: conditions are written as field=value, for example gray=true.")
        if name not in fields:
            raise DataError(
                f"{data.source}: no image record has the field {name!r} of the condition {words}. Their fields are "
                f"{', '.join(sorted(fields)) or 'none'}."
            )
        wanted[name] = value.casefold()
    records = [record for record in data.records if _fits(record, wanted)]
    if wanted and not records:
        raise DataError(
            f"{data.source}: none of the {len(data.records)} pictures fits {' and '.join(conditions)}. Their records "
            f"say {'; '.join(_values(data, name) for name in wanted)}."
        )
    return replace(data, records=records)


def _fits(record: Record, wanted: dict[str, str]) -> bool:
    return all(_written(record.fields.get(name)).casefold() == value for name, value in wanted.items())


def _values(data: CocoData, name: str, most: int = 5) -> str:
    """Values a field has, for a message."""
    values = sorted({_written(record.fields.get(name)) for record in data.records})
    return f"{name}={' or '.join(values[:most])}{' or others' if len(values) > most else ''}"


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
