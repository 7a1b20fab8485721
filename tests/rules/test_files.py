import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.rules.source import PACKAGE, ROOT, functions, trees

TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".json", ".txt", ".html", ""}
FOLDERS = [ROOT / name for name in ("src", "tests", "docs", "profiling", ".ci")]
# Written in pieces, so that this file does not find itself.
FOREIGN = re.compile("|".join(["/wo" + "rk/", "/ro" + "ot/", r"/ho" + r"me/\w", "index" + "-url", "find" + "-links"]))


def texts():
    files = [path for folder in FOLDERS for path in folder.rglob("*")] + list(ROOT.glob("[!.]*"))
    return [path for path in files if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts]


def test_no_file_names_a_place_on_one_machine():
    found = [path for path in texts() if FOREIGN.search(path.read_text(encoding="utf-8", errors="ignore"))]
    assert found == []


def test_no_results_of_commands_lie_in_the_repository():
    """The top has folders that are named here, and no data."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    folders = {file.partition("/")[0] for file in files if "/" in file and not file.startswith(".")}
    assert folders == {"src", "tests", "docs", "examples", "profiling"}
    assert {Path(file).suffix for file in files if "/" not in file} <= {"", ".md", ".cff", ".yml", ".yaml", ".toml"}


@pytest.mark.parametrize("path", trees())
def test_files_and_functions_hold_one_idea(path):
    lines = (PACKAGE / path).read_text(encoding="utf-8").count("\n")
    assert lines <= 500
    assert [f.name for f in functions(trees()[path]) if lines_of_code(f) > 50] == []


def lines_of_code(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function's body without its docstring, which may be long where arguments are many."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return function.end_lineno - body[0].lineno + 1 if body else 0
