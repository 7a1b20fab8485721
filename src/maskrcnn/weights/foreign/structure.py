"""The settings that the names and shapes of a detector's tensors determine, by our names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from torch import Tensor

from ...config import BackboneSettings
from ...config.features import ResNetName
from ...errors import WeightsError

Tree = dict[str, Any]
State = Mapping[str, Tensor]

NEEDED = ("rpn.logits.weight", "rpn.convolutions.0.weight", "box_head.0.logits.weight", "box_head.0.deltas.weight")
FIRST_KERNEL = "backbone.stages.0.0.step2.convolution.weight"
TRACKED = "num_batches_tracked"
# Tensors of whose shapes the settings follow, and how many sides they have.
SIDES = (
    (re.compile(r"backbone\.stages\..*convolution\.weight|backbone\.stem\..*convolution\.weight"), (4,)),
    (re.compile(r"rpn\.(logits|convolutions\.\d+)\.weight|semantic_head\.logits\.weight"), (4,)),
    (re.compile(r"box_head\.\d+\.convolutions\.\d+\.(convolution\.)?weight|keypoint_head\.upsample\.weight"), (4,)),
    (re.compile(r"(box_head|mask_head)\.(\d+\.)?hidden\.\d+\.weight|box_head\.\d+\.(logits|deltas)\.weight"), (2,)),
    (re.compile(r"box_head\.\d+\.(logits|deltas)\.bias"), (1,)),
    (re.compile(r"mask_head\.(\d+\.)?logits\.weight"), (2, 4)),
)
# Kind of block, groups, width of a group in the first stage of 64 channels, and blocks of stages 2 to 5.
BACKBONES: dict[tuple[str, int, int, tuple[int, ...]], ResNetName] = {
    ("basic", 1, 64, (2, 2, 2, 2)): "resnet18",
    ("basic", 1, 64, (3, 4, 6, 3)): "resnet34",
    ("bottleneck", 1, 64, (3, 4, 6, 3)): "resnet50",
    ("bottleneck", 1, 64, (3, 4, 23, 3)): "resnet101",
    ("bottleneck", 1, 64, (3, 8, 36, 3)): "resnet152",
    ("bottleneck", 32, 4, (3, 4, 6, 3)): "resnext50_32x4d",
    ("bottleneck", 32, 4, (3, 4, 23, 3)): "resnext101_32x4d",
    ("bottleneck", 64, 4, (3, 4, 23, 3)): "resnext101_64x4d",
    ("bottleneck", 32, 8, (3, 4, 23, 3)): "resnext101_32x8d",
    ("bottleneck", 32, 8, (3, 8, 36, 3)): "resnext152_32x8d",
    ("bottleneck", 1, 128, (3, 4, 6, 3)): "wide_resnet50_2",
    ("bottleneck", 1, 128, (3, 4, 23, 3)): "wide_resnet101_2",
}


def find_structure(state: State, source: str) -> Tree:
    """Settings of the layers: what they are, how many and how wide.

    Args:
        state: Tensors by our names.
        source: Name of the file, for messages.

    Returns:
        A part of the tree that `ModelSettings` validates.

    Raises:
        WeightsError: The backbone is of a kind that is not known here, or a head is missing.
    """
    for name in NEEDED:
        _require(state, source, name)
    check_shapes(state, source)
    neck = find_neck(state)
    tree: Tree = {
        "backbone": find_backbone(state, source),
        "neck": {"name": neck},
        "rpn": {"convolutions": _count(state, r"rpn\.convolutions\.(\d+)\.")},
        "box_head": _find_box_head(state, neck, source),
        "mask_head": _find_mask_head(state),
        "keypoint_head": _find_keypoint_head(state),
        "semantic_head": _find_semantic_head(state),
        "cascade": {} if "box_head.1.logits.weight" in state else None,
    }
    if tree["cascade"] is not None:
        tree["cascade"] = {"mask_head_per_stage": "mask_head.1.logits.weight" in state}
    if neck == "fpn":
        tree["neck"] |= {"channels": neck_channels(state), "norm": find_norm(state, "neck.lateral.0.")}
    return tree


def check_shapes(state: State, source: str) -> None:
    """Raise a WeightsError if a tensor holds nothing, or one whose shape says something has another number of sides.

    Args:
        state: Tensors by our names.
        source: Name of the file, for messages.
    """
    for name, tensor in state.items():
        sides = next((count for pattern, count in SIDES if pattern.fullmatch(name)), None)
        fitting = name.endswith(TRACKED) or tensor.ndim > 0 if sides is None else tensor.ndim in sides
        if not fitting or not tensor.numel():
            rule = "none of them 0" if sides is None else f"{' or '.join(map(str, sides))} sides, none of them 0"
            raise WeightsError(
                f"{source}: the tensor that is {name} here has the shape {list(tensor.shape)}, but must have {rule}. "
                "Fetch the file again."
            )


def find_backbone(state: State, source: str) -> Tree:
    """Settings of the backbone.

    Raises:
        WeightsError: None that is known here.
    """
    if "backbone.features.16.0.weight" in state:
        return {"name": "mobilenet_v3_large"}
    clip = "backbone.stem.step3.convolution.weight" in state
    stem = "backbone.stem.step3." if clip else "backbone.stem."
    if f"{stem}convolution.weight" not in state or FIRST_KERNEL not in state:
        raise WeightsError(f"{source}: its backbone is none that is known here. `maskrcnn settings` lists them.")
    fitting = fitting_networks(state, stem, source, whole=True)
    if clip and fitting != ["resnet50"]:
        raise WeightsError(f"{source}: a CLIP network like {fitting[0]}; known is only ResNet-50 (clip_resnet50).")
    norm = find_norm(state, stem)
    return {
        "name": "clip_resnet50" if clip else fitting[0],
        "width": len(state[f"{stem}convolution.weight"]),
        "norm": "frozen_batch" if norm == "batch" else norm,
    }


def fitting_networks(state: State, stem: str, source: str, *, whole: bool) -> list[ResNetName]:
    """The residual networks that have the blocks, groups and widths of a backbone.

    Args:
        state: Tensors by our names, at least of stage 2.
        stem: Start of the name of the stem's last convolution.
        source: Name of the file, for messages.
        whole: No stage is missing, of which the last may be the head of the boxes.

    Raises:
        WeightsError: There are none.
    """
    counts = [_count(state, rf"backbone\.stages\.{i}\.(\d+)\.") for i in range(4)]
    blocks = [count or _count(state, r"shared_head\.(\d+)\.") for count in counts]
    kernel = state[FIRST_KERNEL]
    width, groups = len(state[f"{stem}convolution.weight"]), len(kernel) // kernel.shape[1]
    kind = "bottleneck" if "backbone.stages.0.0.step3.convolution.weight" in state else "basic"
    fitting = [
        name
        for (*layer, known), name in BACKBONES.items()
        if layer == [kind, groups, kernel.shape[1] * 64 // width]
        and all(have == count or (have == 0 and not whole) for have, count in zip(blocks, known, strict=True))
    ]
    if not fitting:
        raise WeightsError(
            f"{source}: its backbone has {kind} blocks ({', '.join(map(str, blocks))} in stages 2 to 5) with {groups} "
            f"groups of {kernel.shape[1]} channels in the first, and a stem of {width} channels, which is none that is "
            f"known here: {', '.join(get_args(ResNetName))}."
        )
    return fitting


def find_neck(state: State) -> str:
    """Setting `neck.name`."""
    if any(name.startswith("neck.") for name in state):
        return "fpn"
    return "c4" if any(name.startswith("shared_head.") for name in state) else "c5"


def neck_channels(state: State) -> int:
    """Channels of the maps that the proposal network and the heads see."""
    return state["rpn.convolutions.0.weight"].shape[1]


def find_norm(state: State, layer: str) -> str:
    """Norm of a layer: batch, group or none."""
    if f"{layer}norm.running_mean" in state:
        return "batch"
    return "group" if f"{layer}norm.weight" in state else "none"


def counts_batches(state: State) -> bool:
    """Whether any norm has counted the batches it was trained on, which frozen ones do not."""
    return any(name.endswith("num_batches_tracked") for name in state)


def find_classes(state: State) -> int:
    """Number of classes, without background."""
    return len(state["box_head.0.logits.weight"]) - 1


def find_keypoints(state: State) -> int:
    """Number of keypoints per object."""
    weight = state.get("keypoint_head.upsample.weight")
    return 0 if weight is None else weight.shape[1]


def find_stuff(state: State) -> int:
    """Number of classes of pixels that have no objects; one more class stands for all objects."""
    weight = state.get("semantic_head.logits.weight")
    return 0 if weight is None else len(weight) - 1


def anchors_per_place(state: State) -> int:
    """Number of anchors at each place of a map."""
    return len(state["rpn.logits.weight"])


def merge(*trees: Mapping[str, Any]) -> Tree:
    """One tree of settings of several; later ones win, but nothing is added to a part that is switched off (None)."""
    merged: Tree = {}
    for tree in trees:
        for key, value in tree.items():
            if isinstance(value, Mapping) and isinstance(merged.get(key, {}), Mapping):
                merged[key] = merge(merged.get(key, {}), value)
            elif not (isinstance(value, Mapping) and key in merged and merged[key] is None):
                merged[key] = value
    return merged


def _count(state: State, pattern: str) -> int:
    found = {match[1] for match in map(re.compile(pattern).match, state) if match}
    return len(found)


def _find_box_head(state: State, neck: str, source: str) -> Tree:
    convolutions = _count(state, r"box_head\.0\.convolutions\.(\d+)\.")
    layers = _count(state, r"box_head\.0\.hidden\.(\d+)\.")
    tree: Tree = {"convolutions": convolutions, "linear_layers": layers}
    channels = neck_channels(state)
    if convolutions:
        layer = "box_head.0.convolutions.0."
        channels = len(_require(state, source, f"{layer}convolution.weight", f"{layer}weight"))
        tree |= {"convolution_channels": channels, "norm": find_norm(state, layer)}
    if layers:
        rows, columns = _require(state, source, "box_head.0.hidden.0.weight").shape
        tree |= {"channels": rows, "pool_size": round((columns / channels) ** 0.5)}
    elif neck == "c4":
        tree["pool_size"] = 14
    cascade = "box_head.1.logits.weight" in state
    one_box = len(state["box_head.0.deltas.weight"]) == 4
    return {**tree, "class_agnostic": one_box and (cascade or find_classes(state) > 1)}


def _find_mask_head(state: State) -> Tree | None:
    head = "mask_head.0." if "mask_head.0.logits.weight" in state else "mask_head."
    logits = state.get(f"{head}logits.weight")
    if logits is None:
        return None
    if f"{head}hidden.0.weight" in state:
        layers = _count(state, rf"{head}hidden\.(\d+)\.")
        return {"kind": "linear", "convolutions": layers, "channels": len(state[f"{head}hidden.0.weight"]) // 4}
    return {
        "convolutions": _count(state, rf"{head}convolutions\.(\d+)\."),
        "channels": logits.shape[1],
        "norm": find_norm(state, f"{head}convolutions.0."),
        "upsamples": _count(state, rf"{head}upsamples\.(\d+)\."),
        "class_agnostic": len(logits) == 1 and find_classes(state) > 1,
    }


def _find_keypoint_head(state: State) -> Tree | None:
    if "keypoint_head.upsample.weight" not in state:
        return None
    count = _count(state, r"keypoint_head\.convolutions\.(\d+)\.")
    return {"convolutions": count, "channels": state["keypoint_head.upsample.weight"].shape[0]}


def _find_semantic_head(state: State) -> Tree | None:
    logits = state.get("semantic_head.logits.weight")
    if logits is None:
        return None
    return {"classes": len(logits), "channels": logits.shape[1]}


def _require(state: State, source: str, *names: str) -> Tensor:
    """The tensor under the first of its possible names that there is."""
    for name in names:
        if name in state:
            return state[name]
    raise WeightsError(
        f"{source}: no tensor that would be {names[0]} here. A detector needs a proposal network and a box head; "
        "fetch the file again, or give the weights of a whole Faster or Mask R-CNN."
    )


HIDDEN = re.compile(r"box_head\.\d+\.hidden\.0\.weight")
MASK_HIDDEN = re.compile(r"mask_head\.(?:\d+\.)?hidden\.0\.weight")
LOGITS = re.compile(r"box_head\.\d+\.logits\.(weight|bias)")
DELTAS = re.compile(r"box_head\.\d+\.deltas\.(weight|bias)")
MASK_LOGITS = re.compile(r"mask_head\.(?:\d+\.)?logits\.(weight|bias)")


def bins_first(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Columns of the first linear layers from channel, row, column to row, column, channel; names are ours."""
    return {name: _swapped(name, tensor, state, to_bins=True) for name, tensor in state.items()}


def channels_first(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reverse of `bins_first`."""
    return {name: _swapped(name, tensor, state, to_bins=False) for name, tensor in state.items()}


def background_last(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """From layers whose first class is background to ours.

    Args:
        state: Tensors by our names, with rows for the background first.

    Returns:
        The state, and the rows of boxes and masks of the background, which nothing reads, by our names.
    """
    ours: dict[str, Tensor] = {}
    rows: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if tensor.ndim == 0:
            ours[name] = tensor  # `find_structure` refuses it
            continue
        count = background_rows(name, tensor)
        ours[name] = tensor.roll(-1, dims=0) if LOGITS.fullmatch(name) else tensor[count:] if count else tensor
        if count:
            rows[name] = tensor[:count]
    return ours, rows


def background_rows(name: str, tensor: Tensor) -> int:
    """Rows of the background that another library's tensor has and ours has not; boxes of one class have none."""
    if DELTAS.fullmatch(name):
        return 4 if len(tensor) > 4 else 0
    return 1 if MASK_LOGITS.fullmatch(name) and len(tensor) > 1 else 0


def split_counters(
    state: Mapping[str, Tensor], backbone: BackboneSettings
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The state without the numbers of batches counted by norms that are frozen here, and those numbers.

    Args:
        state: Tensors by our names.
        backbone: Settings `norm` and `frozen_stages` count.
    """
    frozen = {name: one for name, one in state.items() if name.endswith(TRACKED) and _is_frozen(name, backbone)}
    return {name: one for name, one in state.items() if name not in frozen}, frozen


def _is_frozen(name: str, backbone: BackboneSettings) -> bool:
    if not name.startswith(("backbone.", "shared_head.")):
        return False
    stage = re.match(r"backbone\.stages\.(\d)\.", name)
    number = int(stage[1]) + 1 if stage else 0 if name.startswith("backbone.stem.") else 4
    if name.startswith("backbone.features."):
        number = (
            5  # stages of a MobileNet are not distinguished: with norms that measure it is read as wholly trainable
        )
    return backbone.norm == "frozen_batch" or number < backbone.frozen_stages


def _swapped(name: str, tensor: Tensor, state: Mapping[str, Tensor], *, to_bins: bool) -> Tensor:
    if not (HIDDEN.fullmatch(name) or MASK_HIDDEN.fullmatch(name)):
        return tensor
    layer = f"{name.removesuffix('hidden.0.weight')}convolutions.0."
    last = (f"{layer}convolution.weight", f"{layer}weight")
    channels = next((len(state[one]) for one in last if one in state), None) or neck_channels(state)
    size = round((tensor.shape[1] / channels) ** 0.5) if tensor.ndim == 2 else 0
    if channels * size * size != tensor.shape[-1]:
        return tensor  # the comparison with the model names it
    if to_bins:
        return tensor.unflatten(1, (channels, size, size)).permute(0, 2, 3, 1).flatten(1)
    return tensor.unflatten(1, (size, size, channels)).permute(0, 3, 1, 2).flatten(1)
