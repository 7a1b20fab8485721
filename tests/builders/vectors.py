"""Test vectors of benchmarks, made with the official evaluators; a vector dropped into the folder is tested at once."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(
    os.environ.get("MASKRCNN_VECTORS", Path(__file__).parents[2].parent / "shared" / "benchmarks" / "vectors")
)


def vector_files(*benchmarks: str) -> list:
    """Files of some benchmarks as test parameters; one that skips with the reason where there are none."""
    files = [path for benchmark in benchmarks for path in sorted((FOLDER / benchmark).glob("*.json"))]
    if files:
        return [pytest.param(path, id=f"{path.parent.name}-{path.stem}") for path in files]
    reason = f"no test vectors at {FOLDER}; set MASKRCNN_VECTORS to the folder that holds {', '.join(benchmarks)}"
    return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="none")]


def load_vector(path: Path) -> dict:
    """`input`, `expected` and what else the file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def number(value: float | str) -> float:
    """A number of a vector; those that are not finite are words there."""
    return float(value)


def label_map(encoded: dict) -> np.ndarray:
    """[H, W] integers of row-major runs [[value, length], ...]."""
    values, lengths = np.array(encoded["runs"], dtype=np.int64).reshape(-1, 2).T
    return np.repeat(values, lengths).reshape(encoded["shape"])
