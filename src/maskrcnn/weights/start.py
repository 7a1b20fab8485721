"""Where training starts: what a weights file has goes into a fresh model, and what it does not have is said.

Readable are all detectors that `read_weights` reads, and the plain backbones that `read_backbone` knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..config import InputSettings, ModelSettings
from ..errors import SettingError, WeightsError
from ..model.build import build_model
from ..model.mask_rcnn import MaskRCNN
from ..structures.classes import Classes
from .files import read_tensors
from .foreign.backbones import NORMALIZED_RGB, Pixels, read_backbone
from .own import KEY, apply_weights
from .published import PUBLISHED, download, find_published
from .reading import read_weights, understand

COUNTER = "num_batches_tracked"
CLASSIFIER = re.compile(r"(head|fc|classifier|norm|head_dist)\.")
TIMM = "backbone.network."
# ImageNet's deviations of red, green and blue as values of 0..255, by which normalized and raw pixels differ.
DEVIATION = (58.395, 57.12, 57.375)
RAW_BELOW = 0.02


@dataclass(frozen=True)
class Start:
    """What a file has to start from.

    Args:
        source: The file's name, for messages.
        state: Its tensors by the names they have here.
        settings, classes: Of a detector; None: the file is a plain backbone.
        backbone: Of a plain backbone, such as "resnet50"; None: several networks have its stages.
        pixels: What a plain backbone was trained with.
        stride_in_1x1: Where the bottlenecks of a plain backbone stride; None: not known.
        foreign: Why the file is neither a detector nor a backbone that is known; its names are then its own, which only
            timm's networks can use. None: it is known.
    """

    source: str
    state: dict[str, Tensor]
    settings: ModelSettings | None = None
    classes: Classes | None = None
    backbone: str | None = None
    pixels: Pixels = NORMALIZED_RGB
    stride_in_1x1: bool | None = None
    foreign: str | None = None


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
        source: A file, or a name; see `read_weights`. Names of published backbones are known too.

    Raises:
        WeightsError: It cannot be read, or is of another kind.
    """
    path = Path(source)
    known = None if path.is_file() else find_published(str(source))
    if known and PUBLISHED[known].is_backbone:
        path = download(known)
    if not path.is_file():
        weights = read_weights(source)
        return Start(str(source), weights.state, weights.settings, weights.classes)
    state, meta = read_tensors(path)
    try:
        plain = read_backbone(state, str(path))
        if plain is not None:
            return Start(
                str(path), plain.state, backbone=plain.name, pixels=plain.pixels, stride_in_1x1=plain.stride_in_1x1
            )
        weights = read_weights(path) if KEY in meta else understand(state, str(path), meta)
    except WeightsError as error:
        if any(CLASSIFIER.match(name) for name in state):
            return Start(str(path), state, foreign=str(error))
        raise
    return Start(str(source), weights.state, weights.settings, weights.classes)


def build_from(
    source: str | Path | Start, classes: Classes | Sequence[str], settings: ModelSettings | None = None
) -> tuple[MaskRCNN, StartReport]:
    """A model for one's own classes that starts from what a file has, ready to be trained.

    Example:
        model, report = build_from("torchvision/maskrcnn_resnet50_fpn", ["cat", "dog"])
        print(report)

    Args:
        source: A file of any library or a name, see `read_start`, or what that gave.
        classes: Of the data to train on, or their names alone.
        settings: Of the model; None: those of the file's detector, or the defaults around a plain backbone.

    Raises:
        SettingError, WeightsError: As by `read_start` and `start_from`.
    """
    start = source if isinstance(source, Start) else read_start(source)
    own = Classes.of(classes)
    if settings is None:
        settings = start.settings or ModelSettings.model_validate({"backbone": _backbone_of(start)})
    model = build_model(settings, len(own), keypoints=own.keypoint_count)
    return model, start_from(model, start, settings=settings, classes=own)


def start_from(
    model: nn.Module, source: str | Path | Start, *, settings: ModelSettings, classes: Classes
) -> StartReport:
    """Load into a fresh model what a file has.

    Layers whose shape follows from the classes stay random unless the file has the same classes in the same order.
    The first convolution is changed for other colors and channels, see `fit_stem`. Frozen batch norms of stages that
    stay random have no statistics and change nothing; so that the activations keep their order of magnitude without
    them, the residual branches of such stages are scaled down by their number.

    Args:
        model: Built from `settings` for `classes`.
        source: A file or a name, see `read_start`, or what that gave.
        settings, classes: What the model is built from.

    Raises:
        SettingError: The settings ask for another backbone or norm, or freeze a stage that stays random.
        WeightsError: A tensor has another shape, has no place, or is missing although its part is there.
    """
    own = model.state_dict()
    start = _named_as(own, source if isinstance(source, Start) else read_start(source), settings)
    _check_backbone(own, start, settings)
    others = set() if start.classes is None else parts_of_classes(start.classes, classes)
    found = {part: names for part, names in names_by_part(start.state, settings).items() if part not in others}
    own_parts = names_by_part(own, settings)
    given = {name: start.state[name] for names in found.values() for name in names}
    given, changes = _fit_stem(own, given, start, settings)
    _check_tensors(own, given, settings, start.source)
    loaded = tuple(part for part in own_parts if part in found)
    random = tuple(part for part in own_parts if part not in found)
    for part in loaded:
        _check_whole(part, own_parts[part], given, start.source)
    _check_frozen(random, settings)
    calmed = {name: value for part in random for name, value in calm(own_parts[part], own).items()}
    fitting = {name: tensor for name, tensor in given.items() if name in own}
    apply_weights(model, {**own, **calmed, **fitting}, source=start.source)
    remarks = [*_remarks_on_classes(start, others, own_parts), *changes]
    if calmed:
        remarks.append("norms of a random stage are frozen without statistics, its residual branches scaled down")
    unused = [part for part in found if part not in own_parts]
    remarks += [f"not used: {', '.join(unused)}"] if unused else []
    return StartReport(loaded, random, tuple(remarks))


def _backbone_of(start: Start) -> dict[str, Any]:
    """Settings of a plain backbone, as far as they are known."""
    known = {"name": start.backbone, "stride_in_1x1": start.stride_in_1x1}
    return {key: value for key, value in known.items() if value is not None}


def _named_as(own: Mapping[str, Tensor], start: Start, settings: ModelSettings) -> Start:
    """The start by the names of this model: stage 5 may be its backbone's or its shared head's, timm's has its own."""
    if start.foreign is not None:
        return replace(start, state=_timm_names(own, start, settings))
    stage, head = "backbone.stages.3.", "shared_head."
    places = (stage, head) if any(name.startswith(head) for name in own) else (head, stage)
    state = {
        places[1] + name.removeprefix(places[0]) if name.startswith(places[0]) else name: tensor
        for name, tensor in start.state.items()
        if not name.endswith(COUNTER) or name in own
    }
    return replace(start, state=state)


def _timm_names(own: Mapping[str, Tensor], start: Start, settings: ModelSettings) -> dict[str, Tensor]:
    """Tensors of timm's file by our names; timm itself joins the first two parts of some names (stages.0: stages_0)."""
    if not settings.backbone.name.startswith("timm/"):
        raise WeightsError(f"{start.foreign} For one of timm's networks, set backbone.name=timm/<its name>.")
    state, left = {}, []
    for name, tensor in start.state.items():
        joined = re.sub(r"^(\w+)\.(?=\d+\.)", r"\1_", name)
        ours = next((TIMM + one for one in (name, joined) if TIMM + one in own), None)
        if ours is not None:
            state[ours] = tensor
        elif not CLASSIFIER.match(name) and not name.endswith(COUNTER):
            left.append(name)
    if left:
        raise WeightsError(
            f"{start.source}: {len(left)} tensors have no place in {settings.backbone.name}, the first of them "
            f"{', '.join(left[:5])}. Give the file of this network, or the name of the file's network."
        )
    return state


def _check_backbone(own: Mapping[str, Tensor], start: Start, settings: ModelSettings) -> None:
    backbone = settings.backbone
    if start.backbone not in (None, backbone.name):
        raise SettingError(
            f"backbone.name={backbone.name}: but {start.source} is a {start.backbone}. "
            f"Set backbone.name={start.backbone}, or give other weights."
        )
    if start.stride_in_1x1 not in (None, backbone.stride_in_1x1) and "backbone.stages.0.0.step3.norm.weight" in own:
        place = "first 1x1" if start.stride_in_1x1 else "3x3"
        value = str(start.stride_in_1x1).lower()
        raise SettingError(
            f"backbone.stride_in_1x1={str(backbone.stride_in_1x1).lower()}: but the bottlenecks of "
            f"{start.source} were trained with the stride in their {place} convolution. Set "
            f"backbone.stride_in_1x1={value}."
        )
    if start.foreign is None and has_statistics(own) != has_statistics(start.state):
        kind, remedy = ("batch", "frozen_batch") if has_statistics(start.state) else ("group", "group")
        raise SettingError(
            f"backbone.norm={backbone.norm}: but the backbone of {start.source} has {kind} norms, and without "
            f"them its weights are of no use. Set backbone.norm={remedy}, or start without it."
        )


def _fit_stem(
    own: Mapping[str, Tensor], given: dict[str, Tensor], start: Start, settings: ModelSettings
) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors with a first convolution that sees images as the model does, and what was done in words."""
    name = find_stem(own)
    if name is None or name not in given:
        return given, []
    source = start.pixels if start.settings is None else pixels_of(start.settings.input)
    target = pixels_of(settings.input)
    kernel, remarks = fit_stem(given[name], settings.input.channels, source=source, target=target)
    return {**given, name: kernel}, remarks


def _check_tensors(
    own: Mapping[str, Tensor], given: Mapping[str, Tensor], settings: ModelSettings, source: str
) -> None:
    parts = names_by_part(own, settings)
    for part, names in names_by_part(given, settings).items():
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
    missing = [name for name in names if name not in given and not name.endswith(COUNTER)]
    if missing:
        raise WeightsError(
            f"{source}: {missing[0]} and {len(missing) - 1} more tensors are missing, although others of the {part} "
            "are there. A part may be left out as a whole only; fetch the file again, or give other weights."
        )


def _check_frozen(random: tuple[str, ...], settings: ModelSettings) -> None:
    for place, stage in enumerate(STAGES[: settings.backbone.frozen_stages]):
        if stage in random:
            raise SettingError(
                f"backbone.frozen_stages={settings.backbone.frozen_stages}: freezes the {stage}, which is not in "
                f"the weights and would stay random for ever. Set backbone.frozen_stages={place}."
            )


def _remarks_on_classes(start: Start, others: set[str], parts: Mapping[str, list[str]]) -> list[str]:
    anew = [part for part in parts if part in others]
    if not anew or start.classes is None:
        return []
    return [f"the file knows other classes ({len(start.classes)}), so that these are trained anew: {', '.join(anew)}"]


def pixels_of(settings: InputSettings) -> Pixels:
    """How pixels reach a network with these settings."""
    return Pixels(settings.channel_order, raw=max(settings.std) < RAW_BELOW)


def find_stem(state: Mapping[str, Tensor]) -> str | None:
    """Name of the first convolution of a model's backbone, which is the first kernel among its tensors."""
    return next((name for name, tensor in state.items() if name.startswith("backbone.") and tensor.ndim == 4), None)


def fit_stem(kernel: Tensor, channels: int, *, source: Pixels, target: Pixels) -> tuple[Tensor, list[str]]:
    """Change a first convolution so that it gives for `target`'s pixels what it gave for `source`'s.

    Colors are put in the other order. Raw pixels are some 57 times larger than normalized ones, and the weights
    follow. For another number of channels each gets the mean over the old ones, times old over new, so that the sums
    keep their size (as timm does).

    Args:
        kernel: [C, D, h, w].
        channels: Channels of the model's images, E.
        source, target: What the weights were trained with, and what the model sees.

    Returns:
        [C, E, h, w], and what was done in words.
    """
    remarks = []
    colorful = kernel.shape[1] == 3
    if colorful and source.colors == "bgr":
        kernel = kernel.flip(1)
    if source.raw != target.raw:
        scale = torch.tensor(DEVIATION, dtype=kernel.dtype, device=kernel.device)
        scale = scale[:, None, None] if colorful else scale.mean()
        kernel = kernel * scale if source.raw else kernel / scale
        names = ("raw", "normalized") if source.raw else ("normalized", "raw")
        remarks.append(f"the stem was trained on {names[0]} pixels and is scaled for {names[1]} ones")
    if kernel.shape[1] != channels:
        remarks.append(f"the stem's {kernel.shape[1]} channels are averaged for images of {channels}")
        share = kernel.shape[1] / channels
        kernel = (kernel.mean(1, keepdim=True) * share).expand(-1, channels, -1, -1).contiguous()
    elif colorful and source.colors != target.colors:
        remarks.append(f"the stem's channels are turned from {source.colors} to {target.colors}")
    if colorful and channels == 3 and target.colors == "bgr":
        kernel = kernel.flip(1)
    return kernel, remarks


STAGES = ("stem", "stage 2 (layer1)", "stage 3 (layer2)", "stage 4 (layer3)", "stage 5 (layer4)")
BOX_CLASSES = "class layers of the box head"
MASK_CLASSES = "class layer of the mask head"
KEYPOINTS = "last layer of the keypoint head"
STUFF = "class layer of the semantic head"

# The first that fits counts.
_PARTS = (
    (r"backbone\.stem\.", STAGES[0]),
    *((rf"backbone\.stages\.{stage}\.", name) for stage, name in enumerate(STAGES[1:])),
    (r"shared_head\.", STAGES[4]),
    (r"backbone\.", "backbone"),
    (r"neck\.", "FPN"),
    (r"rpn\.", "RPN"),
    (r"box_head\.\d+\.logits\.", BOX_CLASSES),
    (r"box_head\.\d+\.deltas\.", BOX_CLASSES),
    (r"box_head\.", "box head"),
    (r"mask_head\.(?:\d+\.)?logits\.", MASK_CLASSES),
    (r"mask_head\.", "mask head"),
    (r"keypoint_head\.upsample\.", KEYPOINTS),
    (r"keypoint_head\.", "keypoint head"),
    (r"semantic_head\.logits\.", STUFF),
    (r"semantic_head\.", "semantic head"),
)
_DELTAS = re.compile(r"box_head\.\d+\.deltas\.")
LAST_NORM = re.compile(r"(?:backbone\.stages\.\d|shared_head)\.(\d+)\.step(\d)\.norm\.weight")


def names_by_part(names: Iterable[str], settings: ModelSettings) -> dict[str, list[str]]:
    """Names of tensors by the part they belong to, the parts from the image to the masks.

    Args:
        names: Of tensors.
        settings: Of the model; layers that do not depend on the classes are no class layers.
    """
    parts: dict[str, list[str]] = {part: [] for _, part in _PARTS}
    for name in names:
        parts.setdefault(_part_of(name, settings), []).append(name)
    return {part: names for part, names in parts.items() if names}


def parts_of_classes(there: Classes, here: Classes) -> set[str]:
    """The parts that are of no use here because they know other classes, keypoints or stuff."""
    others = set()
    if there.names != here.names:
        others |= {BOX_CLASSES, MASK_CLASSES}
    if (there.keypoint_schema and there.keypoint_schema.names) != (here.keypoint_schema and here.keypoint_schema.names):
        others.add(KEYPOINTS)
    if there.stuff != here.stuff:
        others.add(STUFF)
    return others


def has_statistics(names: Iterable[str]) -> bool:
    """Whether the backbone's norms have a mean and a variance."""
    return any(name.startswith("backbone.") and name.endswith(".running_mean") for name in names)


def calm(names: list[str], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The last norm weights of the blocks of a stage with frozen norms, divided by the number of blocks."""
    norms = [match for match in map(LAST_NORM.fullmatch, names) if match]
    frozen = any(name.endswith(".running_mean") for name in names) and not any(
        name.endswith("tracked") for name in names
    )
    if not norms or not frozen:
        return {}
    last = max(match[2] for match in norms)
    blocks = len({match[1] for match in norms})
    return {match[0]: own[match[0]] / blocks for match in norms if match[2] == last}


def _part_of(name: str, settings: ModelSettings) -> str:
    if settings.box_head.class_agnostic and _DELTAS.match(name):
        return "box head"
    part = next((part for pattern, part in _PARTS if re.match(pattern, name)), name)
    head = settings.mask_head
    return "mask head" if part == MASK_CLASSES and head is not None and head.class_agnostic else part
