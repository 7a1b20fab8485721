"""What a benchmark says of predictions, as tests want to read it."""

from collections.abc import Sequence

from maskrcnn.benchmarks.benchmark import Benchmark


def numbers(opened: Benchmark, records: Sequence[dict]) -> dict[str, dict]:
    """The numbers by section."""
    return {section.name: dict(section.numbers) for section in opened.score(records)}


def perfect(opened: Benchmark) -> list[dict]:
    """The annotated objects as predictions."""
    return [{**found, "score": 0.9} for found in opened.truth.objects]
