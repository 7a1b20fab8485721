"""The keypoints of a kind of object: their names, which swap in a mirror, how they are joined, how exact they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from torch import Tensor

PIXEL_MIDDLE = 0.5
Pairs = tuple[tuple[int, int], ...]

USUAL_SIGMA = 0.05
"""Where nobody measured: an error of a tenth of the object's size (root of its area) counts exp(-1/2) = 0.61."""
SIDES = (("left", "right"), ("l_", "r_"), ("_l", "_r"))


@dataclass(frozen=True)
class KeypointSchema:
    """Kp keypoints, counted from 0.

    Args:
        names: Kp different names.
        flip_pairs: Keypoints that change places in a flipped image, (left, right); the others keep theirs.
        edges: Keypoints that drawings join.
        sigmas: Standard deviation of people who annotate each keypoint, relative to the root of the object's area;
            object keypoint similarity is exp(-d^2 / (2 area (2 sigma)^2)).

    Raises:
        ValueError: Lengths or numbers do not fit together; the text says how.
    """

    names: tuple[str, ...]
    flip_pairs: Pairs
    edges: Pairs
    sigmas: tuple[float, ...]

    def __post_init__(self) -> None:
        count = len(self.names)
        if count == 0 or len(set(self.names)) != count:
            raise ValueError(f"the names of keypoints are {list(self.names)}, but there must be some, all different")
        if len(self.sigmas) != count or not all(0 < sigma < 1 for sigma in self.sigmas):
            rule = f"there must be one per keypoint ({count}), between 0 and 1"
            raise ValueError(f"sigmas are {list(self.sigmas)}, but {rule}")
        for what, pairs in (("flip pairs", self.flip_pairs), ("skeleton lines", self.edges)):
            wrong = [pair for pair in pairs if pair[0] == pair[1] or not all(0 <= place < count for place in pair)]
            if wrong:
                rule = f"they join two different keypoints among {count}"
                raise ValueError(f"{what} contain {[place + 1 for place in wrong[0]]} (counted from 1), but {rule}")
        paired = [place for pair in self.flip_pairs for place in pair]
        if len(set(paired)) != len(paired):
            raise ValueError(f"flip pairs {_from_one(self.flip_pairs)} name a keypoint twice, but it has one partner")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def mirrored(self) -> tuple[int, ...]:
        """Which keypoint of the image each keypoint of its flipped image is."""
        partners = dict(self.flip_pairs) | {right: left for left, right in self.flip_pairs}
        return tuple(partners.get(place, place) for place in range(len(self)))

    def described(self) -> dict[str, Any]:
        """As in the `categories` of a COCO file, pairs counted from 1."""
        return {
            "keypoints": list(self.names),
            "skeleton": _from_one(self.edges),
            "flip_pairs": _from_one(self.flip_pairs),
            "sigmas": list(self.sigmas),
        }


def in_whole_pixels(keypoints: Tensor) -> Tensor:
    """[N, 3 Kp] x, y, score in turn of [N, Kp, 3] keypoints, as COCO's files have them.

    COCO numbers pixels: what lies in the middle of the first one is at 0 in its files and at `PIXEL_MIDDLE` here.
    """
    return (keypoints.detach().double().cpu() - keypoints.new_tensor([PIXEL_MIDDLE, PIXEL_MIDDLE, 0]).cpu()).flatten(1)


def keypoint_schema_of(category: Mapping[str, Any]) -> KeypointSchema | None:
    """The keypoints that a category of a COCO file lists.

    Keypoints with the names of COCO or CrowdPose have their flip pairs, lines and sigmas. Others have the file's
    `skeleton` as far as it can be drawn, and `flip_pairs` and `sigmas` if it has these two entries, which are not
    COCO's own: pairs as `skeleton` has them, counted from 1. Without them, pairs follow from names such as left_eye and
    right_eye, and sigmas are `USUAL_SIGMA`.

    Returns:
        None for a category without keypoints.

    Raises:
        ValueError: What is wrong, to follow the category's name.
    """
    names = category.get("keypoints")
    if not names:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"`keypoints` is {names!r:.60}, but must be a list of names")
    known = KNOWN.get(tuple(name.casefold() for name in names))
    sigmas = category.get("sigmas", known.sigmas if known else [USUAL_SIGMA] * len(names))
    if not isinstance(sigmas, Sequence) or not all(isinstance(sigma, int | float) for sigma in sigmas):
        raise ValueError(f"`sigmas` is {sigmas!r:.60}, but must be a list of numbers")
    guessed = known.flip_pairs if known else guess_flip_pairs(names)
    return KeypointSchema(
        names=tuple(names),
        flip_pairs=_pairs(category, "flip_pairs") if "flip_pairs" in category else guessed,
        edges=known.edges if known else _edges(category.get("skeleton"), names),
        sigmas=tuple(float(sigma) for sigma in sigmas),
    )


def shared_keypoint_schema(categories: Sequence[Mapping[str, Any]]) -> KeypointSchema | None:
    """The keypoints of the categories of a COCO file; those without any may be among them.

    Raises:
        ValueError: A category contradicts itself, or two have different keypoints; the text names them.
    """
    found: dict[str, KeypointSchema] = {}
    for category in categories:
        name = str(category.get("name", category.get("id")))
        try:
            keypoint_schema = keypoint_schema_of(category)
        except ValueError as error:
            raise ValueError(f"category {name!r}: {error}") from error
        if keypoint_schema is not None:
            found[name] = keypoint_schema
    if len({replace(one, edges=()) for one in found.values()}) > 1:
        rule = "a model has one set of them; give them the same ones, or split the file"
        raise ValueError(f"the categories {', '.join(found)} have different keypoints, but {rule}")
    return next(iter(found.values()), None)


def guess_flip_pairs(names: Sequence[str]) -> Pairs:
    """Keypoints whose names differ in `left` and `right`, or in `l` and `r` at the start or the end."""
    places = {name.casefold(): place for place, name in enumerate(names)}
    pairs = []
    for name, place in places.items():
        partner = next((places[other] for other in _other_sides(name) if other in places), None)
        if partner is not None:
            pairs.append((place, partner))
    return tuple(pairs)


def _other_sides(name: str) -> list[str]:
    """Names a left keypoint's partner may have; none for keypoints that are not left."""
    word, prefix, suffix = SIDES
    others = [name.replace(*word)] if word[0] in name else []
    others += [prefix[1] + name.removeprefix(prefix[0])] if name.startswith(prefix[0]) else []
    return others + ([name.removesuffix(suffix[0]) + suffix[1]] if name.endswith(suffix[0]) else [])


def _edges(skeleton: object, names: Sequence[str]) -> Pairs:
    """Lines of a file: pairs of keypoints counted from 1, or from 0, or names; only drawn, so odd ones are left out."""
    places = {name: place for place, name in enumerate(names, start=1)}
    given = (
        [pair for pair in skeleton if isinstance(pair, list) and len(pair) == 2] if isinstance(skeleton, list) else []
    )
    pairs = [[places.get(end, end) if isinstance(end, str) else end for end in pair] for pair in given]
    whole = [
        (int(a), int(b)) for a, b in pairs if all(isinstance(end, int | float) and end == end // 1 for end in (a, b))
    ]
    start = 0 if any(0 in pair for pair in whole) else 1
    lines = [(a - start, b - start) for a, b in whole]
    return tuple((a, b) for a, b in lines if a != b and 0 <= a < len(names) and 0 <= b < len(names))


def _pairs(category: Mapping[str, Any], key: str) -> Pairs:
    pairs = category.get(key) or []
    rule = "must be a list of pairs of keypoints, counted from 1"
    if not isinstance(pairs, list):
        raise ValueError(f"`{key}` is a {type(pairs).__name__}, but {rule}")
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(place, int) for place in pair):
            raise ValueError(f"`{key}` contains {pair!r:.60}, but {rule}")
    return tuple((first - 1, second - 1) for first, second in pairs)


def _from_one(pairs: Pairs) -> list[list[int]]:
    return [[first + 1, second + 1] for first, second in pairs]


# https://cocodataset.org/#keypoints-eval; names, lines and sigmas as in its annotations and its evaluation.
COCO_PERSON = KeypointSchema(
    names=(
        *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow"),
        *("right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee"),
        *("left_ankle", "right_ankle"),
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    edges=(
        *((15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9)),
        *((8, 10), (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6)),
    ),
    sigmas=(
        *(0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087),
        *(0.089, 0.089),
    ),
)
# Li et al. 2019, CrowdPose: names and sigmas as in its annotations and its evaluation; its file has COCO's lines,
# which do not fit its keypoints.
CROWDPOSE_PERSON = KeypointSchema(
    names=(
        *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip"),
        *("right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle", "head", "neck"),
    ),
    flip_pairs=((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11)),
    edges=(
        *((10, 8), (8, 6), (11, 9), (9, 7), (6, 7), (0, 6), (1, 7), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5)),
        *((12, 13), (13, 0), (13, 1)),
    ),
    sigmas=(0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089, 0.089, 0.079, 0.079),
)
KNOWN = {one.names: one for one in (COCO_PERSON, CROWDPOSE_PERSON)}


@dataclass(frozen=True)
class Classes:
    """Names and category ids, both in the order of the labels 0..K-1.

    Args:
        names: K names.
        category_ids: K ids as they stand in the annotation file; gaps are fine.
        stuff: S names of what has no separate objects (sky, grass), in the order of the stuff labels 0..S-1.
        stuff_ids: Their S category ids.
        keypoint_schema: The keypoints of the objects; None if they have none. Classes without keypoints may be among
            others.
    """

    names: tuple[str, ...]
    category_ids: tuple[int, ...]
    stuff: tuple[str, ...] = ()
    stuff_ids: tuple[int, ...] = ()
    keypoint_schema: KeypointSchema | None = None

    @classmethod
    def of(cls, given: Classes | Sequence[str]) -> Classes:
        """Classes as they are given, or of names alone, whose category ids are 1, 2, ..."""
        return given if isinstance(given, Classes) else cls(tuple(given), tuple(range(1, len(given) + 1)))

    @property
    def keypoint_count(self) -> int:
        """Keypoints per object; 0 if there are none."""
        return 0 if self.keypoint_schema is None else len(self.keypoint_schema)

    def __len__(self) -> int:
        return len(self.names)

    def label_of(self, category_id: int) -> int:
        """Label 0..K-1 of a category id; KeyError if the dataset has no such id."""
        return self._labels[category_id]

    @cached_property
    def _labels(self) -> dict[int, int]:
        return {category_id: label for label, category_id in enumerate(self.category_ids)}
