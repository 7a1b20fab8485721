"""Settings from a YAML file and from `key.sub=value` arguments; messages name the neighbour of a wrong key."""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ..config import RunSettings
from ..config.presets import preset_changes, preset_names, read_preset
from ..errors import SettingError
from ..weights.published import PUBLISHED, find_published

S = TypeVar("S", bound=BaseModel)
HINT = "`maskrcnn settings` describes all settings."


class Change(NamedTuple):
    """A value somebody asked for, and the words in which they did."""

    value: Any
    words: str


def change_settings(settings: S, overrides: Sequence[str], file: Path | None = None) -> S:
    """Settings with the changes of a file, and over those the changes of the command line.

    Args:
        settings: Where to start from; it stays as it is.
        overrides: `key.sub=value`; values are numbers, words, true, false, null, or lists such as `0.5,2`.
        file: YAML file with nested or dotted keys.

    Raises:
        SettingError: A key is unknown, a value breaks the setting's rule, or the file cannot be read.
    """
    changes = {**(_from_file(file) if file else {}), **_from_arguments(overrides)}
    known = dict(walk_settings(type(settings)))
    tree = settings.model_dump()
    for key, change in changes.items():
        if key not in known:
            raise SettingError(f"{change.words}: {_unknown(key, list(known))} {HINT}")
        _put(tree, key.split("."), change.value)
    try:
        return type(settings).model_validate(tree)
    except ValidationError as error:
        raise SettingError("\n".join(_broken_rules(error, changes))) from error


def settings_of_preset(preset: str | None) -> RunSettings:
    """The defaults, with the model of a preset if one is named, which may be by the name of a published checkpoint.

    Raises:
        SettingError: There is no preset of that name.
    """
    return RunSettings() if preset is None else RunSettings(model=read_preset(find_preset(preset)))


def keys_of_preset(preset: str | None) -> set[str]:
    """Dotted keys of the settings that a preset itself changes."""
    return set() if preset is None else {key for key, _ in _leaves(preset_changes(find_preset(preset)))}


def find_preset(name: str) -> str:
    """The preset that a name of `maskrcnn models` stands for: of that name, else that of the published checkpoint.

    Raises:
        SettingError: It is a published checkpoint without a preset. Other unknown names are given back.
    """
    published = None if name in preset_names() else find_published(name)
    if published is None:
        return name
    preset = PUBLISHED[published].preset
    if preset is None:
        raise SettingError(
            f"{name}: these published weights have no preset; their settings are found when they are read. "
            f"Give them with --weights {name}."
        )
    return preset


def walk_settings(settings: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Dotted key and field of every setting, sections before what is in them."""
    for name, field in settings.model_fields.items():
        yield prefix + name, field
        if section := section_of(field):
            yield from walk_settings(section, f"{prefix}{name}.")


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The settings below a field, or None if it holds a plain value or a list."""
    if get_origin(field.annotation) is tuple:
        return None
    for kind in (field.annotation, *get_args(field.annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def _from_arguments(overrides: Sequence[str]) -> dict[str, Change]:
    changes = {}
    for words in overrides:
        key, equals, text = words.partition("=")
        if not equals or not key or not text:
            raise SettingError(f"{words}: settings are written as key=value, for example train.steps=2000. {HINT}")
        changes[key.strip()] = Change(_parse(text, words), words)
    return changes


def _parse(text: str, words: str) -> Any:
    if text.lower() == "none":
        return None
    try:
        value = yaml.safe_load(text)
        if isinstance(value, str) and "," in value:
            return [yaml.safe_load(part) for part in value.split(",") if part.strip()]
    except yaml.YAMLError as error:
        raise SettingError(f"{words}: {text!r} is neither a number, a word nor a list such as 0.5,2.") from error
    return value


def _from_file(file: Path) -> dict[str, Change]:
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise SettingError(f"{file}: cannot be read as YAML: {reason}") from error
    if not isinstance(tree, dict):
        raise SettingError(f"{file}: must hold settings such as `train: {{steps: 2000}}`. {HINT}")
    return {key: Change(value, f"{file}: {key}={value}") for key, value in _leaves(tree)}


def _leaves(tree: dict[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _put(tree: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        if tree[key] is None:  # a section that is switched off, such as model.mask_head
            tree[key] = {}
        tree = tree.setdefault(key, {})
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


def _broken_rules(error: ValidationError, changes: dict[str, Change]) -> Iterator[str]:
    for broken in error.errors():
        key = ".".join(part for part in broken["loc"] if isinstance(part, str))
        words = changes[key].words if key in changes else f"{key}={broken['input']}"
        rule = broken["msg"].removeprefix("Value error, ")
        yield f"{words}: {rule[:1].lower()}{rule[1:]}. {HINT}"
