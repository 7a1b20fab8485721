"""What a message may say: it is read by people in Python and on the command line alike."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.rules.source import functions, trees

OPTION = re.compile(r"--[a-z]")
# Commands to copy, and brackets after what Python calls the same: `submission (--submission)`.
FOR_BOTH = re.compile(r"maskrcnn [a-z][^`]*|\([^()]*--[a-z][^()]*\)")
LIBRARY = [path for path in trees() if not path.startswith("cli/")]


def texts(tree: ast.Module) -> Iterator[str]:
    """The strings of a module, with `{}` for what is put into them; no docstrings."""
    scopes = [tree, *functions(tree), *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]
    said = {id(scope.body[0].value) for scope in scopes if scope.body and isinstance(scope.body[0], ast.Expr)}
    said |= {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.value


def bare_options(tree: ast.Module) -> list[str]:
    return [text for text in texts(tree) if OPTION.search(FOR_BOTH.sub("", text))]


@pytest.mark.parametrize("path", LIBRARY)
def test_the_library_names_an_option_of_the_command_line_only_beside_its_own_word(path):
    assert bare_options(trees()[path]) == []


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("give --val", True),
        ("validation data (--val)", False),
        ("go on by `maskrcnn train --resume`", False),
        ("a -- b", False),
    ],
)
def test_a_bare_option_is_found(text, bare):
    assert bool(bare_options(ast.parse(f"print({text!r})"))) == bare
    assert bare_options(ast.parse(f"def f():\n    {text!r}")) == []
