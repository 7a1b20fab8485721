"""The command line prints through `cli/console.py` alone: results on standard output, everything else beside them."""

import ast

import pytest

from tests.rules.source import trees

VERBS = [path for path in trees() if path.startswith("cli/") and path != "cli/console.py"]


def other_ways(tree: ast.Module) -> list[str]:
    """Calls of `print`, and of rich's `Console`, which prints."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return sorted(one.id for one in calls if isinstance(one, ast.Name) and one.id in ("Console", "print"))


@pytest.mark.parametrize("path", VERBS)
def test_verbs_print_in_one_way(path):
    assert other_ways(trees()[path]) == []


def test_another_way_is_found():
    assert other_ways(ast.parse("Console(stderr=True).print(1)\nprint(2)\nshow(3)")) == ["Console", "print"]
