"""Boxes on COCO-O: COCO's classes in sketches, cartoons, paintings and the like (Mao et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping

from ...evaluation.annotations import Annotations
from ...evaluation.coco import coco_sections
from ...evaluation.results import Results
from ...evaluation.sections import Numbers, Say, Section, say_nothing

DOMAINS = ("sketch", "weather", "cartoon", "painting", "tattoo", "handmake")
SLOPE = 0.45
"""AP on COCO-O that a detector is expected to have, as a share of its AP on COCO's val2017. Inferred: it gives the rows
that the authors publish (https://github.com/alibaba/easyrobust/issues/21)."""
ROW = ("AP", "AP50", "AP75", "APs", "APm", "APl")


def coco_o_sections(
    domains: Mapping[str, tuple[Annotations, Results]], reference: float | None, *, say: Say = say_nothing
) -> list[Section]:
    """Score boxes in each domain by COCO's rule.

    Args:
        domains: Ground truth and predictions by the domain's name.
        reference: AP of boxes of the same model on COCO's val2017, as a fraction; None: not known.
        say: Called with the domain that is being scored.

    Returns:
        One section: AP, the plain mean of the domains' APs (images are not pooled), `effective robustness`, None
        without a reference, and the reference itself; a row of each domain stands in `per_class`.
    """
    rows: dict[str, Numbers] = {}
    for domain, (truth, results) in domains.items():
        say(domain)
        rows[domain] = _row(truth, results)
    average = mean_of_domains({domain: row["AP"] for domain, row in rows.items()})
    numbers = {
        "AP": average,
        "effective robustness": effective_robustness(average, reference),
        "AP on val2017": reference,
    }
    protocol = (
        f"COCO AP of boxes at IoU 0.50:0.05:0.95, at most 100 detections per image and class, in each domain; mean "
        f"of the {len(rows)} domains; effective robustness = AP - {SLOPE} AP on COCO val2017 (COCO-O)"
    )
    return [Section("bbox", "boxes", protocol, numbers, rows, row="domain")]


def box_average_precision(truth: Annotations, results: Results) -> float | None:
    """COCO's AP of boxes; None where there is no object."""
    return _row(truth, results)["AP"]


def mean_of_domains(found: Mapping[str, float | None]) -> float | None:
    """Plain mean of the APs of those domains that have objects; None if none has."""
    known = [value for value in found.values() if value is not None]
    return sum(known) / len(known) if known else None


def effective_robustness(average: float | None, reference: float | None) -> float | None:
    """How much better a detector is on COCO-O than its AP on COCO lets expect; of fractions, or of percents.

    Args:
        average: Mean AP of the domains.
        reference: AP on COCO's val2017.
    """
    return None if average is None or reference is None else average - SLOPE * reference


def _row(truth: Annotations, results: Results) -> dict[str, float | None]:
    (section,) = coco_sections(truth, results, kinds=("bbox",))
    return {name: None if section.numbers[name] == -1 else section.numbers[name] for name in ROW}
