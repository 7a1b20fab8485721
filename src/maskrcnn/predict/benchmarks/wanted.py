"""What predictions must have for a benchmark to score them."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import DataError
from .benchmark import Records


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
