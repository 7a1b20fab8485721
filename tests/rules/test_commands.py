import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from maskrcnn.config.presets import read_preset
from maskrcnn.data.shapes import write_shapes
from maskrcnn.model.build import build_model
from maskrcnn.structures.classes import Classes
from maskrcnn.weights.convert import write_foreign
from maskrcnn.weights.own import Weights
from tests.rules.commands import Block, blocks_of
from tests.rules.source import DOCUMENTS, ROOT

BENCHMARKS = ROOT / "docs" / "benchmarks"  # run by test_benchmark_pages.py
PAGES = [page for page in DOCUMENTS if BENCHMARKS not in page.parents]


@pytest.fixture
def reader(tmp_path):
    """The folder of somebody who follows the documentation."""
    write_shapes(tmp_path, train=8, val=2, size=64, seed=0)
    (tmp_path / "photos").mkdir()
    for place in (tmp_path / "photos" / "one.png", tmp_path / "photos" / "two.png", tmp_path / "photo.png"):
        shutil.copy(tmp_path / "images" / "val_0001.png", place)
    write_detectron2_file(tmp_path / "model_final.pkl")
    return tmp_path


def write_detectron2_file(path: Path) -> None:
    """A small model with random weights in the form of detectron2's model zoo."""
    settings = read_preset("detectron2/mask_rcnn_R_50_FPN")
    settings.backbone.name, settings.input.min_size, settings.input.max_size = "resnet18", 64, 64
    settings.box_head.channels = settings.mask_head.channels = settings.neck.channels = 32
    model = build_model(settings, 2)
    write_foreign(path, Weights(model.state_dict(), settings, Classes(("cat", "dog"), (1, 2))), "detectron2")


def run(block: Block, folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.commands],
        cwd=folder,
        env={**os.environ, "PATH": path, "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block.commands}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_of_the_documentation_run(page, reader):
    for block in blocks_of(page.read_text(encoding="utf-8")):
        if not block.slow and not block.reason:
            run(block, reader)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_slow_commands_of_the_documentation_run(page, reader):
    blocks = [block for block in blocks_of(page.read_text(encoding="utf-8")) if not block.reason]
    if not any(block.slow for block in blocks):
        pytest.skip("the page has no slow commands")
    for block in blocks:
        run(block, reader)


def test_the_documentation_shows_commands():
    assert any(blocks_of(page.read_text(encoding="utf-8")) for page in PAGES)


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("Text\n```bash\nls\n```\n", Block("ls")),
        ("<!-- tested slowly -->\n```bash\nls\n```", Block("ls", slow=True)),
        ("<!-- untested: needs a GPU -->\n```bash\nls\n```", Block("ls\n", reason="needs a GPU")),
        (
            "<!-- tested with train.steps=2 -->\n```bash\nls\nmaskrcnn train \\\n--data a.json\n```",
            Block("ls\nmaskrcnn train  --data a.json train.steps=2"),
        ),
        (
            "<!-- tested slowly with train.steps=2 -->\n```bash\nmaskrcnn train\n```",
            Block("maskrcnn train train.steps=2", slow=True),
        ),
    ],
)
def test_a_note_above_a_block_says_how_it_is_run(page, expected):
    assert blocks_of(page) == [expected]


def test_other_blocks_are_no_commands():
    assert blocks_of("```python\nprint()\n```\n```text\nls\n```") == []


def test_a_command_that_fails_is_shown(tmp_path):
    with pytest.raises(AssertionError, match="no_such_command"):
        run(Block("ls\nno_such_command"), tmp_path)
