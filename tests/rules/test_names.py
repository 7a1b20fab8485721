import ast
import importlib

import pytest

import maskrcnn
from tests.rules.source import PACKAGE, trees


@pytest.mark.parametrize("name", maskrcnn.__all__)
def test_public_names_can_be_imported_and_say_what_they_are(name):
    assert getattr(maskrcnn, name).__doc__


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Maskrcnn'"):
        maskrcnn.Maskrcnn  # noqa: B018


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
