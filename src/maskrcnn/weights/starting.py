"""Where training starts: what a weights file has goes into a fresh model, and what it does not have is said.

Readable are all detectors that `read_weights` reads, and plain ResNets in torchvision's names (`conv1.weight`,
`layer1.0.bn1.running_mean`, ...) as .pth or .safetensors, of which stages may be missing at the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from ..config import ModelSettings
from ..errors import SettingError, WeightsError
from ..structures.classes import Classes
from .files import apply_weights, read_safetensors, single_precision
from .reading import TORCH_SUFFIXES, read_torch_file, read_weights
from .torchvision import find_depth, rename

# The parts that a file has whole or not at all, by the names of their tensors; the first that fits counts.
PARTS = {
    "body.stem.": "stem",
    "body.stages.0.": "stage 2 (layer1)",
    "body.stages.1.": "stage 3 (layer2)",
    "body.stages.2.": "stage 4 (layer3)",
    "body.stages.3.": "stage 5 (layer4)",
    "fpn.": "FPN",
    "rpn.": "RPN",
    "box_head.logits.": "class layers of the box head",
    "box_head.deltas.": "class layers of the box head",
    "box_head.": "box head",
    "mask_head.logits.": "class layer of the mask head",
    "mask_head.": "mask head",
}
CLASS_LAYERS = ("box_head.logits.", "box_head.deltas.", "mask_head.logits.")
LAST_NORM = re.compile(r"body\.stages\.\d\.(\d+)\.step(\d)\.norm\.weight")


@dataclass(frozen=True)
class Start:
    """What a file has to start from.

    Args:
        source: The file's name, for messages.
        state: Its tensors by the names they have here.
        settings, classes: Of a detector; None: the file is a plain backbone.
        depth: Of a plain backbone, such as "resnet50"; None: the stages it has do not tell.
    """

    source: str
    state: dict[str, Tensor]
    settings: ModelSettings | None = None
    classes: Classes | None = None
    depth: str | None = None


@dataclass(frozen=True)
class StartReport:
    """What a model starts with.

    Args:
        loaded, random: Parts whose weights come from the file, and parts that stay random.
        remarks: What else the user should know.
    """

    loaded: tuple[str, ...]
    random: tuple[str, ...]
    remarks: tuple[str, ...] = ()

    def __str__(self) -> str:
        sentences = [f"from the file: {', '.join(self.loaded)}"]
        sentences += [f"random: {', '.join(self.random)}"] if self.random else []
        return "; ".join([*sentences, *self.remarks])


def read_start(source: str | Path) -> Start:
    """Read weights to start from.

    Args:
        source: A file, or a name; see `read_weights`. A plain backbone must be a file.

    Raises:
        WeightsError: It cannot be read, or is of another kind.
    """
    path = Path(source)
    plain = _plain_backbone(path) if path.is_file() else None
    if plain is not None:
        return plain
    weights = read_weights(source)
    return Start(str(source), weights.state, weights.settings, weights.classes)


def start_from(model: nn.Module, start: Start, *, settings: ModelSettings, classes: Classes) -> StartReport:
    """Load into a fresh model what a file has.

    Layers whose shape follows from the classes stay random unless the file has the same classes in the same order.
    Frozen batch norms of stages that stay random have no statistics and change nothing; so that the activations keep
    their order of magnitude without them, the residual branches of such stages are scaled down by their number.

    Args:
        model: Built from `settings` for `classes`.
        start: Of `read_start`.
        settings, classes: What the model is built from.

    Raises:
        SettingError: The settings ask for another backbone or norm, or freeze a stage that stays random.
        WeightsError: A tensor has another shape, has no place, or is missing although its part is there.
    """
    own = model.state_dict()
    _check_backbone(own, start, settings)
    other_classes = start.classes is not None and start.classes.names != classes.names
    given = {name: tensor for name, tensor in start.state.items() if not (other_classes and _is_class_layer(name))}
    found = _names_by_part(given)
    wanted = _names_by_part(own)
    _check_tensors(own, given, start.source)
    loaded = tuple(part for part in wanted if part in found)
    random = tuple(part for part in wanted if part not in found)
    for part in loaded:
        _check_whole(part, wanted[part], given, start.source)
    _check_frozen(random, settings)
    calmed = {name: value for part in random for name, value in _calmed(wanted[part], own).items()}
    fitting = {name: tensor for name, tensor in given.items() if name in own}
    apply_weights(model, {**own, **calmed, **fitting}, source=start.source)
    return StartReport(loaded, random, tuple(_remarks(start, other_classes, calmed, found, wanted)))


def _plain_backbone(path: Path) -> Start | None:
    """The file as a plain ResNet, or None if it is none."""
    if path.suffix in TORCH_SUFFIXES:
        state = read_torch_file(path)
    else:
        state, _ = read_safetensors(path)
    if "conv1.weight" not in state:
        return None
    names = {
        name: f"backbone.body.{name}"
        for name in state
        if not name.startswith("fc.") and not name.endswith("num_batches_tracked")
    }
    unplaced = [name for name, long in names.items() if rename(long) is None]
    if unplaced:
        raise WeightsError(
            f"{path}: {len(unplaced)} tensors have no place in a ResNet, the first of them {', '.join(unplaced[:5])}. "
            "Readable are plain ResNets with torchvision's names."
        )
    renamed = {str(rename(long)): single_precision(state[name]) for name, long in names.items()}
    long_names = {long: state[name] for name, long in names.items()}
    has_middle = all(any(name.startswith(f"layer{number}.") for name in names) for number in (1, 3))
    return Start(str(path), renamed, depth=find_depth(long_names, str(path)) if has_middle else None)


def _is_class_layer(name: str) -> bool:
    return name.startswith(CLASS_LAYERS)


def _names_by_part(state: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Names of tensors by the part they belong to, the parts from the picture to the masks."""
    parts: dict[str, list[str]] = {part: [] for part in PARTS.values()}
    for name in state:
        part = next((part for start, part in PARTS.items() if name.startswith(start)), name)
        parts.setdefault(part, []).append(name)
    return {part: names for part, names in parts.items() if names}


def _check_backbone(own: Mapping[str, Tensor], start: Start, settings: ModelSettings) -> None:
    backbone = settings.backbone
    if start.depth not in (None, backbone.name):
        raise SettingError(
            f"model.backbone.name={backbone.name}: but {start.source} is a {start.depth}. "
            f"Set model.backbone.name={start.depth}, or give other weights."
        )
    if _has_statistics(own) != _has_statistics(start.state):
        kind, remedy = ("batch", "frozen_batch") if _has_statistics(start.state) else ("group", "group")
        raise SettingError(
            f"model.backbone.norm={backbone.norm}: but the backbone of {start.source} has {kind} norms, and without "
            f"them its weights are of no use. Set model.backbone.norm={remedy}, or start without it."
        )


def _has_statistics(names: Iterable[str]) -> bool:
    return any(name.startswith("body.") and name.endswith(".running_mean") for name in names)


def _check_tensors(own: Mapping[str, Tensor], given: Mapping[str, Tensor], source: str) -> None:
    parts = _names_by_part(own)
    for part, names in _names_by_part(given).items():
        for name in names:
            if name not in own and part in parts:
                raise WeightsError(
                    f"{source}: tensor {name} has no place in the model. Leave the settings of its {part} as they are "
                    "in the file, or give other weights."
                )
            if name in own and own[name].shape != given[name].shape:
                raise WeightsError(
                    f"{source}: tensor {name} has shape {list(given[name].shape)}, but the model's has "
                    f"{list(own[name].shape)}. Leave the settings of its {part} as they are in the file, or give "
                    "other weights."
                )


def _check_whole(part: str, names: list[str], given: Mapping[str, Tensor], source: str) -> None:
    missing = [name for name in names if name not in given and not name.endswith("num_batches_tracked")]
    if missing:
        raise WeightsError(
            f"{source}: {missing[0]} and {len(missing) - 1} more tensors are missing, although others of the {part} "
            "are there. A part may be left out as a whole only; fetch the file again, or give other weights."
        )


def _check_frozen(random: tuple[str, ...], settings: ModelSettings) -> None:
    stages = list(PARTS.values())[:5]
    for place, stage in enumerate(stages[: settings.backbone.frozen_stages]):
        if stage in random:
            raise SettingError(
                f"model.backbone.frozen_stages={settings.backbone.frozen_stages}: freezes the {stage}, which is not in "
                f"the weights and would stay random for ever. Set model.backbone.frozen_stages={place}."
            )


def _calmed(names: list[str], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The last norm weights of the blocks of a stage with frozen norms, divided by the number of blocks."""
    norms = [match for match in map(LAST_NORM.fullmatch, names) if match]
    frozen = _has_statistics(names) and not any(name.endswith("tracked") for name in names)
    if not norms or not frozen:
        return {}
    last = max(match[2] for match in norms)
    blocks = len({match[1] for match in norms})
    return {match[0]: own[match[0]] / blocks for match in norms if match[2] == last}


def _remarks(
    start: Start, other_classes: bool, calmed: dict[str, Tensor], found: dict[str, list[str]], wanted: dict
) -> list[str]:
    remarks = []
    if other_classes and start.classes is not None:
        remarks.append(f"the file knows {len(start.classes)} other classes, so the class layers are learnt anew")
    if calmed:
        remarks.append("norms of a random stage are frozen without statistics, its residual branches scaled down")
    unused = [part for part in found if part not in wanted]
    return [*remarks, *([f"not used: {', '.join(unused)}"] if unused else [])]
