"""What all settings have in common: checked values, and changes by `key=value`, a YAML file or a dictionary.

Messages name the setting with its section, its value, its limits, and the neighbor of a wrong key.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from ..errors import DataError, SettingError
from ..ops.files import require_regular
from ..ops.yaml_text import parse_yaml

Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Length = Annotated[int, Field(ge=1, le=20_000)]
"""Pixels: of a side of an image, or of what it is padded to."""
Channels = Annotated[int, Field(ge=1, le=16_384)]
Layers = Annotated[int, Field(ge=0, le=100)]
SomeLayers = Annotated[int, Field(ge=1, le=100)]
Grid = Annotated[int, Field(ge=1, le=128)]
Boxes = Annotated[int, Field(ge=1, le=1_000_000)]
"""Numbers of boxes of an image. These limits are far above what is useful: a file of weights may ask for no more."""
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]

SCORE_THRESHOLD = 0.5
"""From which score on an object counts as found where predictions are drawn, counted or not ranked, unless the weights
note another; the model's own thresholds are settings."""
HINT = "`maskrcnn settings` describes all settings."
Changes = Mapping[str, Any] | Iterable[str] | Path | BaseModel | None
"""`{"train.steps": 2000}`, also nested; `["train.steps=2000"]`; a YAML file; settings, of which counts what differs
from the defaults; or nothing."""
_LIMITS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "above"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "below"),
}
_RULES = {kind: f"must be {words} {{{name}:g}}" for kind, (name, words) in _LIMITS.items()}
_RULES |= {
    "multiple_of": "must be a multiple of {multiple_of:g}",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "must match {pattern}",
    "value_error": "{error}",
    "too_short": "has too few values, at least {min_length} must be given",
    "missing": "must be given",
    "tuple_type": "must be a list",
    "model_type": "must hold settings, such as `name: value`",
    "finite_number": "must be finite",
} | {
    f"{kind}_{reason}": f"must be {words}"
    for kind, words in {"int": "a whole number", "float": "a number", "bool": "true or false"}.items()
    for reason in ("type", "parsing", "from_float")
}
"""What pydantic's kinds of errors say of a value; of others its own words are taken."""


class AtPrediction:
    """Marks a setting, or a section with all that is in it, that leaves a model's layers and weights as they are."""


AT_PREDICTION = AtPrediction()


class Settings(BaseModel):
    """Base of all settings: unknown keys are errors, values are checked also when they are assigned."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    if not TYPE_CHECKING:  # type checkers take the fields for the arguments and attributes

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise SettingError(f"{explain_errors(error, type(self))} {HINT}") from None

        # pydantic then checks sections itself, so that an error of a section is reported with the section's name.
        __init__.__pydantic_base_init__ = True

        def __setattr__(self, name: str, value: Any) -> None:
            try:
                super().__setattr__(name, value)
            except ValidationError as error:
                raise SettingError(f"{explain_errors(error, type(self))} {HINT}") from None

    def changed(self, *changes: Changes) -> Self:
        """A validated copy with other values; what comes later wins.

        Example:
            settings = RunSettings().changed({"train.steps": 2000}, ["box_head.detections_per_image=300"])

        Args:
            changes: Dictionaries by dotted key or nested, lists of `key=value`, YAML files (as `Path`), or settings,
                of which counts what differs from the defaults. In `key=value`, values are numbers, words, true,
                false, null, or lists such as `0.5,2`.

        Raises:
            SettingError: A key is unknown (with the one that was probably meant), a value breaks its rule, or a file
                cannot be read.
        """
        known = dict(walk_settings(type(self)))
        read = _read_changes(changes, known)
        tree = self.model_dump()
        for key, change in read.items():
            if key not in known:
                raise SettingError(f"{change.words}: {_unknown(key, list(known))} {HINT}")
            _put(tree, key.split("."), change.value)
        try:
            return type(self).model_validate(tree)
        except ValidationError as error:
            words = {key: change.words for key, change in read.items()}
            raise SettingError(f"{explain_errors(error, type(self), words)} {HINT}") from error

    def changed_at_prediction(self, *changes: Changes) -> Self:
        """As `changed`, but only what leaves a model's layers as they are.

        Raises:
            SettingError: The weights were trained with a value, so that it cannot be changed any more.
        """
        changed = self.changed(*changes)
        known = dict(walk_settings(type(self)))
        free = [key for key, field in known.items() if AT_PREDICTION in field.metadata]
        for key, change in _read_changes(changes, known).items():
            if not any(key == one or key.startswith(f"{one}.") for one in free):
                raise SettingError(
                    f"{change.words}: this cannot be changed when a model predicts, because its weights were trained "
                    f"with it, or because it is about training. Can be changed: {', '.join(free)}."
                )
        return changed


def walk_settings(settings: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Dotted key and field of every setting, sections before what is in them."""
    for name, field in settings.model_fields.items():
        yield prefix + name, field
        if section := section_of(field):
            yield from walk_settings(section, f"{prefix}{name}.")


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The settings below a field, or None if it holds a plain value or a list."""
    if get_origin(field.annotation) in (tuple, dict):
        return None
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def explain_errors(error: Exception, settings: type[BaseModel], words: Mapping[str, str] | None = None) -> str:
    """What is wrong with the values of settings, a line for each: its name, its value and its rule.

    Args:
        error: Of pydantic; others explain themselves.
        settings: The class that was validated.
        words: How values were given, by dotted key, where that is known.
    """
    if not isinstance(error, ValidationError):
        return str(error)
    known = dict(walk_settings(settings))
    rules: dict[str, list[str]] = {}
    for broken in error.errors():
        missing = broken["type"] == "missing"
        key, item = _place(broken["loc"], known, missing=missing)
        value = "" if isinstance(broken["input"], Mapping) else str(broken["input"])
        given = (words or {}).get(key) or (f"{key}={value}" if value and not item else key)
        if broken["type"] in ("extra_forbidden", "no_such_attribute"):
            rule = _unknown(key, list(known)).removesuffix(".")
        else:
            rule = _rule(broken["type"], broken["msg"], broken.get("ctx", {}), value, known.get(key))
        if broken["type"] == "missing" and not item and not key.endswith(str(broken["loc"][-1])):
            given = f"{key}.{broken['loc'][-1]}"
        if item:
            given = f"{given}: {item}" if missing else f"{given}: {item}={value}"
        rules.setdefault(given, []).append(rule)
    # A value of several kinds, such as a backbone's name, breaks the rule of each.
    lines = [f"{given}: {' or '.join(dict.fromkeys(broken))}." for given, broken in rules.items()]
    return "\n".join(lines).removeprefix(": ")


def _place(location: tuple[int | str, ...], known: Mapping[str, FieldInfo], *, missing: bool) -> tuple[str, str]:
    """Key of the setting that an error is about, and the place in it if its value is a list or an entry is missing."""
    key = ""
    inside: list[str] = []
    for part in location:
        if inside or (key in known and section_of(known[key]) is None):
            inside.append(f"[{part}]" if isinstance(part, int) else f".{part}")
        else:
            key = f"{key}.{part}" if key else str(part)
    if not inside or not (missing or inside[0].startswith("[")):  # a kind of value, or a name
        return key, ""
    return key, "".join(inside).removeprefix(".")


def _rule(kind: str, message: str, context: Mapping[str, Any], value: str, field: FieldInfo | None) -> str:
    if kind in _LIMITS and field is not None and get_origin(field.annotation) is not tuple:
        # Both limits of a number, of which pydantic names only the one that was passed.
        kinds = [field, *(mark for one in get_args(field.annotation) for mark in getattr(one, "__metadata__", ()))]
        marks = [mark for one in kinds if isinstance(one, FieldInfo) for mark in one.metadata]
        limits = [
            (words, getattr(mark, name)) for name, words in _LIMITS.values() for mark in marks if hasattr(mark, name)
        ]
        if limits:
            return f"must be {' and '.join(f'{words} {limit:g}' for words, limit in limits)}"
    if kind not in _RULES:
        return message[:1].lower() + message[1:]
    rule = _RULES[kind].format(**context)
    near = difflib.get_close_matches(value, re.findall("'([^']+)'", rule), n=1) if kind == "literal_error" else []
    return f"{rule} (did you mean {near[0]}?)" if near else rule


class _Change(NamedTuple):
    """A requested value, and the words in which it was given."""

    value: Any
    words: str


def _read_changes(sources: Iterable[Changes], known: Mapping[str, FieldInfo]) -> dict[str, _Change]:
    """The changes of all sources by dotted key; the last of each key counts."""
    changes: dict[str, _Change] = {}
    tree: Mapping[str, Any]
    for source in sources:
        if source is None:
            continue
        if isinstance(source, Path):
            tree, place = _read_file(source), f"{source}: "
        elif isinstance(source, BaseModel):
            tree, place = source.model_dump(exclude_defaults=True), ""
        elif isinstance(source, Mapping):
            tree, place = source, ""
        else:
            changes |= dict(_parse_word(word) for word in source)
            continue
        changes |= {key: _Change(value, f"{place}{key}={value}") for key, value in _leaves(tree, known)}
    return changes


def _parse_word(word: str) -> tuple[str, _Change]:
    key, equals, text = word.partition("=")
    if not equals or not key or not text:
        raise SettingError(f"{word}: settings are written as key=value, for example train.steps=2000. {HINT}")
    return key.strip(), _Change(_parse_value(text, word), word)


def _parse_value(text: str, word: str) -> Any:
    if text.lower() == "none":
        return None
    try:
        value = parse_yaml(text)
        if isinstance(value, str) and "," in value:
            return [parse_yaml(part) for part in value.split(",") if part.strip()]
    except ValueError as error:
        raise SettingError(f"{word}: {text!r} is neither a number, a word nor a list such as 0.5,2.") from error
    return value


def _read_file(file: Path) -> dict[str, Any]:
    try:
        require_regular(file)
        text = file.read_text(encoding="utf-8")
        tree = parse_yaml(text)
    except DataError as error:
        raise SettingError(str(error)) from error
    except (OSError, ValueError) as error:
        raise SettingError(f"{file}: cannot be read as YAML: {error}") from error
    if tree is None and text.strip():  # nothing but comments
        return {}
    if not isinstance(tree, dict):
        raise SettingError(f"{file}: must hold settings such as `train: {{steps: 2000}}`. {HINT}")
    return tree


def _leaves(tree: Mapping[str, Any], known: Mapping[str, FieldInfo], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values; a dictionary is a section unless it is a setting's value."""
    for name, value in tree.items():
        key = f"{prefix}{name}"
        value = value.model_dump() if isinstance(value, BaseModel) else value
        is_value = key in known and section_of(known[key]) is None
        if isinstance(value, Mapping) and value and not is_value:
            yield from _leaves(value, known, f"{key}.")
        else:
            yield key, value


def _put(tree: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        if tree[key] is None:  # a section that is switched off, such as mask_head
            tree[key] = {}
        tree = tree.setdefault(key, {})
    if value != {} or not tree.get(keys[-1]):  # {} switches a section on, and changes nothing in it
        tree[keys[-1]] = value


def _unknown(key: str, known: list[str]) -> str:
    same_end = [other for other in known if other.endswith(f".{key}")]
    near = same_end or difflib.get_close_matches(key, known, n=1)
    guess = f"; did you mean {' or '.join(near)}?" if near else "."
    section = (near[0] if near else key).rpartition(".")[0]
    while section and section not in known:
        section = section.rpartition(".")[0]
    depth = section.count(".") + 1 if section else 0
    names = [k.rpartition(".")[2] for k in known if k.startswith(section) and k.count(".") == depth]
    return f"there is no setting {key}{guess} In {section or 'the settings'}: {', '.join(names)}."
