"""What is to be said about the image files of a split, and about images that are there twice."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..data.dataset import Record
from ..data.dataset_range import DatasetRange, join_extents
from ..progress import counted
from .findings import Example, Finding, Severity, about, some
from .images import LEAST_CORRELATION, MOST_BITS, ImageFacts, near_pairs, same_files

CLEAR = ("RGBA", "LA", "PA", "RGBa", "La")
DARK = 80
"""Brightness, of 255, that 99 of 100 pixels of a dark image do not reach."""
SPREAD = 3.0
"""Large over small images (98th and 2nd percentile of their shorter sides) from which that is worth a word."""
SAME, ALIKE = (
    "have the same bytes",
    (
        f"look the same (difference hashes at most {MOST_BITS} of 64 bits apart, small copies that "
        f"correlate by {LEAST_CORRELATION})"
    ),
)
LEAKED = (
    "Training images cannot validate: the scores will be too good. Take these images out of one of the splits; "
    "split by scene, patient, slide or film, not by image."
)
TWICE = (
    "Each counts as often as it is there. If their annotations differ, correct them; without validation data, a part "
    "of the images is held out at random, and such pairs may then be divided: give validation data (--val)."
)


def find_in_images(name: str, records: Sequence[Record], facts: Sequence[ImageFacts]) -> list[Finding]:
    """Files that cannot be read, contradict their record, or are of a kind worth knowing.

    Args:
        name: Of the split.
        records: Its images.
        facts: Of each of them.
    """
    values = join_extents(one.extent for one in facts)
    return [
        *_unreadable(name, facts),
        *_other_size(name, records, facts),
        *_kinds(name, [one for one in facts if one.problem is None]),
        *_deep(name, facts, values),
        *_brightness(name, [_at_range(one, values) for one in facts if one.thumb is not None]),
        *_sizes(name, records),
    ]


def _unreadable(name: str, facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    broken = [Example(one.problem) for one in facts if one.problem is not None]
    what = "image files cannot be read: damaged, cut off, or no images."
    advice = "Copy or download them again, or take them out of the dataset; training stops at the first of them."
    yield from about(len(broken), len(facts), name, "error", "unreadable-images", what, advice, broken)


def _other_size(name: str, records: Sequence[Record], facts: Sequence[ImageFacts]) -> Iterator[Finding]:
    wrong = [pair for pair in zip(records, facts, strict=True) if not pair[1].problem and pair[1].size != pair[0].size]
    turned = [pair for pair in wrong if pair[1].orientation > 4 and pair[1].size == pair[0].size[::-1]]
    reason = (
        f" {counted(len(turned), 'of them has', 'of them have')} an EXIF orientation that the annotations ignore."
        if turned
        else ""
    )
    yield from about(
        len(wrong),
        len(records),
        name,
        "error",
        "wrong-sizes",
        f"images are of another size than their record says.{reason}",
        "Correct `width` and `height` of the records. Where they are swapped, the image was annotated lying on its "
        "side: remove its EXIF orientation (`exiftool -Orientation= FILE`), so that it is shown as it was annotated.",
        [Example(f"{record.path.name}: {_shown(one)}, record {_by(record.size)}") for record, one in wrong],
    )


def _kinds(name: str, read: Sequence[ImageFacts]) -> Iterator[Finding]:
    for key, what, advice, chosen in (
        (
            "cmyk-images",
            "are CMYK, made for printing",
            "They become RGB without a color profile, and their colors differ; save them as RGB.",
            [one for one in read if one.mode == "CMYK"],
        ),
        (
            "clear-images",
            "have an alpha channel",
            "What is transparent is laid on white; save them without alpha if that is wrong.",
            [one for one in read if one.mode in CLEAR],
        ),
        (
            "many-pages",
            "have several pages",
            "Only the first page is read; split them into files if the others count.",
            [one for one in read if one.pages > 1],
        ),
        (
            "gray-images",
            "are gray, the others colored",
            "Nothing has to be done; color jitter (`augment.saturation`) does nothing to the gray ones. If the kinds "
            "differ in more than color, `data.balance=FIELD` draws them equally often by a field of their records.",
            [one for one in read if one.gray and not all(other.gray for other in read)],
        ),
    ):
        yield from _about(name, chosen, len(read), "note", key, what, advice)


def _deep(name: str, facts: Sequence[ImageFacts], values: DatasetRange | None) -> Iterator[Finding]:
    """The range of all images of more than 8 bits together, and their pixels without data."""
    if values is None:
        return
    deep = [one for one in facts if one.extent is not None]
    low, high = values.extent.low, values.extent.high
    what = f"have more than 8 bits per channel; their values reach from {low:g} to {high:g}"
    advice = (
        "All are scaled alike, by the range of the training images; a narrower one shows more of what is dark. It is "
        "stored with the weights."
    )
    for found in _about(name, deep, len(facts), "note", "deep-images", what, advice):
        yield replace(found, settings=(values.setting,))
    gaps = [one for one in deep if one.extent is not None and one.extent.missing]
    what = "have pixels without data (NaN, infinite, -9999 or what their file says)"
    advice = "These do not count in the range, and are drawn as its lowest value. Nothing has to be done."
    yield from _about(name, gaps, len(facts), "note", "missing-values", what, advice)


def _at_range(facts: ImageFacts, values: DatasetRange | None) -> ImageFacts:
    """With the brightness that the image has in the range of all."""
    if values is None or facts.extent is None or facts.extent.empty:
        return facts
    low, high = values.value_range
    return replace(facts, bright=255 * (facts.extent.bright - low) / (high - low))


def _brightness(name: str, read: Sequence[ImageFacts]) -> Iterator[Finding]:
    flat = [one for one in read if one.thumb is not None and np.ptp(one.thumb) <= 1]
    what = "are of one brightness all over: blank, or badly converted"
    yield from _about(name, flat, len(read), "warning", "flat-images", what, "Look at them; take blank ones out.")
    dark = sorted((one for one in read if one.bright < DARK), key=lambda one: one.bright)
    if len(dark) > len(read) / 2:
        median = float(np.median([one.bright for one in read]))
        what = f"are dark: 99 % of their pixels stay below {DARK} of 255 (median of all images: {median:.0f})"
        advice = "Stretch the brightness of every image, when training and when predicting."
        for found in _about(name, dark, len(read), "warning", "dark-images", what, advice):
            yield replace(found, settings=("input.stretch=0.1,99.9",))


def _about(
    name: str, chosen: Sequence[ImageFacts], total: int, severity: Severity, key: str, what: str, advice: str
) -> Iterator[Finding]:
    """A finding about some of the `total` images of a split; none if there are none of them."""
    examples = [Example(f"{one.path.name} ({one.mode})", one.path) for one in chosen]
    yield from about(len(chosen), total, name, severity, key, f"images {what}.", advice, examples)


def _sizes(name: str, records: Sequence[Record]) -> Iterator[Finding]:
    sizes = Counter(record.size for record in records)
    if len(sizes) < 2:
        return
    shorter = np.array([min(record.size) for record in records])
    small, large = np.percentile(shorter, (2, 98))
    if large > SPREAD * small:
        common = ", ".join(f"{_by(size)} ({count})" for size, count in sizes.most_common(3))
        yield Finding(
            "note",
            "many-sizes",
            f"{name}: the images' shorter sides run from {shorter.min()} to {shorter.max()} px; the most frequent "
            f"sizes are {common}.",
            "All are resized to one shorter side (`input.min_size`), so that small ones are enlarged much more "
            "than large ones. Where all were taken at one magnification, use one factor, `input.scale_factor`.",
            len(sizes),
        )


def _shown(one: ImageFacts) -> str:
    turned = f" (EXIF orientation {one.orientation})" if one.orientation != 1 else ""
    return f"file {_by(one.size)}{turned}"


def _by(size: tuple[int, int]) -> str:
    """Width x height, as people say it."""
    return f"{size[1]} x {size[0]}"


def find_leaks(facts: Sequence[tuple[str, ImageFacts]]) -> list[Finding]:
    """Images with the same bytes, and images that look the same, within a split and across splits.

    Args:
        facts: Name of the split and facts of every image.
    """
    splits, images = [name for name, _ in facts], [one for _, one in facts]
    same = [(group[0], other) for group in same_files(images) for other in group[1:]]
    findings: list[Finding] = []
    for pairs, near, how in ((same, False, SAME), (near_pairs(images), True, ALIKE)):
        across = [pair for pair in pairs if splits[pair[0]] != splits[pair[1]]]
        within = [pair for pair in pairs if splits[pair[0]] == splits[pair[1]]]
        names = ", ".join(sorted({splits[place] for pair in across for place in pair}))
        cases: tuple[tuple[list[tuple[int, int]], Severity, str, str, str], ...] = (
            (
                across,
                "warning",
                "nearly-leaked-images" if near else "leaked-images",
                f"different splits ({names})",
                LEAKED,
            ),
            (within, "note", "near-duplicate-images" if near else "duplicate-images", "one split", TWICE),
        )
        for chosen, severity, name, where, advice in cases:
            if chosen:
                what = f"{counted(len(chosen), 'pair')} of images of {where} {how}."
                examples = some([example for pair in chosen for example in _both(facts, pair)])
                findings.append(Finding(severity, name, what, advice, len(chosen), examples))
    return sorted(findings, key=lambda finding: finding.severity != "warning")


def _both(facts: Sequence[tuple[str, ImageFacts]], pair: tuple[int, int]) -> list[Example]:
    """Both images of a pair, one after the other."""
    (first, one), (second, other) = (facts[place] for place in pair)
    return [
        Example(f"{first} {one.path.name} = {second} {other.path.name}", one.path),
        Example(f"{second} {other.path.name}", other.path),
    ]
