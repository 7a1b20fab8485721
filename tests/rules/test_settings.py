import ast
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from maskrcnn import config
from tests.rules.source import functions, trees

ALL_SETTINGS = [value for value in vars(config).values() if isinstance(value, type) and issubclass(value, BaseModel)]
FIELDS = {name for settings in ALL_SETTINGS for name in settings.model_fields}
# Parameters that share a setting's name but not its meaning.
OTHER_MEANING = {
    ("ops/roi_align.py", "samples"): "points per bin of RoIAlign, not proposals per image",
    ("predict/predictor.py", "precision"): "of prediction on this machine; the setting is that of training",
}
OUTSIDE = [path for path in trees() if not path.startswith("config/")]


def defaults_given(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names and defaults of all parameters and of all fields of classes."""
    for function in functions(tree):
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args]
        yield from ((argument.arg, value) for argument, value in zip(positional[::-1], arguments.defaults[::-1]))
        yield from ((a.arg, value) for a, value in zip(arguments.kwonlyargs, arguments.kw_defaults) if value)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            yield from (
                (field.target.id, field.value)
                for field in node.body
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and field.value
            )


def second_defaults(tree: ast.Module) -> list[str]:
    """Parameters that are called like a setting and carry a value of their own.

    None ("as set"), 0, 1 and truth values are neutral: they switch something off instead of choosing a number.
    """
    return [
        name
        for name, value in defaults_given(tree)
        if name in FIELDS and isinstance(value, ast.Constant) and value.value not in (None, 0, 1)
    ]


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_setting_has_its_default_in_config_only(path):
    assert [name for name in second_defaults(trees()[path]) if (path, name) not in OTHER_MEANING] == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def nms(*, nms_threshold: float = 0.5): ...", ["nms_threshold"]),
        ("def train(steps=1000): ...", ["steps"]),
        ("class Head:\n    channels: int = 256", ["channels"]),
        ("def resize(image, scale: float = 1.0, crop=None): ...", []),
    ],
)
def test_a_second_default_is_found(text, found):
    assert second_defaults(ast.parse(text)) == found


@pytest.mark.parametrize("settings", ALL_SETTINGS)
def test_every_setting_is_described(settings):
    assert [name for name, field in settings.model_fields.items() if not field.description] == []


def test_every_setting_is_used():
    read = {node.attr for path in OUTSIDE for node in ast.walk(trees()[path]) if isinstance(node, ast.Attribute)}
    assert FIELDS - read == set()
