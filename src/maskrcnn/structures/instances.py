"""The objects of one image, annotated or predicted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..config import SCORE_THRESHOLD
from ..errors import SettingError
from ..ops.devices import carry
from .classes import Classes, in_whole_pixels
from .masks import Index, Masks, PolygonKind, as_index
from .panoptic import Panoptic

if TYPE_CHECKING:
    import supervision

OF_THE_IMAGE = ("size", "classes")
"""Fields that are not one value per object."""
CORNERS = [0, 1, 2, 1, 2, 3, 0, 3]
"""Of a box: x, y of its corners in turn."""


@dataclass(repr=False)
class Instances:
    """N objects of one image; N may be 0.

    Example:
        sure = instances.filter(score=0.7)
        for one in sure:  # each is Instances of length 1
            print(one.labels, one.boxes, one.masks.bitmap(0).sum())
        sure.plot("photo.png").save("drawn.png")

    Args:
        size: (height, width) of the image whose pixels the coordinates count.
        boxes: [N, 4] float x1, y1, x2, y2; continuous, width = x2 - x1.
        labels: [N] int64 in 0..K-1.
        scores: [N] in 0..1, of predictions.
        crowd: [N] bool, of annotations: the object is a group that was not separated.
        masks: N masks in the same image.
        keypoints: [N, Kp, 3] x, y in continuous pixels (the middle of the first pixel is 0.5), and of annotations the
            visibility (0: not annotated, 1: hidden, 2: visible), of predictions the score.
        panoptic: What each pixel of the image belongs to. It is of the whole image: a selection has none.
        classes: What the labels mean, where it is known; those of a `Predictor` know it.
    """

    size: tuple[int, int]
    boxes: Tensor
    labels: Tensor
    scores: Tensor | None = None
    crowd: Tensor | None = None
    masks: Masks | None = None
    keypoints: Tensor | None = None
    panoptic: Panoptic | None = None
    classes: Classes | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, index: Index) -> Instances:
        """The objects that a number, a slice, numbers or truth values select, in their order."""
        chosen = as_index(index, len(self))
        return replace(self, panoptic=None)._with_each(lambda values: values[chosen])

    def __iter__(self) -> Iterator[Instances]:
        """Each object in turn, as Instances of length 1."""
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        """How many objects of which classes there are, and what is known of them."""
        counts = Counter(map(self._name, self.labels.tolist())).most_common()
        of = f": {', '.join(f'{count} {name}' for name, count in counts)}" if counts else ""
        best = f"; best score {float(self.scores.max()):.2f}" if self.scores is not None and len(self) else ""
        given = [name for name in ("masks", "keypoints", "panoptic") if getattr(self, name) is not None]
        more = f"; with {', '.join(given)}" if given else ""
        return f"Instances({len(self)} in {self.size[0]} x {self.size[1]} px{of}{best}{more})"

    def to(self, device: torch.device | str) -> Instances:
        """The same objects with their tensors on `device`."""
        return self._with_each(
            lambda values: carry(values, device) if isinstance(values, Tensor) else values.to(device)
        )

    def filter(self, *, score: float | None = None, labels: str | Iterable[int | str] | None = None) -> Instances:
        """The objects that count.

        Args:
            score: The least; objects without scores, those of annotations, are all kept.
            labels: Labels or names of `classes`, or one name; None: any.

        Raises:
            ValueError: The score is not in 0..1, a name is none of the classes, or the classes are not known.
        """
        if score is not None and not 0 <= score <= 1:
            raise ValueError(f"score is {score}, but scores lie in 0..1")
        kept = torch.ones(len(self), dtype=torch.bool, device=self.labels.device)
        if score is not None and self.scores is not None:
            kept &= self.scores >= score
        if labels is not None:
            labels = [labels] if isinstance(labels, str) else labels
            numbers = [self._label(label) for label in labels]
            kept &= torch.isin(self.labels, torch.tensor(numbers, dtype=torch.int64, device=kept.device))
        return self[kept]

    def to_rle(self) -> list[dict]:
        """COCO RLE of each object's mask, {"size": [height, width], "counts": str}; ValueError without masks."""
        if self.masks is None:
            raise ValueError("these instances have no masks; use a model with a mask head")
        return self.masks.to_rle()

    def to_polygons(self, shape: PolygonKind = "contour") -> list[np.ndarray]:
        """[V, 2] x, y around the largest part of each object's mask, or around its box where there are no masks."""
        if self.masks is not None:
            return self.masks.to_polygons(shape)
        return list(self.boxes[:, CORNERS].reshape(-1, 4, 2).detach().double().cpu().numpy())

    def to_coco(self, image_id: int = 0, classes: Classes | None = None) -> list[dict]:
        """COCO results, as its evaluators and servers take them.

        A record holds the box and, where there are any, the mask and the keypoints. Evaluators that get several take an
        object's size from its box also for masks; `Results.of_type` makes the separate lists they want.

        Args:
            image_id: The dataset's id of the image.
            classes: Gives each label the dataset's category id; None: these instances' own.

        Returns:
            One dict per object: image_id, category_id, score, bbox [x, y, width, height], segmentation (RLE),
            keypoints (x, y, score of each in turn, where the middle of the first pixel is 0, as COCO has it).

        Raises:
            ValueError: They have no scores, as annotations have none; or the classes are not known.
        """
        if self.scores is None:
            raise ValueError("COCO results need scores, but these instances have none")
        category_ids = self.known_classes(classes).category_ids
        boxes = self.boxes.detach().double().cpu()
        boxes[:, 2:] -= boxes[:, :2]
        columns = zip(self.labels.tolist(), self.scores.tolist(), boxes.tolist(), strict=True)
        records: list[dict] = [
            {"image_id": image_id, "category_id": category_ids[label], "score": score, "bbox": box}
            for label, score, box in columns
        ]
        if self.masks is not None:
            for record, mask in zip(records, self.masks.to_rle(), strict=True):
                record["segmentation"] = mask
        if self.keypoints is not None:
            for record, points in zip(records, in_whole_pixels(self.keypoints).tolist(), strict=True):
                record["keypoints"] = points
        return records

    def to_supervision(self) -> supervision.Detections:
        """The same objects as `supervision.Detections`, masks as bitmaps of the image's size.

        Raises:
            SettingError: supervision is not installed.
        """
        try:
            from supervision import Detections
        except ImportError as error:
            raise SettingError(
                "to_supervision: supervision is not installed. Install it with `pip install supervision`."
            ) from error
        names = np.array([self._name(label) for label in self.labels.tolist()], dtype=str)
        return Detections(
            xyxy=self.boxes.detach().float().cpu().numpy(),
            mask=None if self.masks is None else self.masks.bitmaps(),
            confidence=None if self.scores is None else self.scores.detach().float().cpu().numpy(),
            class_id=self.labels.cpu().numpy(),
            data={"class_name": names},
        )

    def plot(
        self,
        image: str | Path | np.ndarray | Tensor | Image.Image,
        classes: Classes | None = None,
        *,
        score_threshold: float = SCORE_THRESHOLD,
        scale: float = 1.0,
    ) -> Image.Image:
        """The image with these objects, or its segments, drawn over it; see `draw_instances`.

        Args:
            image: A file, an array [H, W, 3] or [H, W], a tensor [3, H, W], all uint8, or a Pillow image.
            classes: Names of the labels; None: these instances' own.
            score_threshold: Predictions below it, by default 0.5, are not drawn.
            scale: Size of the drawing over that of the image.

        Raises:
            DataError: The image cannot be read, or is no such array.
            ValueError: The classes are not known, or the image is not of these instances' size.
        """
        # Reading and drawing know what instances are, not the reverse: they are looked up only when they are used.
        from ..data.images import load_image
        from ..draw.instances import draw_instances

        pixels = load_image(image)
        if tuple(pixels.shape[1:]) != self.size:
            raise ValueError(
                f"the image has {pixels.shape[1]} x {pixels.shape[2]} px (height, width), but these instances are of "
                f"an image of {self.size[0]} x {self.size[1]} px. Give the image they were found in."
            )
        drawn = draw_instances(pixels, self, classes, score_threshold=score_threshold, scale=scale)
        return Image.fromarray(drawn.permute(1, 2, 0).numpy())

    def known_classes(self, classes: Classes | None = None) -> Classes:
        """What the labels mean: the classes given, or else these instances' own; ValueError without either."""
        known = classes or self.classes
        if known is None:
            raise ValueError(
                "the classes of these instances are not known; give `classes`, such as those of the dataset"
            )
        return known

    def _name(self, label: int) -> str:
        return f"label {label}" if self.classes is None else self.classes.names[label]

    def _label(self, label: int | str) -> int:
        if not isinstance(label, str):
            return label
        names = self.known_classes().names
        if label not in names:
            raise ValueError(f"{label!r} is not among the classes {', '.join(names)}")
        return names.index(label)

    def _with_each(self, change: Callable[[Any], Any]) -> Instances:
        given = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in OF_THE_IMAGE}
        return replace(self, **{name: change(values) for name, values in given.items() if values is not None})
