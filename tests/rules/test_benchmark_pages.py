"""The pages on benchmarks: each benchmark is in the table, and each command runs on a small official folder.

A command of `maskrcnn` runs in this process, which saves the seconds of its start; other lines run in a shell.
"""

import json
import re
import shlex
import subprocess

import pytest

from maskrcnn.benchmarks.registry import BENCHMARKS, find_benchmark, open_benchmark
from tests.builders.layouts import write_layouts
from tests.rules.commands import blocks_of
from tests.rules.source import DOCUMENTS, ROOT

FOLDER = ROOT / "docs" / "benchmarks"
PAGES = sorted(FOLDER.glob("*.md"))
ROW = re.compile(r"^\| \[`([\w.-]+)`\]\((\w+\.md)", re.MULTILINE)
NAMED = re.compile(r"maskrcnn benchmark ([a-z][\w.-]*\w)")


@pytest.fixture(scope="session")
def official_files(tmp_path_factory):
    root = tmp_path_factory.mktemp("benchmarks")
    write_layouts(root)
    return root


@pytest.fixture
def reader(official_files, tmp_path, monkeypatch):
    """The folder of somebody who has all benchmarks, and weights for them."""
    for path in official_files.iterdir():
        (tmp_path / path.name).symlink_to(path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_the_pages_on_benchmarks_run(page, reader, run_cli):
    text = page.read_text(encoding="utf-8")
    for block in blocks_of(text):
        assert not block.reason, "every benchmark has its small folder"
        for line in block.commands.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] != ["maskrcnn"]:
                subprocess.run(["bash", "-euo", "pipefail", "-c", line], cwd=reader, check=True)
                continue
            report = words[words.index("--json") + 1] if "--json" in words else "report.json"
            done = run_cli(*words[1:], "--json", report)
            assert done.code == 0, f"{line}\n{done.out}\n{done.err}"
            found = json.loads((reader / report).read_text(encoding="utf-8"))
            assert found["predictions"], f"{line}: finds nothing, so tries nothing"
            unnamed = [section for section in found.get("rules", ()) if f"`{section}`" not in text]
            assert not unnamed or page.stem == "README", f"the page does not say what {unnamed} are"


def test_every_benchmark_is_in_the_table_and_on_its_page():
    rows = ROW.findall((FOLDER / "README.md").read_text(encoding="utf-8"))
    assert sorted(name for name, _ in rows) == sorted(BENCHMARKS)
    for name, page in rows:
        run = "".join(block.commands for block in blocks_of((FOLDER / page).read_text(encoding="utf-8")))
        assert name in NAMED.findall(run), f"{page} has no command for {name}"


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda path: path.name)
def test_benchmarks_named_in_documents_exist(page):
    assert set(NAMED.findall(page.read_text(encoding="utf-8"))) <= BENCHMARKS.keys()


def table_row(name):
    """Cells of a benchmark's row."""
    lines = (FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    (row,) = [line for line in lines if line.startswith(f"| [`{name}`]")]
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_table_has_each_benchmarks_splits(name):
    splits = table_row(name)[3]
    if splits == "as `coco`":
        splits = table_row("coco")[3]
    if splits == "val, test, each also -moderate, -hard":
        splits = "val, test, val-moderate, test-moderate, val-hard, test-hard"
    assert tuple(splits.split(", ")) == find_benchmark(name).splits


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_table_says_what_is_submitted(name, official_files):
    page = FOLDER / ROW.search(f"| {table_row(name)[0]}").group(2)
    commands = [
        shlex.split(line) for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("maskrcnn")
    ]
    words = next(words for words in commands if name in words)
    split = words[words.index("--split") + 1] if "--split" in words else None
    opened = open_benchmark(name, official_files / words[words.index("--data") + 1], split)
    assert bool(table_row(name)[5]) == (opened.submits is not None)
