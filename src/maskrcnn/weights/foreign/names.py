"""Names of tensors: tables that say what those of another library are called here, read in both directions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from torch import Tensor

from ...errors import WeightsError
from ...structures.classes import COCO_PERSON, Classes, KeypointSchema
from .structure import find_classes, find_keypoints, find_stuff

Table = Sequence[tuple[str, str]]
"""Pairs of their layer and ours, such as ("res{stage+2}.{block}.conv1.", "backbone.stages.{stage}.{block}.step1.").

`{stage}` stands for a number, `{stage+2}` for one that is 2 more, `{i*3+1}` for three times it and 1 more. Behind a
layer comes a leaf, such as `weight`; for `*` at the end of both whatever there is. The first pair that fits counts.
"""

_FIELD = re.compile(r"\{(\w+)(?:\*(\d+))?(?:\+(\d+))?\}")


class _Side(NamedTuple):
    """One side of a pair, compiled: what it matches, and for each number its name, factor and offset."""

    pattern: re.Pattern[str]
    fields: list[tuple[str, int, int]]
    template: str


def normed(theirs: str, ours: str, *, convolution: str = "", norms: str = "norm.") -> Table:
    """Pairs for a convolution and its norm; `find_origins` leaves the middle of our name out if there is no norm."""
    return [(f"{theirs}{convolution}", f"{ours}convolution."), (f"{theirs}{norms}", f"{ours}norm.")]


def rename(name: str, table: Table) -> str | None:
    """Our name of another library's tensor; None if no pair of the table fits."""
    return next((ours for pair in table if (ours := _rename(name, *map(_compile, pair))) is not None), None)


def rename_back(name: str, table: Table) -> str | None:
    """Another library's name of our tensor; of a convolution without norm too, which tables name as if it had one."""
    layer, _, leaf = name.rpartition(".")
    for full in (name, f"{layer}.convolution.{leaf}"):
        for theirs, ours in table:
            if (renamed := _rename(full, _compile(ours), _compile(theirs))) is not None:
                return renamed
    return None


def find_origins(
    names: Iterable[str], table: Table, source: str, readable: str, *, spell: Callable[[str], str] = str
) -> dict[str, str]:
    """Our names of another library's tensors.

    Args:
        names: Of the tensors in a file.
        table: Pairs of their names and ours.
        source: Name of the file, for messages.
        readable: The models all of whose tensors have a place here, for messages.
        spell: Makes of a name in the file one of the table.

    Returns:
        {our name: name in the file}.

    Raises:
        WeightsError: Some tensors have no place here; they are named.
    """
    origins: dict[str, str] = {}
    left = []
    for name in names:
        ours = rename(spell(name), table)
        if ours is None or ours in origins:
            left.append(name)
        else:
            origins[ours] = name
    if left:
        count = f"{len(left)} tensors have" if len(left) > 1 else "1 tensor has"
        raise WeightsError(f"{source}: {count} no place here: {', '.join(left)}. Readable are {readable}.")
    return {_settled(ours, origins): name for ours, name in origins.items()}


@cache
def _compile(template: str) -> _Side:
    fields = [(name, int(factor or 1), int(offset or 0)) for name, factor, offset in _FIELD.findall(template)]
    layer = template.removesuffix("*")
    text = r"(\d+)".join(map(re.escape, _FIELD.sub("\0", layer).split("\0")))
    rest = "(.+)" if template.endswith("*") else r"(\w+)"
    return _Side(re.compile(text + rest), fields, layer)


def _rename(name: str, source: _Side, target: _Side) -> str | None:
    match = source.pattern.fullmatch(name)
    if match is None:
        return None
    *numbers, rest = match.groups()
    values = {}
    for (key, factor, offset), number in zip(source.fields, map(int, numbers), strict=True):
        if number < offset or (number - offset) % factor:
            return None
        values[key] = (number - offset) // factor
    return _FIELD.sub(lambda m: str(values[m[1]] * int(m[2] or 1) + int(m[3] or 0)), target.template) + rest


def _settled(name: str, names: Mapping[str, str]) -> str:
    layer, middle, leaf = name.rpartition(".convolution.")
    if not middle or layer.startswith(("backbone.", "shared_head.")) or f"{layer}.norm.weight" in names:
        return name
    return f"{layer}.{leaf}"


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
DATASETS: dict[str, dict[int, str]] = {
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
    """Classes with the names and ids of the dataset they were trained on, if it is known and has as many."""
    known = DATASETS.get(data, {})
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
