"""Names of classes where a file does not hold them, by their number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from ...structures.classes import Classes
from ...structures.keypoint_schema import COCO_PERSON, KeypointSchema
from .structure import find_classes, find_keypoints, find_stuff

# COCO's classes of pixels without objects (panoptic task).
_IDS = """
    92 93 95 100 107 109 112 118 119 122 125 128 130 133 138 141 144 145 147 148 149 151 154 155 156 159 161 166
    168 171 175 176 177 178 180 181 184 185 186 187 188 189 190 191 192 193 194 195 196 197 198 199 200
"""
_NAMES = """
    banner blanket bridge cardboard counter curtain door-stuff floor-wood flower fruit gravel house light
    mirror-stuff net pillow platform playingfield railroad river road roof sand sea shelf snow stairs tent towel
    wall-brick wall-stone wall-tile wall-wood water-other window-blind window-other tree-merged fence-merged
    ceiling-merged sky-other-merged cabinet-merged table-merged floor-other-merged pavement-merged
    mountain-merged grass-merged dirt-merged paper-merged food-other-merged building-other-merged rock-merged
    wall-other-merged rug-merged
"""
STUFF = dict(zip(map(int, _IDS.split()), _NAMES.split(), strict=True))
KEYPOINTS = 17
# By the names that published.yaml has for data; Cityscapes' ids are those of its own labels.
DATA_SETS: dict[str, dict[int, str]] = {
    "Cityscapes": {
        24: "person",
        25: "rider",
        26: "car",
        27: "truck",
        28: "bus",
        31: "train",
        32: "motorcycle",
        33: "bicycle",
    },
    "Pascal VOC 2007": dict(
        enumerate(
            (
                *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
                *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
                *("train", "tvmonitor"),
            ),
            start=1,
        )
    ),
}


def classes_of(state: Mapping[str, Tensor]) -> Classes:
    """The classes of a detector's tensors, by our names."""
    return name_classes(find_classes(state), stuff=find_stuff(state), keypoints=find_keypoints(state))


def name_classes(count: int, *, stuff: int = 0, keypoints: int = 0) -> Classes:
    """COCO's names for as many classes as COCO has, otherwise numbers.

    Args:
        count: Number of classes; 80 are COCO's in the order of their ids, 90 are those ids themselves, and one with
            COCO's 17 keypoints is a person.
        stuff: Number of classes without objects; 53 are COCO's.
        keypoints: Number of keypoints per object.
    """
    slots = _coco_slots()
    if count == 90:
        names, ids = slots, list(range(1, 91))
    elif count == 80:
        ids = [number for number, name in enumerate(slots, start=1) if name != "N/A"]
        names = [slots[number - 1] for number in ids]
    elif (count, keypoints) == (1, KEYPOINTS):
        names, ids = ["person"], [1]
    else:
        names, ids = [f"class {number}" for number in range(1, count + 1)], list(range(1, count + 1))
    stuff_names = dict(STUFF) if stuff == len(STUFF) else {ids[-1] + i: f"stuff {i}" for i in range(1, stuff + 1)}
    return Classes(tuple(names), tuple(ids), tuple(stuff_names.values()), tuple(stuff_names), name_keypoints(keypoints))


def name_by_data(classes: Classes, data: str) -> Classes:
    """Classes with the names and ids of the dataset they were learned from, if it is known and has as many."""
    known = DATA_SETS.get(data, {})
    if len(known) != len(classes):
        return classes
    return replace(classes, names=tuple(known.values()), category_ids=tuple(known))


def name_keypoints(count: int) -> KeypointSchema | None:
    """COCO's for as many keypoints as COCO has, otherwise numbers; None for none."""
    if count == 0:
        return None
    if count == KEYPOINTS:
        return COCO_PERSON
    return KeypointSchema(tuple(f"keypoint {number}" for number in range(1, count + 1)), (), (), (0.05,) * count)


def _coco_slots() -> list[str]:
    """Names of category ids 1 to 90, N/A for those that no object has."""
    from torchvision.models.detection import MaskRCNN_ResNet50_FPN_Weights

    return list(MaskRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"][1:])
