"""The configuration that mmdetection's files hold as text, as settings; nothing in it is executed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from .structure import Tree


def read_config(meta: Mapping[str, Any], found: Tree) -> Tree:
    """Settings that the configuration in a file's `meta` tells; none if it holds none, or cannot be read.

    Args:
        meta: Has the text as `cfg` (3.x) or `config` (2.x).
        found: What is known already.
    """
    text = meta.get("cfg", meta.get("config"))
    if not isinstance(text, str):
        return {}
    values = parse_assignments(text)
    return values if not values else {}


def parse_assignments(text: str) -> dict[str, Any]:
    """The plain values that a Python file assigns to names: literals, `dict(...)` of them, and earlier names.

    Assignments of anything else are left out, and so is a text that is no Python.
    """
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    values: dict[str, Any] = {}
    for line in body:
        if isinstance(line, ast.Assign) and len(line.targets) == 1 and isinstance(line.targets[0], ast.Name):
            try:
                values[line.targets[0].id] = _value(line.value, values)
            except (ValueError, TypeError, RecursionError):
                continue
    return values


def _value(node: ast.expr, known: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return {word.arg: _value(word.value, known) for word in node.keywords if word.arg is not None}
    if isinstance(node, ast.Dict):
        keys = [_value(key, known) for key in node.keys if key is not None]
        return dict(zip(keys, [_value(value, known) for value in node.values], strict=True))
    if isinstance(node, ast.List | ast.Tuple):
        return [_value(one, known) for one in node.elts]
    if isinstance(node, ast.Name):
        if node.id not in known:
            raise ValueError(node.id)
        return known[node.id]
    return ast.literal_eval(node)
