"""Where a training image's pixels go: a window of it, mirrored, turned and resized, and the same for its objects.

torchvision's v2 transforms move images and boxes, but have no polygons or RLE, and would need an image-sized
bitmap of every object. One affine matrix moves boxes and annotated masks alike, untouched until their crop is read.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import functional as v2

from ..ops.boxes import clip_boxes
from ..structures.annotated_masks import ObjectMasks
from ..structures.classes import KeypointSchema
from ..structures.instances import Instances


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """What happens to an image, in this order.

    Args:
        window: x, y, width, height of the part that is kept, in whole pixels of the image.
        mirrored: Whether left and right are swapped, then.
        upside_down: Whether top and bottom are swapped, then.
        turns: How often it is turned by 90 degrees counterclockwise, then.
        size: (height, width) it is resized to, last.
    """

    window: tuple[int, int, int, int]
    mirrored: bool
    upside_down: bool
    turns: int
    size: tuple[int, int]

    def move_pixels(self, image: Tensor) -> Tensor:
        """All but the resize, of [3, H, W] pixels of any type."""
        x, y, width, height = self.window
        image = v2.crop(image, y, x, height, width)
        image = v2.horizontal_flip(image) if self.mirrored else image
        image = v2.vertical_flip(image) if self.upside_down else image
        return torch.rot90(image, self.turns, (1, 2))

    def move_map(self, values: Tensor) -> Tensor:
        """[h, w] uint8 classes of pixels to [H, W]: each pixel has that of the nearest one."""
        moved = self.move_pixels(values[None])[None]
        return functional.interpolate(moved, size=self.size, mode="nearest-exact")[0, 0]

    def affine(self) -> np.ndarray:
        """[3, 3] float64: x, y, 1 of the image to those of the result, in continuous pixel coordinates."""
        x, y, width, height = self.window
        affine = _matrix([1, 0, -x], [0, 1, -y])
        if self.mirrored:
            affine = _matrix([-1, 0, width], [0, 1, 0]) @ affine
        if self.upside_down:
            affine = _matrix([1, 0, 0], [0, -1, height]) @ affine
        for _ in range(self.turns % 4):
            affine = _matrix([0, 1, 0], [-1, 0, width]) @ affine
            width, height = height, width
        return _matrix([self.size[1] / width, 0, 0], [0, self.size[0] / height, 0]) @ affine

    def move_objects(self, instances: Instances, keypoint_schema: KeypointSchema | None = None) -> Instances:
        """The objects in the result that training can use.

        Crowds are left out, and so are objects without a pixel or with a side below 1 pixel. The box of an object that
        the edge cuts becomes the one around the pixels that are left; other boxes stay as they are annotated.

        Args:
            instances: In the image's pixels, with `ObjectMasks`.
            keypoint_schema: Of their keypoints, if they have any.

        Returns:
            Boxes, labels, `MaskCrops`, with the polygons that are known, and keypoints in the result's pixels.
            Keypoints outside of it count as not annotated; in flipped images left and right ones change places.
        """
        objects = instances if instances.crowd is None else instances[~instances.crowd]
        height, width = self.size
        moved = move_boxes(objects.boxes, self.affine())
        edges = moved.new_tensor([width, height, width, height])
        boxes = moved.clamp(min=moved.new_zeros(4), max=edges)
        cut = ((boxes - moved).abs() > 1e-3).any(dim=1)
        near = _sides(boxes) >= 1
        boxes, labels, cut, objects = boxes[near], objects.labels[near], cut[near], objects[near]
        keypoints = None if objects.keypoints is None else self._move_keypoints(objects.keypoints, keypoint_schema)
        assert isinstance(objects.masks, ObjectMasks)
        masks = objects.masks.transformed(self.affine(), self.size).crops()
        boxes = torch.where(cut[:, None], masks.windows.to(boxes), boxes)
        kept = (_sides(boxes) >= 1) & (_sides(masks.windows) >= 1)
        return Instances(
            size=self.size,
            boxes=boxes[kept],
            labels=labels[kept],
            masks=masks[kept],
            keypoints=None if keypoints is None else keypoints[kept],
        )

    def move_proposals(self, boxes: Tensor) -> Tensor:
        """The proposals [P, 4] whose parts inside of the result have an area, cut at its edges, in its pixels."""
        moved = clip_boxes(move_boxes(boxes, self.affine()), self.size)
        return moved[_sides(moved) > 0]

    def _move_keypoints(self, keypoints: Tensor, keypoint_schema: KeypointSchema | None) -> Tensor:
        if self.mirrored != self.upside_down:
            if keypoint_schema is None:
                raise ValueError("keypoints are mirrored with their keypoint_schema, which says what is left and right")
            keypoints = keypoints[:, list(keypoint_schema.mirrored)]
        matrix = torch.from_numpy(self.affine()[:2]).to(keypoints)
        points = keypoints[..., :2] @ matrix[:, :2].T + matrix[:, 2]
        edges = points.new_tensor([self.size[1], self.size[0]])
        inside = ((points >= 0) & (points <= edges)).all(dim=-1, keepdim=True)
        return torch.cat([points, keypoints[..., 2:]], dim=-1) * (inside & (keypoints[..., 2:] > 0))


def move_boxes(boxes: Tensor, affine: np.ndarray) -> Tensor:
    """The upright boxes around boxes after an affine transform.

    Args:
        boxes: [N, 4] x1, y1, x2, y2.
        affine: [3, 3] or [2, 3].
    """
    matrix = torch.from_numpy(affine[:2]).to(boxes)
    corners = boxes[:, [0, 1, 2, 1, 0, 3, 2, 3]].reshape(-1, 4, 2) @ matrix[:, :2].T + matrix[:, 2]
    return torch.cat([corners.amin(dim=1), corners.amax(dim=1)], dim=1)


def _sides(boxes: Tensor) -> Tensor:
    """[N] the shorter side of each box."""
    return (boxes[:, 2:] - boxes[:, :2]).amin(dim=1)


def _matrix(*rows: list[float]) -> np.ndarray:
    return np.array([*rows, [0, 0, 1]], dtype=np.float64)
