"""Region proposal network (Ren et al. 2015), on every level of the pyramid.

Shapes: B images, A anchors per pixel, N anchors of all levels, M annotated boxes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import batched_nms

from ..config import RPNSettings
from ..ops.boxes import clip_boxes, pad_boxes, sides_above
from ..ops.deltas import decode_boxes, encode_boxes
from ..ops.devices import at_least_float32, carry
from ..ops.matching import match_boxes, sample_matches
from ..ops.nms import suppress_groups
from ..ops.roi_align import PyramidTable
from ..structures.batch import Batch
from .anchors import Anchors
from .inference.fusion import compute_in_blocks, connect, convolve

DELTA_WEIGHTS = (1.0, 1.0, 1.0, 1.0)


class RPN(nn.Module):
    """For each anchor: is there an object, and how does its box differ from the anchor.

    Args:
        channels: Of the maps.
        anchors: At each of their pixels.
        settings: Of the layers, of what they learn from, and of which boxes become proposals.
    """

    def __init__(self, channels: int, anchors: Anchors, settings: RPNSettings) -> None:
        super().__init__()
        self.settings = settings
        self.anchors = anchors
        self.convolutions = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(settings.convolutions)
        )
        self.logits = nn.Conv2d(channels, anchors.per_pixel, 1)
        self.deltas = nn.Conv2d(channels, anchors.per_pixel * 4, 1)
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(parameter, std=0.01)
            else:
                nn.init.zeros_(parameter)

    def forward(self, features: dict[int, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Per level [B, H * W * A] logits and [B, H * W * A, 4] deltas, ordered as the anchors."""
        logits, deltas = [], []
        for hidden in features.values():
            for convolution in self.convolutions:
                hidden = convolve(convolution, hidden, rectify=True)
            own_logits, own_deltas = self._read(hidden.permute(0, 2, 3, 1))
            logits.append(own_logits.flatten(1))
            deltas.append(own_deltas.reshape(len(hidden), -1, 4))
        return logits, deltas

    def loss(
        self, features: dict[int, Tensor], table: PyramidTable, batch: Batch
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Losses `rpn_objectness` and `rpn_boxes`, and per image [P, 4] proposals, without gradients, for the heads.

        Args:
            features: {level: [B, C, H, W]}, the finest first.
            table: The same as one table.
            batch: With targets.
        """
        patches = self.patches_pay(features)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not patches):
            logits, deltas = self(features)
        # torch 2.9 keeps weights that autocast has cast without gradients, and would hand them to the patches
        # (https://github.com/pytorch/pytorch/issues/112583).
        torch.clear_autocast_cache()
        anchors = self._anchors_of(features, batch)
        most = (self.settings.pre_nms_top_n_training, self.settings.post_nms_top_n_training)
        proposals, _ = self.choose_proposals(logits, deltas, anchors, batch.sizes, *most)
        boxes = [target.boxes for target in batch.targets or []]
        positives, negatives, targets = self.choose_anchors(torch.cat(anchors), boxes)
        chosen = torch.cat([positives, negatives])
        if patches:
            read = self.of_anchors(table, chosen)
        else:
            read = torch.cat(logits, dim=1).flatten()[chosen], torch.cat(deltas, dim=1).flatten(0, 1)[chosen]
        return self.losses(*read, targets, len(boxes)), proposals

    def predict(self, features: dict[int, Tensor], batch: Batch) -> tuple[list[Tensor], list[Tensor]]:
        """Per image [P, 4] boxes that may hold an object, best first, and what they are ranked by [P]."""
        logits, deltas = self(features)
        most = (self.settings.pre_nms_top_n, self.settings.post_nms_top_n)
        return self.choose_proposals(logits, deltas, self._anchors_of(features, batch), batch.sizes, *most)

    def probabilities(self, ranks: Tensor) -> Tensor:
        """[P] scores in 0..1 of what proposals are ranked by."""
        return ranks.sigmoid() if self.settings.rank_by == "logit" else ranks

    def _anchors_of(self, features: dict[int, Tensor], batch: Batch) -> list[Tensor]:
        dtype = torch.float64 if batch.images.dtype == torch.float64 else torch.float32
        height, width = batch.images.shape[-2:]
        return self.anchors(features, (height, width), dtype)

    def patches_pay(self, features: dict[int, Tensor]) -> bool:
        """Whether `of_anchors` for the samples of each image is less work than gradients of the whole maps.

        Those take two thirds of the work of training on the maps; the patches have to be trained on as a whole.
        """
        seen = self.settings.batch_size_per_image * (2 * len(self.convolutions) + 1) ** 2
        return 3 * seen < 2 * sum(map.shape[-2] * map.shape[-1] for map in features.values())

    def of_anchors(self, table: PyramidTable, positions: Tensor) -> tuple[Tensor, Tensor]:
        """[P] logits and [P, 4] deltas of single anchors, as `forward` has them, from what is seen around each.

        Few anchors count in a loss: their gradients flow back through small patches instead of whole maps.

        Args:
            table: Of the maps that `forward` would get.
            positions: [P] among the anchors of all images, one image after the other.
        """
        pixels = positions.div(self.logits.out_channels, rounding_mode="floor")
        rows, inside = neighbors(table, pixels, reach=len(self.convolutions))
        patches = F.embedding(rows, table.rows)
        logits, deltas = compute_in_blocks(self._read_patches, patches, inside).split((1, 4), dim=2)
        chosen = torch.arange(len(positions), device=positions.device), positions % self.logits.out_channels
        return logits.squeeze(2)[chosen], deltas[chosen]

    def _read_patches(self, patches: Tensor, inside: Tensor) -> Tensor:
        """[P, S, S, C] features around pixels, and where they are on the map, to [P, A, 1 + 4] logits and deltas."""
        hidden, inside = patches.permute(0, 3, 1, 2), inside[:, None]
        for convolution in self.convolutions:
            hidden = hidden * inside.to(hidden)  # as if zeros were around the map
            weight, bias = convolution.get_parameter("weight"), convolution.get_parameter("bias")
            hidden = F.relu(F.conv2d(hidden, weight, bias))
            inside = inside[..., 1:-1, 1:-1]
        logits, deltas = self._read(hidden[..., 0, 0])
        return torch.cat([logits[..., None], deltas], dim=2)

    def _read(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """[..., C] hidden features to [..., A] logits and [..., A, 4] deltas: one product, which reads them once."""
        layers = (self.logits, self.deltas)
        weight = torch.cat([layer.weight.flatten(1) for layer in layers])
        bias = torch.cat([layer.get_parameter("bias") for layer in layers])
        outputs = at_least_float32(connect(hidden, weight, bias))
        anchors = self.logits.out_channels
        return outputs[..., :anchors], outputs[..., anchors:].unflatten(-1, (anchors, 4))

    def choose_anchors(self, anchors: Tensor, boxes: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Choose the anchors that count in the loss.

        Args:
            anchors: [N, 4].
            boxes: Per image [M, 4] annotated boxes.

        Returns:
            [P] positions, among the B * N anchors of all images, of those chosen as objects, [Q] of those chosen as
            background, [P, 4] deltas of the first.
        """
        settings = self.settings
        matches = match_boxes(
            anchors,
            boxes,
            positive_iou=settings.positive_iou,
            negative_iou=settings.negative_iou,
            rescue_iou=settings.rescue_iou,
        )
        positives, negatives = sample_matches(
            matches, samples=settings.batch_size_per_image, positive_fraction=settings.positive_fraction
        )
        images, places = positives // len(anchors), positives % len(anchors)
        targets = pad_boxes(boxes).to(anchors)[images, matches[images, places]]
        return positives, negatives, encode_boxes(targets, anchors[places], DELTA_WEIGHTS)

    def losses(self, logits: Tensor, deltas: Tensor, targets: Tensor, images: int) -> dict[str, Tensor]:
        """Cross-entropy of the chosen anchors, and smooth L1 of the objects' deltas, over the number of chosen ones.

        Args:
            logits, deltas: [P + Q] and [P + Q, 4] of the chosen anchors, the P objects first.
            targets: [P, 4] deltas.
            images: That the anchors were chosen from.
        """
        settings = self.settings
        # float32 labels, objects first: torchvision's very rounding, also when the logits are float64.
        labels = torch.zeros_like(logits, dtype=torch.float32)
        labels[: len(targets)] = 1
        distance = F.smooth_l1_loss(deltas[: len(targets)], targets, beta=settings.smooth_l1_beta, reduction="sum")
        objectness = F.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
        chosen = (
            settings.batch_size_per_image * images
            if settings.loss_normalizer == "batch_size_per_image"
            else max(1, len(labels))
        )
        count = settings.loss_epsilon + chosen
        return {"rpn_objectness": objectness / count, "rpn_boxes": distance / count}

    @torch.no_grad()
    def choose_proposals(
        self,
        logits: list[Tensor],
        deltas: list[Tensor],
        anchors: list[Tensor],
        sizes: list[tuple[int, int]],
        candidates: int,
        proposals: int,
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Decode the best anchors of each level and keep the best boxes that do not repeat one another.

        Args:
            logits, deltas, anchors: Per level.
            sizes: B (height, width) of the images inside the padding.
            candidates: Anchors kept per level before suppression.
            proposals: Boxes kept per image after it.

        Returns:
            Per image [P, 4] proposals, best first, and their [P] scores, or logits if they are ranked by these.
        """
        best_logits, best_deltas, references = [], [], []
        for level_logits, level_deltas, level_anchors in zip(logits, deltas, anchors, strict=True):
            best, order = level_logits.topk(min(candidates, level_logits.shape[1]), dim=1)
            best_logits.append(best)
            best_deltas.append(level_deltas.gather(1, order[..., None].expand(-1, -1, 4)))
            references.append(level_anchors[order])
        boxes = decode_boxes(
            torch.cat(best_deltas, dim=1).flatten(0, 1),
            torch.cat(references, dim=1).flatten(0, 1),
            DELTA_WEIGHTS,
            clamp_both_sides=self.settings.clamp_both_sides,
        ).view(len(sizes), -1, 4)
        counts = [level.shape[1] for level in best_logits]
        if boxes.device.type == "cuda":
            return _choose_at_once(list(boxes.split(counts, dim=1)), best_logits, sizes, self.settings, proposals)
        levels = torch.cat([torch.full((count,), level, device=boxes.device) for level, count in enumerate(counts)])
        chosen = [
            _choose_proposals(own, own_logits, levels, size, self.settings, proposals)
            for own, own_logits, size in zip(boxes, torch.cat(best_logits, dim=1), sizes, strict=True)
        ]
        return [boxes for boxes, _ in chosen], [ranks for _, ranks in chosen]


def _choose_at_once(
    boxes: list[Tensor], logits: list[Tensor], sizes: list[tuple[int, int]], settings: RPNSettings, most: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Proposals of all images, and what they are ranked by, in steps that a GPU does not have to wait between.

    Args:
        boxes, logits: Of each level, [B, N_l, 4] and [B, N_l], the best first.
        sizes: Of the B images.
        settings: Of suppression.
        most: Proposals per image.
    """
    extents = torch.tensor([(width, height, width, height) for height, width in sizes], dtype=boxes[0].dtype)
    limits = carry(extents, boxes[0].device)[:, None]
    inside, there = [], []
    for level_boxes, level_logits in zip(boxes, logits, strict=True):
        clipped = torch.minimum(level_boxes.clamp(min=0), limits)
        valid = _large_enough(clipped.flatten(0, 1), settings.min_box_size).view(level_logits.shape)
        valid &= level_logits.sigmoid() >= settings.score_threshold
        inside.append(clipped)
        there.append(valid)
    kept = suppress_groups(inside, there, settings.nms_threshold)
    all_boxes, all_logits, all_kept = torch.cat(inside, dim=1), torch.cat(logits, dim=1), torch.cat(kept, dim=1)
    ranks = all_logits if settings.rank_by == "logit" else all_logits.sigmoid()
    best, order = ranks.masked_fill(~all_kept, -torch.inf).sort(dim=1, descending=True, stable=True)
    counts = all_kept.sum(dim=1).clamp(max=most).tolist()
    chosen = all_boxes.gather(1, order[..., None].expand(-1, -1, 4))
    return (
        [image[:count] for image, count in zip(chosen, counts, strict=True)],
        [image[:count] for image, count in zip(best, counts, strict=True)],
    )


def _choose_proposals(
    boxes: Tensor, logits: Tensor, levels: Tensor, size: tuple[int, int], settings: RPNSettings, most: int
) -> tuple[Tensor, Tensor]:
    """Proposals of one image and what they are ranked by; levels do not suppress one another."""
    boxes, scores = clip_boxes(boxes, size), logits.sigmoid()
    valid = _large_enough(boxes, settings.min_box_size) & (scores >= settings.score_threshold)
    boxes, levels = boxes[valid], levels[valid]
    ranks = (logits if settings.rank_by == "logit" else scores)[valid]
    kept = batched_nms(boxes, ranks, levels, settings.nms_threshold)[:most]
    return boxes[kept], ranks[kept]


def _large_enough(boxes: Tensor, min_box_size: float) -> Tensor:
    if min_box_size:
        return sides_above(boxes, min_box_size)
    return (boxes[:, 2:] > boxes[:, :2]).all(dim=1)


def neighbors(table: PyramidTable, pixels: Tensor, *, reach: int) -> tuple[Tensor, Tensor]:
    """Rows of the pixels around some.

    Args:
        table: Of the maps.
        pixels: [P] among the pixels of all images: image after image, and in each level after level.
        reach: How far they may be away in rows and columns.

    Returns:
        [P, S, S] rows of the table, S = 2 * reach + 1, and [P, S, S] bool: they are inside the map.
    """
    ends = torch.cumsum(table.heights * table.widths, dim=0)
    images, places = pixels // ends[-1], pixels % ends[-1]
    levels = torch.searchsorted(ends, places, right=True)
    heights, widths = table.heights[levels], table.widths[levels]
    places = places - (ends[levels] - heights * widths)
    steps = torch.arange(-reach, reach + 1, device=pixels.device)
    y = (places // widths)[:, None] + steps
    x = (places % widths)[:, None] + steps
    inside = ((y >= 0) & (y < heights[:, None]))[:, :, None] & ((x >= 0) & (x < widths[:, None]))[:, None]
    rows = ((images * heights)[:, None] + y)[:, :, None] * widths[:, None, None] + x[:, None]
    return torch.where(inside, table.starts[levels][:, None, None] + rows, 0), inside
