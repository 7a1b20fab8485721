"""A mask for every detected box (He et al. 2017, Mask R-CNN).

Shapes: N boxes, S bins per side, C channels, K classes, M maps per box, m pixels per side of a map.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import MaskHeadSettings
from ..ops.mask_windows import resample_windows
from ..ops.masks import resample_bitmap
from ..ops.outlines import draw_in_box
from ..ops.precision import at_least_float32
from ..structures.masks import MaskCrops, Masks
from .blocks import compute_in_blocks
from .fusion import connect, convolve
from .norms import make_convolution, takes_statistics

LARGEST_BITMAPS = 2**27
"""Most pixels of bitmaps that a GPU holds at once, all as large as their picture, unless one picture has more."""


class MaskHead(nn.Module):
    """Layers on the pooled grid, then maps of logits that are twice as fine, or four times.

    There is a map per class, or one for all if the head is class-agnostic, and with a softmax one more for the
    background, the last. Kind `convolutions`: 3x3 convolutions, transposed convolutions, and a 1x1 convolution; kind
    `linear`: fully connected layers, whose outputs are ordered map, row, column (paper, Table 2e).

    Args:
        inputs: Channels of the pooled features, C.
        classes: K.
        settings: What the head is made of.
        pooled: Bins per side of the pooled features, S.
    """

    def __init__(self, inputs: int, classes: int, settings: MaskHeadSettings, *, pooled: int) -> None:
        super().__init__()
        self.size = pooled * 2**settings.doublings
        self.separate = settings.competition == "sigmoid" and not settings.class_agnostic
        maps = (1 if settings.class_agnostic else classes) + (settings.competition == "softmax")
        self.convolutions, self.upsamples, self.hidden = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        if settings.kind == "linear":
            counts = [inputs * pooled**2] + [4 * settings.channels] * settings.convolutions
            self.hidden.extend(nn.Linear(a, b) for a, b in pairwise(counts))
            self.logits: nn.Module = nn.Linear(counts[-1], maps * self.size**2)
        else:
            counts = [inputs] + [settings.channels] * settings.convolutions
            self.convolutions.extend(make_convolution(a, b, kernel=3, norm=settings.norm) for a, b in pairwise(counts))
            counts = [counts[-1]] + [settings.channels] * settings.doublings
            self.upsamples.extend(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in pairwise(counts))
            self.logits = nn.Conv2d(counts[-1], maps, 1)
        for layer in [*self.hidden, *self.upsamples, self.logits]:
            _initialise(layer)

    def forward(self, pooled: Tensor, labels: Tensor | None = None) -> Tensor:
        """[N, S, S, C] pooled features to [N, M, m, m] logits.

        With `labels` [N] and a map per class for itself, of each box only its class's map: [N, 1, m, m]. That is all
        a sigmoid needs, and of 80 maps a small part of the work and memory.
        """
        if isinstance(self.logits, nn.Linear):
            return self._forward_linear(pooled.flatten(1))
        rows = (pooled,) if labels is None or not self.separate else (pooled, labels)
        return self._forward_maps(*rows) if takes_statistics(self) else compute_in_blocks(self._forward_maps, *rows)

    def _forward_maps(self, pooled: Tensor, labels: Tensor | None = None) -> Tensor:
        features = pooled.permute(0, 3, 1, 2)
        for convolution in self.convolutions:
            features = convolve(convolution, features, rectify=True)
        quads = features.permute(0, 2, 3, 1)
        for i, upsample in enumerate(self.upsamples):
            weight, bias = upsample.get_parameter("weight"), upsample.get_parameter("bias")
            quads = double_resolution(join_quads(quads) if i else quads, weight, bias, rectify=True)
        logits = join_quads(self._read_maps(quads, labels))
        return at_least_float32(logits.permute(0, 3, 1, 2))

    def _read_maps(self, features: Tensor, labels: Tensor | None) -> Tensor:
        """[N, ..., C] features to [N, ..., M] logits, or with labels to [N, ..., 1]."""
        weight, bias = self.logits.get_parameter("weight").flatten(1), self.logits.get_parameter("bias")
        if labels is None:
            return connect(features, weight, bias)
        chosen = torch.bmm(features.flatten(1, -2), weight[labels, :, None]) + bias[labels, None, None]
        return chosen.view(*features.shape[:-1], 1)

    def _forward_linear(self, features: Tensor) -> Tensor:
        for layer in self.hidden:
            features = connect(features, layer.get_parameter("weight"), layer.get_parameter("bias"), rectify=True)
        return at_least_float32(self.logits(features)).unflatten(1, (-1, self.size, self.size))


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Linear):
        nn.init.kaiming_uniform_(layer.weight, a=1)
    else:
        nn.init.kaiming_normal_(layer.get_parameter("weight"), mode="fan_out", nonlinearity="relu")
    nn.init.zeros_(layer.get_parameter("bias"))


def double_resolution(features: Tensor, weight: Tensor, bias: Tensor | None, *, rectify: bool = False) -> Tensor:
    """A 2x2 transposed convolution of stride 2 as one matrix product: its output pixels have one input pixel each.

    Several times faster on a CPU than the convolution, whose backward pass has no fast bfloat16 kernel there.

    Args:
        features: [N, H, W, C].
        weight: [C, D, 2, 2], as of `nn.ConvTranspose2d`.
        bias: [D] or None.
        rectify: Negative outputs become 0.

    Returns:
        [N, H, W, 2, 2, D]: the four pixels of each, which `join_quads` puts in place. What follows pixel by pixel can
        come before that, when there is less to move.
    """
    rows = weight.permute(2, 3, 1, 0).flatten(0, 2)
    quads = connect(features, rows, None if bias is None else bias.repeat(4), rectify=rectify)
    return quads.unflatten(3, (2, 2, weight.shape[1]))


def join_quads(quads: Tensor) -> Tensor:
    """[N, H, W, 2, 2, D] to the map [N, 2H, 2W, D]."""
    return quads.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def mask_targets(
    masks: list[Masks | None], matches: list[Tensor], boxes: list[Tensor], size: int, settings: MaskHeadSettings
) -> Tensor:
    """The part of each annotated mask that its proposal sees.

    With `polygons`, objects whose outlines are not known (annotated as run lengths) get their bitmap, cut at one half.

    Args:
        masks: Annotated masks of each picture, as `MaskCrops`.
        matches: Per picture [P_i] object of each proposal.
        boxes: Per picture [P_i, 4] proposals.
        size: Pixels per side of the target, m.
        settings: Its `targets` is used.

    Returns:
        [P, m, m] in 0..1, of all pictures.

    Raises:
        ValueError: The masks are of another kind, or there are none.
    """
    crops = []
    for one in masks:
        if not isinstance(one, MaskCrops):
            raise ValueError(f"targets need masks as MaskCrops to train a mask head, not {type(one).__name__}")
        crops.append(one)
    drawn = settings.targets == "polygons" and any(one.outlines for one in crops)
    # Not in bfloat16: it would blur the outlines, and prepare a kernel anew for every size of bitmap.
    with torch.autocast(boxes[0].device.type, enabled=False):
        if boxes[0].device.type != "cpu" and not drawn:
            return _targets_at_once(crops, matches, boxes, size, settings)
        targets = [
            _target(one, i, box, size, settings)
            for one, numbers, group in zip(crops, matches, boxes, strict=True)
            for i, box in zip(numbers.tolist(), group, strict=True)
        ]
    return torch.stack(targets) if targets else boxes[0].new_zeros(0, size, size)


def _targets_at_once(
    masks: list[MaskCrops], matches: list[Tensor], boxes: list[Tensor], size: int, settings: MaskHeadSettings
) -> Tensor:
    """[P, m, m] of all proposals, where a GPU would spend its time with starting small kernels."""
    soft = settings.targets == "soft"
    largest = max(len(one) * one.size[0] * one.size[1] for one in masks)
    most = max(1, LARGEST_BITMAPS // max(1, largest))
    groups = [slice(first, first + most) for first in range(0, len(masks), most)]
    resampled = torch.cat(
        [_resample_all(masks[group], matches[group], boxes[group], size, half_pixel=not soft) for group in groups]
    )
    return resampled if soft else (resampled >= 0.5).to(resampled)


def _resample_all(
    masks: list[MaskCrops], matches: list[Tensor], boxes: list[Tensor], size: int, *, half_pixel: bool
) -> Tensor:
    """`resample_windows` for the objects of several pictures."""
    counts = [len(one) for one in masks]
    starts = accumulate(counts, initial=0)
    return resample_windows(
        torch.cat([one.pixels for one in masks]),
        torch.cat([one.windows for one in masks]),
        torch.tensor([one.size for one in masks]).repeat_interleave(torch.tensor(counts), dim=0),
        torch.cat([numbers + start for numbers, start in zip(matches, starts, strict=False)]),
        torch.cat(boxes),
        size,
        half_pixel=half_pixel,
    )


def _target(masks: MaskCrops, i: int, box: Tensor, size: int, settings: MaskHeadSettings) -> Tensor:
    """[m, m] of one proposal."""
    outlines = masks.outlines_of(i) if settings.targets == "polygons" else ()
    if outlines:
        return torch.from_numpy(draw_in_box(outlines, box.tolist(), size)).to(box)
    soft = settings.targets == "soft"
    resampled = resample_bitmap(masks.pixels_of(i), masks.origin(i), box, masks.size, size, half_pixel=not soft)
    return resampled if soft else (resampled >= 0.5).to(box)


def mask_loss(logits: Tensor, labels: Tensor, targets: Tensor, settings: MaskHeadSettings) -> dict[str, Tensor]:
    """Mean cross-entropy of the pixels; 0 without objects, and still reaching every parameter.

    Sigmoid: binary, of the true class's map alone (paper, section 3). Softmax: over all maps, each pixel being of the
    true class or background (paper, Table 2b).

    Args:
        logits: [P, M, m, m].
        labels: [P] true classes.
        targets: [P, m, m] in 0..1.
        settings: `competition` and `class_agnostic` are used.
    """
    if len(labels) == 0:
        return {"masks": logits.sum() * 0}
    if settings.competition == "sigmoid":
        chosen = _maps_of(logits, labels, settings)
        return {"masks": F.binary_cross_entropy_with_logits(chosen, targets.to(chosen))}
    logarithms = logits.log_softmax(dim=1)
    background = logarithms[:, -1]
    return {"masks": -torch.lerp(background, _maps_of(logarithms, labels, settings), targets.to(background)).mean()}


def mask_predictions(logits: Tensor, labels: Tensor, settings: MaskHeadSettings) -> Tensor:
    """[N, m, m] probabilities of the predicted classes' maps, at least in single precision.

    Args:
        logits: [N, M, m, m].
        labels: [N] predicted classes.
        settings: `competition` and `class_agnostic` are used.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))  # masks are pasted with these numbers
    if settings.competition == "sigmoid":
        return _maps_of(logits, labels, settings).sigmoid()
    return _maps_of(logits.softmax(dim=1), labels, settings)


def _maps_of(maps: Tensor, labels: Tensor, settings: MaskHeadSettings) -> Tensor:
    """[N, m, m]: of [N, M, m, m] maps those of the labels' classes, or the only ones."""
    if settings.class_agnostic or maps.shape[1] == 1:
        return maps[:, 0]
    return maps[torch.arange(len(labels), device=labels.device), labels]
