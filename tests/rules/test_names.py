import ast
import importlib
import subprocess
import sys

import pytest

import maskrcnn
from tests.rules.source import PACKAGE, ROOT, trees

PROGRAM = ROOT / "tests" / "rules" / "typed_program.py"
# What a type checker does not see: that a module took the place of a name, and that an import costs seconds.
FRESH = """
import importlib, sys, types, maskrcnn
assert "torch" not in sys.modules and "pydantic" not in sys.modules
for module in {modules}:
    importlib.import_module("maskrcnn." + module)
print([name for name in maskrcnn.__all__ if isinstance(getattr(maskrcnn, name), types.ModuleType)])
"""


@pytest.mark.parametrize("name", maskrcnn.__all__)
def test_public_names_can_be_imported_and_say_what_they_are(name):
    assert getattr(maskrcnn, name).__doc__


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Maskrcnn'"):
        maskrcnn.Maskrcnn  # noqa: B018


def test_type_checkers_see_the_names_where_the_program_finds_them():
    (block,) = [node for node in trees()["__init__.py"].body if isinstance(node, ast.If)]
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == maskrcnn._HOMES
    assert sorted(seen) == sorted(maskrcnn.__all__)


def test_importing_is_fast_and_no_module_takes_the_place_of_a_name():
    modules = sorted({path.partition("/")[0].removesuffix(".py") for path in trees()} | set(maskrcnn._HOMES.values()))
    program = FRESH.format(modules=[name for name in modules if name not in ("__init__", "__main__")])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_the_typed_program_uses_every_public_name():
    used = {
        node.attr
        for node in ast.walk(ast.parse(PROGRAM.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "maskrcnn"
    }
    assert used == set(maskrcnn.__all__)


def test_a_type_checker_sees_the_type_of_every_public_name():
    pytest.importorskip("mypy", reason="mypy is not installed")
    # Also a part of `make check`, which gives mypy all tests.
    done = subprocess.run([sys.executable, "-m", "mypy", str(PROGRAM)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", trees())
def test_every_module_can_be_imported(path):
    importlib.import_module(".".join(["maskrcnn", *path.removesuffix(".py").split("/")]).removesuffix(".__init__"))


def test_there_is_no_folder_or_file_for_everything_else():
    assert [p for p in PACKAGE.rglob("*") if p.stem.strip("_") in {"utils", "common", "core", "helpers", "misc"}] == []


@pytest.mark.parametrize("path", trees())
def test_public_functions_and_classes_have_a_docstring(path):
    public = [
        node
        for node in trees()[path].body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    assert [node.name for node in public if not ast.get_docstring(node)] == []
