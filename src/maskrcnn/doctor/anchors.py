"""How well a network's anchors fit the objects of a dataset, and which would fit better."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from ..config import AnchorSettings, ModelSettings
from ..model.anchors import Anchors, check_levels
from ..model.build import make_backbone, make_neck
from ..progress import counted
from .findings import MOST_EXAMPLES, Finding
from .input_advice import Objects, Seen

PROBE = 1024
"""Side of an input from which the network's strides are read."""
FAR = 0.3
NEAR = 0.5
CLOSE = 0.7
"""IoU with an anchor from which the usual settings call it positive."""
FEWEST = 100
"""Objects to choose anchors by; fewer are too little to go by."""
SAMPLED = 3000
"""Objects that a search looks at."""
FINEST = tuple(4.0 * 2 ** (step / 3) for step in range(19))
STEPS = (2**0.5, 1.6, 2**0.75, 2.0)
APART = 1.3
"""Factor between ratios of anchors for objects that are all of one ratio."""
GAIN = 0.03
"""Of `Fit.worth`, from which other anchors are worth a change."""
LOSS = 0.005
"""Share of objects that may lose their near anchor by it."""


def level_strides(settings: ModelSettings) -> dict[int, float]:
    """Input pixels per pixel of the map of each level that the network proposes on; nothing is computed.

    Raises:
        SettingError: Parts of the network do not fit together.
    """
    with torch.device("meta"):
        backbone = make_backbone(settings)
        neck = make_neck(settings, backbone)
        maps = neck(backbone(torch.zeros(1, settings.input.channels, PROBE, PROBE)))
    check_levels(settings.anchors, maps)
    return {level: PROBE / map.shape[-1] for level, map in maps.items()}


def best_overlaps(objects: Objects, settings: AnchorSettings, strides: dict[int, float]) -> np.ndarray:
    """[N] largest IoU of each object with all anchors of its image.

    Anchors of one shape lie on a grid, and the overlap of two boxes falls with the distance of their centers along
    either axis, so that for each shape only the grid's point next to the object has to be looked at.

    Args:
        objects: In input pixels.
        settings: Sizes, ratios and place of the anchors.
        strides: Of `level_strides`.
    """
    best = np.zeros(len(objects))
    centers = (objects.boxes[:, :2] + objects.boxes[:, 2:]) / 2
    for cells, (level, stride) in zip(Anchors(settings).cells, strides.items(), strict=True):
        counts = np.ceil(objects.inputs[:, ::-1] / stride)
        step = np.full_like(counts, 2.0**level)
        if settings.stride == "measured":
            step = objects.inputs[:, ::-1] // counts
        nearest = np.round(centers / step - settings.offset).clip(0, counts - 1)
        apart = np.abs(centers - (nearest + settings.offset) * step)
        for x1, y1, x2, y2 in cells:
            best = np.maximum(best, _overlaps(objects.sides, np.array([x2 - x1, y2 - y1]), apart))
    return best


def _overlaps(sides: np.ndarray, cell: np.ndarray, apart: np.ndarray) -> np.ndarray:
    """[N] IoU of boxes with sides [N, 2] and a box with sides [2] whose centers are [N, 2] apart."""
    shared = np.minimum(np.minimum(sides, cell), ((sides + cell) / 2 - apart).clip(min=0)).prod(axis=1)
    return shared / (sides.prod(axis=1) + cell.prod() - shared).clip(min=1e-9)


class Fit(NamedTuple):
    """How anchors fit objects.

    Args:
        overlaps: [N] best IoU of each object.
        settings: The anchors.
    """

    overlaps: np.ndarray
    settings: AnchorSettings

    @property
    def near(self) -> float:
        """Share of objects with an anchor of an IoU of `NEAR` or more."""
        return float((self.overlaps >= NEAR).mean()) if len(self.overlaps) else 1.0

    @property
    def close(self) -> float:
        """Share of objects with an anchor of an IoU of `CLOSE` or more."""
        return float((self.overlaps >= CLOSE).mean()) if len(self.overlaps) else 1.0

    @property
    def worth(self) -> float:
        """What a search makes as large as it can: the mean of IoU, 0 where it is 0.3 or less and 1 from 0.7 on.

        These are the usual limits of negative and positive anchors (Ren et al. 2015).
        """
        return float(np.interp(self.overlaps, (FAR, CLOSE), (0, 1)).mean()) if len(self.overlaps) else 1.0


def fit(objects: Objects, settings: AnchorSettings, strides: dict[int, float]) -> Fit:
    """How the anchors of some settings fit."""
    return Fit(best_overlaps(objects, settings, strides), settings)


def better_anchors(objects: Objects, settings: AnchorSettings, strides: dict[int, float]) -> AnchorSettings:
    """As many anchors as the settings have that fit the objects best; the settings' own if little can be won.

    Sizes grow by one factor from the finest level to the coarsest; ratios are the settings' own, or the centers of as
    many groups of the objects' ratios (k-means of their logarithms). All are tried, on `SAMPLED` objects at most.
    """
    if len(objects) < FEWEST:
        return settings
    sample = objects.sample(SAMPLED)
    now = fit(sample, settings, strides)
    own = settings.ratios if settings.shapes is None else (0.5, 1.0, 2.0)
    groups = group_ratios(sample.sides, len(own))
    per_level = max(1, len((settings.shapes or settings.sizes)[0]) // (len(own) if settings.shapes else 1))
    tried = [
        fit(sample, _candidate(settings, finest, step, ratios, per_level, len(strides)), strides)
        for ratios in dict.fromkeys((own, groups))
        for finest in FINEST
        for step in STEPS
    ]
    no_worse = [one for one in tried if one.near >= now.near - LOSS and one.worth >= now.worth + GAIN]
    if not no_worse:
        return settings
    best = max(no_worse, key=lambda one: one.worth)
    plain = max((one for one in no_worse if one.settings.ratios == own), key=lambda one: one.worth, default=best)
    return plain.settings if plain.worth > best.worth - GAIN else best.settings


def group_ratios(sides: np.ndarray, count: int) -> tuple[float, ...]:
    """Height over width in the middle of `count` groups of boxes with sides [N, 2], by k-means of the logarithm.

    Where there are fewer groups, the ratios are `APART` around the middle of all.
    """
    logs = np.sort(np.log(sides[:, 1].clip(min=1e-3) / sides[:, 0].clip(min=1e-3)))
    centers = np.quantile(logs, (np.arange(count) + 0.5) / count)
    for _ in range(50):
        nearest = np.abs(logs[:, None] - centers).argmin(axis=1)
        moved = np.array([logs[nearest == i].mean() if (nearest == i).any() else centers[i] for i in range(count)])
        if np.allclose(moved, centers, atol=1e-4):
            break
        centers = moved
    ratios = _rounded(centers)
    return (
        ratios if len(ratios) == count else _rounded(logs.mean() + np.log(APART) * (np.arange(count) - (count - 1) / 2))
    )


def _rounded(logs: np.ndarray) -> tuple[float, ...]:
    return tuple(dict.fromkeys(float(f"{np.exp(one):.2g}") for one in logs))


def anchor_words(settings: AnchorSettings, before: AnchorSettings) -> tuple[str, ...]:
    """Words for the command line that change the anchors `before` into those of `settings`."""
    if settings == before:
        return ()
    levels = [list(sizes) for sizes in settings.sizes]
    single = all(len(sizes) == 1 for sizes in levels)
    sizes = ",".join(f"{own[0]:g}" for own in levels) if single else str([[round(s) for s in own] for own in levels])
    words = [f"anchors.sizes={sizes.replace(' ', '')}"]
    if settings.ratios != before.ratios:
        words.append(f"anchors.ratios={_listed(settings.ratios)}")
    if before.shapes is not None:
        words.append("anchors.shapes=null")
    return tuple(words)


def find_in_anchors(seen: Seen, now: Fit, best: Fit, *, at: str = "") -> Iterator[Finding]:
    """Objects that no anchor fits, and anchors that fit more of them.

    Args:
        seen: The objects to train on.
        now: How the settings' anchors fit them.
        best: How those of `better_anchors` do; the same if there are none.
        at: Which input that is, if not that of the settings, for the message.
    """
    missed = np.flatnonzero(now.overlaps < NEAR)
    words = anchor_words(best.settings, now.settings)
    what = (
        f"{seen.table.split.name}: {now.near:.0%} of {counted(len(now.overlaps), 'object')} have an anchor with an IoU "
        f"of {NEAR} or more{at}, {now.close:.0%} one of {CLOSE}."
    )
    worst = missed[np.argsort(now.overlaps[missed], kind="stable")][:MOST_EXAMPLES]
    examples = tuple(seen.table.example(int(seen.places[i]), f"best IoU {now.overlaps[i]:.2f}") for i in worst)
    if words:
        yield Finding(
            "warning" if best.near > now.near + GAIN else "note",
            "anchors",
            what,
            f"With the anchors below, {best.near:.0%} have one of {NEAR} and {best.close:.0%} one of {CLOSE}. "
            "There are as many as before, so that weights of COCO can still be loaded; the proposal network learns "
            "anew what each one means, which takes some images.",
            len(missed),
            examples,
            words,
        )
    elif len(missed) > 0.02 * max(1, len(now.overlaps)):
        yield Finding(
            "note",
            "anchors",
            what,
            "Other sizes and ratios, as many as there are, fit hardly better; the second stage corrects much of it.",
            len(missed),
            examples,
        )


def _candidate(
    settings: AnchorSettings, finest: float, step: float, ratios: tuple[float, ...], per_level: int, levels: int
) -> AnchorSettings:
    sides = [_even(finest * step**number) for number in range(levels * per_level)]
    sizes = tuple(tuple(sides[i * per_level : (i + 1) * per_level]) for i in range(levels))
    return settings.changed({"sizes": sizes, "ratios": ratios, "shapes": None})


def _even(size: float) -> float:
    """Rounded to what people write: whole, from 32 px on even, from 64 px on a multiple of 4."""
    unit = 1 if size < 32 else 2 if size < 64 else 4
    return float(max(2, unit * round(size / unit)))


def _listed(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in values) + ("," if len(values) == 1 else "")
