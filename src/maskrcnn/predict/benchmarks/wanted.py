"""What predictions must have for a benchmark to score them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ...errors import DataError
from ...evaluation.coco_input import Measure, field_of
from .benchmark import Records

Wanted = TypeVar("Wanted", bound=Measure)
REMEDY = "Use weights that find it."


def kinds_given(records: Records, kinds: Sequence[Wanted]) -> Sequence[Wanted]:
    """Of what a benchmark scores, what the predictions have; all of it where there is no prediction at all.

    Raises:
        DataError: They have nothing of it.
    """
    require_any(records, list(dict.fromkeys(field_of(kind) for kind in kinds)), REMEDY)
    given = [kind for kind in kinds if any(record.get(field_of(kind)) is not None for record in records)]
    return given or kinds


def require_any(records: Records, fields: Sequence[str], remedy: str) -> None:
    """Refuse predictions that have nothing of what is scored; no prediction at all is a sound result.

    Args:
        records: The predictions.
        fields: Of which one prediction at least must have one.
        remedy: A sentence on what to do.

    Raises:
        DataError: None has any.
    """
    if records and not any(record.get(field) is not None for record in records for field in fields):
        wanted = " or ".join(f"`{field}`" for field in fields)
        raise DataError(
            f"results: none of the {len(records)} predictions has {wanted}, which is what the benchmark scores. "
            f"{remedy}"
        )
