"""Plain backbones, trained to tell pictures apart: torchvision's, timm's ResNets, Caffe's and Detectron's, CLIP's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..errors import WeightsError
from .detectron2 import TABLE as DETECTRON2
from .files import single_precision
from .renames import Rename, check_all_placed, translate
from .structure import BODIES
from .torchvision import BODY

# Batch norms of Detectron's files are only a scale and a shift: mean 0, and a variance that with epsilon makes 1.
EPSILON = 1e-5
_STEPS = {"1": "shortcut", "2a": "step1", "2b": "step2", "2c": "step3"}
_LEAVES = {
    "s": "weight",
    "gamma": "weight",
    "b": "bias",
    "beta": "bias",
    "rm": "running_mean",
    "running_mean": "running_mean",
    "riv": "running_var",
    "running_var": "running_var",
}
_LEAF = rf"(?P<leaf>{'|'.join(_LEAVES)})$"
CAFFE2: list[Rename] = [
    (r"conv1_w$", "backbone.stem.convolution.weight"),
    (rf"(?:res_)?conv1_[bg]n_{_LEAF}", lambda m: f"backbone.stem.norm.{_LEAVES[m['leaf']]}"),
    (r"res(\d)_(\d+)_branch(1|2[abc])_w$", lambda m: f"{_caffe2_layer(m)}.convolution.weight"),
    (rf"res(\d)_(\d+)_branch(1|2[abc])_[bg]n_{_LEAF}", lambda m: f"{_caffe2_layer(m)}.norm.{_LEAVES[m['leaf']]}"),
]
"""Names of Detectron, and of the files that detectron2 starts from."""

CLIP: list[Rename] = [
    (r"conv(\d)\.(?=\w+$)", r"backbone.stem.step\1.convolution."),
    (r"bn(\d)\.(?=\w+$)", r"backbone.stem.step\1.norm."),
    *BODY,
]
MOBILENET: list[Rename] = [(r"features\.(?=\d)", "backbone.features.")]
# What tells classes apart, the texts of CLIP, counters, a bias of some 1e-9, and what an optimiser left behind.
UNUSED = re.compile(
    r"(fc|classifier|stem\.fc|linear|attnpool)\..*|(fc1000|pred|fc)_[wb]|conv1_b|stem\.conv1\.bias"
    r"|.*num_batches_tracked|.*_momentum|lr"
)


@dataclass(frozen=True)
class Pixels:
    """How pixels reach a network.

    Args:
        colours: Order of the channels, "rgb" or "bgr".
        raw: They are only centred, values of 0..255 less their mean; else also divided by their deviation.
    """

    colours: Literal["rgb", "bgr"]
    raw: bool


NORMALISED_RGB = Pixels("rgb", raw=False)


@dataclass(frozen=True)
class Backbone:
    """A plain backbone.

    Args:
        state: Tensors by the names they have in a model.
        name: Such as "resnet50"; None: the stages it has do not tell.
        pixels: What it was trained with.
        stride_in_1x1: Where its bottlenecks stride; None: not known, or they do not.
    """

    state: dict[str, Tensor]
    name: str | None
    pixels: Pixels = NORMALISED_RGB
    stride_in_1x1: bool | None = False


def read_backbone(state: Mapping[str, Tensor], source: str) -> Backbone | None:
    """Recognise a plain backbone by its names, and rename it.

    Args:
        state: Tensors of a file; stages may be missing at the end.
        source: Name of the file, for messages.

    Returns:
        None if it is another kind of file.

    Raises:
        WeightsError: Tensors of a known kind have no place here, or the network has another size than is known.
    """
    state = _image_tower(state)
    if "stem.0.weight" in state and "layer1.0.conv1.weight" in state:
        return _read_clip(_number_stem(state), source)
    if "conv3.weight" in state and "layer1.0.conv1.weight" in state:
        return _read_clip(dict(state), source)
    if "conv1.weight" in state and any(name.startswith("layer1.") for name in state):
        return _read_torchvision(state, source)
    if "features.0.0.weight" in state and "features.16.0.weight" in state:
        return Backbone(_renamed(state, MOBILENET, source), "mobilenet_v3_large", stride_in_1x1=None)
    if "stem.conv1.weight" in state:
        prefixed = {name if UNUSED.fullmatch(name) else f"backbone.{name}": one for name, one in state.items()}
        ours = _renamed(prefixed, DETECTRON2, source)
        return Backbone(ours, find_name(ours, source))
    if "conv1_w" in state and not any("bbox_pred" in name for name in state):
        return _read_caffe2(state, source)
    return None


def find_name(state: Mapping[str, Tensor], source: str) -> str | None:
    """Which residual network the tensors of a body are; None if stages that are missing leave it open.

    Raises:
        WeightsError: None that is known here.
    """
    blocks = tuple(_count_blocks(state, stage) for stage in range(4))
    kernel = state.get("backbone.stages.0.0.step2.convolution.weight")
    stem = state["backbone.stem.convolution.weight"]
    if kernel is None:
        return None
    kind = "bottleneck" if "backbone.stages.0.0.step3.convolution.weight" in state else "basic"
    layer = (kind, len(kernel) // kernel.shape[1], kernel.shape[1] * 64 // len(stem))
    fitting = [
        name
        for (*own, counts), name in BODIES.items()
        if tuple(own) == layer and all(have in (0, count) for have, count in zip(blocks, counts, strict=True))
    ]
    if not fitting or len(stem) != 64:
        raise WeightsError(
            f"{source}: a stem of {len(stem)} channels, {kind} blocks ({', '.join(map(str, blocks))} in stages 2 to 5) "
            f"and {layer[1]} groups of {kernel.shape[1]} channels are no network that is known here: "
            f"{', '.join(BODIES.values())}."
        )
    return fitting[0] if len(fitting) == 1 else None


def _read_torchvision(state: Mapping[str, Tensor], source: str) -> Backbone:
    ours = _renamed(state, BODY, source)
    # Caffe's networks in these names, as OpenMMLab publishes them, have norms without a mean; so do random ones.
    mean, scale = (ours.get(f"backbone.stem.norm.{leaf}") for leaf in ("running_mean", "weight"))
    if mean is not None and scale is not None and not mean.any() and (scale != 1).any():
        return Backbone(ours, find_name(ours, source), Pixels("bgr", raw=True), stride_in_1x1=True)
    return Backbone(ours, find_name(ours, source))


def _read_caffe2(state: Mapping[str, Tensor], source: str) -> Backbone:
    ours = _renamed(state, CAFFE2, source)
    grouped = any(name.startswith("conv1_gn_") for name in state)
    for weight in [name for name in ours if name.endswith(".norm.weight") and not grouped]:
        layer = weight.removesuffix("weight")
        ours.setdefault(f"{layer}running_mean", torch.zeros_like(ours[weight]))
        ours.setdefault(f"{layer}running_var", torch.full_like(ours[weight], 1 - EPSILON))
    name = find_name(ours, source)
    # Models of Facebook's own stride in their 3x3; those of 32 groups of 8 were trained on normalised pixels.
    microsofts = not grouped and name in ("resnet50", "resnet101", "resnet152")
    raw = name is None or not name.endswith("32x8d")
    return Backbone(ours, name, Pixels("bgr", raw), stride_in_1x1=microsofts if name else None)


def _read_clip(state: dict[str, Tensor], source: str) -> Backbone:
    ours = _renamed(state, CLIP, source)
    blocks = [_count_blocks(ours, stage) for stage in range(4)]
    if any(have not in (0, count) for have, count in zip(blocks, (3, 4, 6, 3), strict=True)):
        raise WeightsError(
            f"{source}: a CLIP network with {', '.join(map(str, blocks))} blocks in its stages; known is only "
            "ResNet-50 with 3, 4, 6 and 3 (clip_resnet50)."
        )
    return Backbone(ours, "clip_resnet50", stride_in_1x1=None)


def _image_tower(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The part of a CLIP model that sees pictures, or all of another state."""
    for prefix in ("visual.", "module.visual."):
        if f"{prefix}conv1.weight" in state:
            return {name.removeprefix(prefix): one for name, one in state.items() if name.startswith(prefix)}
    return state


def _number_stem(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """OpenMMLab's names of CLIP's network as OpenAI's: a stem in one row, shortcuts whose pooling is counted."""
    rows = sorted({int(name.split(".")[1]) for name in state if name.startswith("stem.")})
    kernels = [row for row in rows if state[f"stem.{row}.weight"].ndim == 4]
    places = {row: f"conv{i}" for i, row in enumerate(kernels, start=1)}
    places |= {row: f"bn{i}" for i, row in enumerate((row for row in rows if row not in kernels), start=1)}
    counted = any(".downsample.2." in name for name in state)
    renamed = {}
    for name, tensor in state.items():
        if name.startswith("stem."):
            _, row, leaf = name.split(".")
            name = f"{places[int(row)]}.{leaf}"
        elif counted:
            name = re.sub(r"\.downsample\.([12])\.", lambda m: f".downsample.{int(m[1]) - 1}.", name)
        renamed[name] = tensor
    return renamed


def _renamed(state: Mapping[str, Tensor], table: Iterable[Rename], source: str) -> dict[str, Tensor]:
    origins, left = translate((name for name in state if not UNUSED.fullmatch(name)), table)
    check_all_placed(left, source, "plain ResNets of torchvision, timm, Caffe, Detectron and CLIP, and MobileNetV3")
    return {ours: single_precision(state[name]) for ours, name in origins.items()}


def _count_blocks(state: Mapping[str, Tensor], stage: int) -> int:
    return len({name.split(".")[3] for name in state if name.startswith(f"backbone.stages.{stage}.")})


def _caffe2_layer(match: re.Match[str]) -> str:
    return f"backbone.stages.{int(match[1]) - 2}.{match[2]}.{_STEPS[match[3]]}"
