"""Changed settings: from `key=value` words, a YAML file or a dictionary. Messages name the neighbor of a wrong key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ..errors import SettingError

S = TypeVar("S", bound=BaseModel)
Changes = Mapping[str, Any] | Iterable[str] | Path | BaseModel | None
"""`{"train.steps": 2000}`, also nested; `["train.steps=2000"]`; a YAML file; settings, of which counts what differs
from the defaults; or nothing."""
HINT = "`maskrcnn settings` describes all settings."


class AtPrediction:
    """Marks a setting, or a section with all that is in it, that leaves a model's layers and weights as they are."""


AT_PREDICTION = AtPrediction()


class Change(NamedTuple):
    """A value somebody asked for, and the words in which they did."""

    value: Any
    words: str


def change_settings(settings: S, *sources: Changes) -> S:
    """A validated copy with changes; what comes later wins. `settings` stays as it is.

    Args:
        settings: Where to start from.
        sources: In words, values are numbers, words, true, false, null, or lists such as `0.5,2`.

    Raises:
        SettingError: A key is unknown, a value breaks the setting's rule, or a file cannot be read.
    """
    known = dict(walk_settings(type(settings)))
    changes = read_changes(sources, known)
    tree = settings.model_dump()
    for key, change in changes.items():
        if key not in known:
            raise SettingError(f"{change.words}: {_unknown(key, list(known))} {HINT}")
        _put(tree, key.split("."), change.value)
    try:
        return type(settings).model_validate(tree)
    except ValidationError as error:
        raise SettingError("\n".join(_broken_rules(error, changes, known))) from error


def require_at_prediction(settings: BaseModel, *sources: Changes) -> None:
    """Refuse to change what a model's weights were learned with; see `AtPrediction`.

    Raises:
        SettingError: Naming what can be changed.
    """
    known = dict(walk_settings(type(settings)))
    marked = [key for key, field in known.items() if AT_PREDICTION in field.metadata]
    for key, change in read_changes(sources, known).items():
        if key in known and not any(key == one or key.startswith(f"{one}.") for one in marked):
            raise SettingError(
                f"{change.words}: this cannot be changed when a model predicts, because its weights were learned with "
                f"it, or because it is about training. Can be changed: {', '.join(marked)}."
            )


def read_changes(sources: Iterable[Changes], known: Mapping[str, FieldInfo]) -> dict[str, Change]:
    """The changes of all sources by dotted key; the last of each key counts."""
    changes: dict[str, Change] = {}
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
        changes |= {key: Change(value, f"{place}{key}={value}") for key, value in _leaves(tree, known)}
    return changes


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


def _parse_word(word: str) -> tuple[str, Change]:
    key, equals, text = word.partition("=")
    if not equals or not key or not text:
        raise SettingError(f"{word}: settings are written as key=value, for example train.steps=2000. {HINT}")
    return key.strip(), Change(_parse_value(text, word), word)


def _parse_value(text: str, word: str) -> Any:
    if text.lower() == "none":
        return None
    try:
        value = yaml.safe_load(text)
        if isinstance(value, str) and "," in value:
            return [yaml.safe_load(part) for part in value.split(",") if part.strip()]
    except yaml.YAMLError as error:
        raise SettingError(f"{word}: {text!r} is neither a number, a word nor a list such as 0.5,2.") from error
    return value


def _read_file(file: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SettingError(f"{file}: cannot be read as YAML: {reason}") from error
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


def describe_invalid(error: Exception) -> str:
    """What pydantic found wrong, in one line: each key with its rule; other errors as they are."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"{'.'.join(map(str, broken['loc']))}: {_rule(broken['msg'])}" for broken in error.errors())


def _rule(message: str) -> str:
    rule = message.removeprefix("Value error, ")
    return f"{rule[:1].lower()}{rule[1:]}"


def _broken_rules(error: ValidationError, changes: dict[str, Change], known: Mapping[str, FieldInfo]) -> Iterator[str]:
    rules: dict[str, list[str]] = {}
    for broken in error.errors():
        parts = [part for part in broken["loc"] if isinstance(part, str)]
        while parts and ".".join(parts) not in known:  # pydantic names the kinds of a union, too
            parts.pop()
        key = ".".join(parts)
        meant = [change.words for name, change in changes.items() if name == key or name.startswith(f"{key}.")]
        words = " ".join(meant) or f"{key}={broken['input']}"
        rules.setdefault(words, []).append(_rule(broken["msg"]) + _limits(known.get(key)))
    return (f"{words}: {', or '.join(dict.fromkeys(broken))}. {HINT}" for words, broken in rules.items())


def _limits(field: FieldInfo | None) -> str:
    """Both limits of a number, of which pydantic names only the one that was passed."""
    if field is None:
        return ""
    kinds = [field, *(mark for kind in get_args(field.annotation) for mark in getattr(kind, "__metadata__", ()))]
    marks = [mark for kind in kinds if isinstance(kind, FieldInfo) for mark in kind.metadata]
    words = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
    limits = [(word, getattr(mark, name)) for name, word in words.items() for mark in marks if hasattr(mark, name)]
    return f" ({' '.join(f'{word} {limit:g}' for word, limit in limits)})" if len(limits) > 1 else ""
