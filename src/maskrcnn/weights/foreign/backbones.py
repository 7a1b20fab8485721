"""Plain backbones, trained as classifiers: torchvision's, timm's ResNets, Caffe's and Detectron's, CLIP's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ...errors import WeightsError
from . import detectron, detectron2
from .names import Table, find_origins, normed
from .structure import FIRST_KERNEL, fitting_networks
from .torchvision import block_table, resnet_table

EPSILON = 1e-5
CLIP: Table = [
    *normed("", "backbone.stem.step{step}.", convolution="conv{step}.", norms="bn{step}."),
    *block_table("layer{stage+1}.{block}.", "backbone.stages.{stage}.{block}."),
]
MOBILENET: Table = [("features.{i}.*", "backbone.features.{i}.*")]
UNUSED = re.compile(
    r"(fc|classifier|stem\.fc|linear|attnpool)\..*|(fc1000|pred|fc)_[wb]|conv1_b|stem\.conv1\.bias"
    r"|.*num_batches_tracked|.*_momentum|lr"
)
"""The classifier, the texts of CLIP, counters, a bias of some 1e-9, and what an optimizer left behind."""


@dataclass(frozen=True)
class Pixels:
    """How pixels reach a network.

    Args:
        colors: Order of the channels, "rgb" or "bgr".
        raw: They are only centerd, values of 0..255 less their mean; else also divided by their deviation.
    """

    colors: Literal["rgb", "bgr"]
    raw: bool


NORMALIZED_RGB = Pixels("rgb", raw=False)


@dataclass(frozen=True)
class Backbone:
    """A plain backbone.

    Args:
        state: Tensors by the names they have in a model.
        name: Such as "resnet50"; None: several networks have its stages.
        pixels: What it was trained with.
        stride_in_1x1: Where its bottlenecks stride; None: not known, or they do not.
    """

    state: dict[str, Tensor]
    name: str | None
    pixels: Pixels = NORMALIZED_RGB
    stride_in_1x1: bool | None = False


def read_backbone(state: Mapping[str, Tensor], source: str) -> Backbone | None:
    """Recognize a plain backbone by its names, and rename it.

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
        ours = _renamed(state, detectron2.BACKBONE, source, spell="backbone.{}".format)
        return Backbone(ours, find_name(ours, source))
    if "conv1_w" in state and not any("bbox_pred" in name for name in state):
        return _read_caffe2(state, source)
    return None


def find_name(state: Mapping[str, Tensor], source: str) -> str | None:
    """Which residual network the tensors of a backbone are; None if stages that are missing leave it open.

    Raises:
        WeightsError: None that is known here.
    """
    if FIRST_KERNEL not in state:
        return None
    if (width := len(state["backbone.stem.convolution.weight"])) != 64:
        raise WeightsError(f"{source}: a plain backbone with a stem of {width} channels; known are those of 64.")
    fitting = fitting_networks(state, "backbone.stem.", source, whole=False)
    return fitting[0] if len(fitting) == 1 else None


def _read_torchvision(state: Mapping[str, Tensor], source: str) -> Backbone:
    ours = _renamed(state, resnet_table(), source)
    # Caffe's networks in these names, as OpenMMLab publishes them, have norms without a mean; so do random ones.
    mean, scale = (ours.get(f"backbone.stem.norm.{leaf}") for leaf in ("running_mean", "weight"))
    if mean is not None and scale is not None and not mean.any() and (scale != 1).any():
        return Backbone(ours, find_name(ours, source), Pixels("bgr", raw=True), stride_in_1x1=True)
    return Backbone(ours, find_name(ours, source))


def _read_caffe2(state: Mapping[str, Tensor], source: str) -> Backbone:
    ours = _renamed(state, detectron.BACKBONE, source, spell=detectron.with_dots)
    grouped = any(name.startswith("conv1_gn_") for name in state)
    if not grouped:
        # Batch norms are only a scale and a shift: mean 0, and a variance that with epsilon makes 1.
        ours = detectron.with_statistics(ours, variance=1 - EPSILON)
    name = find_name(ours, source)
    # Models of Facebook's own stride in their 3x3; those of 32 groups of 8 were trained on normalized pixels.
    microsofts = not grouped and name in ("resnet50", "resnet101", "resnet152")
    raw = name is None or not name.endswith("32x8d")
    return Backbone(ours, name, Pixels("bgr", raw), stride_in_1x1=microsofts if name else None)


def _read_clip(state: dict[str, Tensor], source: str) -> Backbone:
    ours = _renamed(state, CLIP, source)
    if "resnet50" not in fitting_networks(ours, "backbone.stem.step3.", source, whole=False):
        raise WeightsError(
            f"{source}: a CLIP network of another kind than ResNet-50 (clip_resnet50), the only one known."
        )
    return Backbone(ours, "clip_resnet50", stride_in_1x1=None)


def _image_tower(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The part of a CLIP model that sees images, or all of another state."""
    for prefix in ("visual.", "module.visual."):
        if f"{prefix}conv1.weight" in state:
            return {name.removeprefix(prefix): one for name, one in state.items() if name.startswith(prefix)}
    return state


def _number_stem(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """OpenMMLab's names of CLIP's network as OpenAI's: a stem in one row, shortcuts whose pooling is counted."""
    rows = sorted({int(name.split(".")[1]) for name in state if name.startswith("stem.")})
    counted = any(".downsample.2." in name for name in state)
    renamed = {}
    for name, tensor in state.items():
        if name.startswith("stem."):
            _, row, leaf = name.split(".")
            step, is_norm = divmod(rows.index(int(row)), 2)
            name = f"{'bn' if is_norm else 'conv'}{step + 1}.{leaf}"
        elif counted:
            name = re.sub(r"\.downsample\.([12])\.", lambda m: f".downsample.{int(m[1]) - 1}.", name)
        renamed[name] = tensor
    return renamed


def _renamed(
    state: Mapping[str, Tensor], table: Table, source: str, spell: Callable[[str], str] = str
) -> dict[str, Tensor]:
    """Tensors by our names; `spell` makes of their names those of the table."""
    names = [name for name in state if not UNUSED.fullmatch(name)]
    readable = "plain ResNets of torchvision, timm, Caffe, Detectron and CLIP, and MobileNetV3"
    return {ours: state[name] for ours, name in find_origins(names, table, source, readable, spell=spell).items()}
