"""Changes one operator of the library at random and runs that file's own tests: which changes go unnoticed?

`python -m tests.campaign.operators SEED COUNT`; `make mutations`. The work is done in a copy of the repository.
"""

import ast
import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("ops", "structures", "model", "evaluation", "data", "training", "weights", "predict")
CHANGES: dict[type[ast.AST], tuple[str, str]] = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"), ast.FloorDiv: ("//", "*"), ast.And: ("and", "or"), ast.Or: ("or", "and"),
}  # fmt: skip
SECONDS = 600


class Mutation(NamedTuple):
    """One operator of a file: where it is in its bytes, and what takes its place."""

    path: Path
    line: int
    start: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.old} became {self.new}"


def mutations(path: Path) -> Iterator[Mutation]:
    """Every change of an operator in a file; annotations of types have none."""
    content = (ROOT / path).read_bytes()
    lines = [0]
    for line in content.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    tree = ast.parse(content)
    types = {id(part) for node in ast.walk(tree) for kind in _annotations(node) for part in ast.walk(kind)}
    for node in ast.walk(tree):
        for left, operator, right in _operations(node) if id(node) not in types else ():
            if type(operator) in CHANGES:
                old, new = CHANGES[type(operator)]
                begin = lines[left.end_lineno - 1] + left.end_col_offset
                end = lines[right.lineno - 1] + right.col_offset
                at = content[begin:end].find(old.encode())
                if at >= 0:
                    yield Mutation(path, left.end_lineno, begin + at, old, new)


def _annotations(node: ast.AST) -> list[ast.AST]:
    return [kind for name in ("annotation", "returns") if (kind := getattr(node, name, None)) is not None]


def _operations(node: ast.AST) -> list[tuple[ast.expr, ast.AST, ast.expr]]:
    """Operators with their operands."""
    match node:
        case ast.BinOp(left=left, op=operator, right=right):
            return [(left, operator, right)]
        case ast.Compare(left=left, ops=operators, comparators=others):
            return list(zip([left, *others], operators, others))
        case ast.BoolOp(op=operator, values=values):
            return [(one, operator, other) for one, other in itertools.pairwise(values)]
    return []


def own_tests(path: Path) -> list[str]:
    """Test files that are named as the file, or as its folder, or else all of the part of the library."""
    part = path.relative_to("src/maskrcnn").parts[0]
    tests = sorted((ROOT / "tests" / part).rglob("test_*.py"))
    named = [test for test in tests if test.stem in (f"test_{path.stem}", f"test_{path.parent.name}")]
    users = [test for test in tests if f"{path.parent.name}.{path.stem} " in test.read_text(encoding="utf-8")]
    return [str(test.relative_to(ROOT)) for test in dict.fromkeys([*named, *users])] or [f"tests/{part}"]


def is_noticed(mutation: Mutation, copy: Path) -> bool:
    """Whether the file's own tests, or else those of its part of the library, fail with it or do not end."""
    file = copy / mutation.path
    whole = file.read_bytes()
    end = mutation.start + len(mutation.old)
    file.write_bytes(whole[: mutation.start] + mutation.new.encode() + whole[end:])
    part = f"tests/{mutation.path.relative_to('src/maskrcnn').parts[0]}"
    try:
        return any(_fail(tests, copy) for tests in (own_tests(mutation.path), [part]))
    finally:
        file.write_bytes(whole)


def _fail(tests: list[str], copy: Path) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        return subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=SECONDS).returncode != 0
    except subprocess.TimeoutExpired:
        return True


def main(seed: int, count: int) -> None:
    paths = [path.relative_to(ROOT) for part in FOLDERS for path in (ROOT / "src/maskrcnn" / part).rglob("*.py")]
    every = [mutation for path in sorted(paths) for mutation in mutations(path)]
    chosen = random.Random(seed).sample(every, count)
    noticed = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(".git", ".venv*", "__pycache__"))
        for number, mutation in enumerate(chosen, start=1):
            found = is_noticed(mutation, copy)
            noticed += found
            if not found:
                print(f"not noticed: {mutation}", flush=True)
            print(f"{noticed} of {number} noticed", end="\r", file=sys.stderr, flush=True)
    print(f"{noticed} of {count} changes noticed ({noticed / count:.0%}), of {len(every)} that there are")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
