"""The scripts of the folder `profiling/`, which take too long to be run by tests."""

import ast

import pytest

from tests.rules.source import ROOT


@pytest.mark.parametrize("path", sorted((ROOT / "profiling").glob("*.py")), ids=lambda path: path.stem)
def test_a_script_reads_the_options_that_it_has(path):
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    calls = [node for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    options = {node.args[0].value.strip("-").replace("-", "_") for node in calls if node.func.attr == "add_argument"}
    attributes = [node for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    assert {node.attr for node in attributes if node.value.id == "arguments"} == options
