import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

LONGEST = 240
"""Seconds on two cores without a GPU."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_learns_its_shapes_in_four_minutes(tmp_path):
    began = time.monotonic()
    program = Path(sys.executable).parent / "maskrcnn"
    done = subprocess.run(
        [program, "demo", "--output", "demo"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - began
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "demo" / "run" / "scores.json").read_text())
    assert scores["segm"]["AP"] >= 0.60
    assert f"mask AP {scores['segm']['AP']:.3f}" in done.stderr
    assert (tmp_path / "demo" / "sheet.png").exists()
    assert seconds <= LONGEST
