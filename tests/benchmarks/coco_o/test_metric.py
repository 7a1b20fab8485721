import pytest

from maskrcnn.benchmarks.coco_o.dataset import (
    DOMAINS,
    box_average_precision,
    coco_o_sections,
    effective_robustness,
    mean_of_domains,
)
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.results import Results
from tests.builders.vectors import load_vector, number, vector_files


def check_rows(rows: list[dict], expected: list[dict]) -> None:
    """Published rows, in percent."""
    for row, wanted in zip(rows, expected, strict=True):
        average = mean_of_domains({domain: row[domain] for domain in DOMAINS})
        found = {"avg": average, "effective_robustness": effective_robustness(average, row["coco_mAP"])}
        assert found == pytest.approx({name: number(value) for name, value in wanted.items()}, abs=1e-9)
        assert found["effective_robustness"] == pytest.approx(row["ER"], abs=0.011)  # of cells that are rounded


def parsed(gt: dict, dt: list[dict]) -> tuple[Annotations, Results]:
    truth = Annotations.parse(gt)
    return truth, Results.parse(dt, truth)


def check_scores(given: dict, expected: dict) -> None:
    reference = box_average_precision(*parsed(**given["coco_val"]))
    domains = {name: parsed(**found) for name, found in given["domains"].items()}
    section = coco_o_sections(domains, reference)[0]
    found = {
        "box_mAP_per_domain": {name: row["AP"] for name, row in section.per_class.items()},
        "coco_val_box_mAP": section.numbers["AP on val2017"],
        "average_mAP": section.numbers["AP"],
        "effective_robustness": section.numbers["effective robustness"],
    }
    assert found.keys() == expected.keys()
    rows = {name: 100 * value for name, value in found.pop("box_mAP_per_domain").items()}
    wanted = {name: number(value) for name, value in expected.pop("box_mAP_per_domain").items()}
    assert rows == pytest.approx(wanted, abs=1e-9)
    percents = {name: 100 * value for name, value in found.items()}
    assert percents == pytest.approx({name: number(value) for name, value in expected.items()}, abs=1e-9)


@pytest.mark.parametrize("path", vector_files("coco_o"))
def test_all_numbers_equal_the_vectors(path):
    vector = load_vector(path)
    if vector["expected"].keys() == {"rows"}:
        check_rows(vector["input"]["rows"], vector["expected"]["rows"])
    else:
        check_scores(vector["input"], vector["expected"])


def domain(found: int, objects: int = 2) -> tuple:
    """So many objects of one class, of which the first are found."""
    boxes = [[20 * n, 0, 10, 10] for n in range(objects)]
    annotations = [{"id": n, "image_id": 1, "category_id": 1, "bbox": box} for n, box in enumerate(boxes)]
    truth = {"images": [{"id": 1, "width": 99, "height": 50}], "categories": [{"id": 1, "name": "cat"}]}
    records = [{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": box} for box in boxes[:found]]
    return parsed({**truth, "annotations": annotations}, records)


def test_domains_are_averaged_and_not_pooled():
    said: list[str] = []
    section = coco_o_sections({"sketch": domain(2), "tattoo": domain(0, objects=4)}, 0.4, say=said.append)[0]
    assert section.numbers["AP"] == pytest.approx(0.5)
    assert section.numbers["effective robustness"] == pytest.approx(0.5 - 0.45 * 0.4)
    assert (section.per_class["sketch"]["AP50"], section.per_class["tattoo"]["AP"]) == (pytest.approx(1), 0)
    assert section.per_class["sketch"]["APl"] is None
    assert said == ["sketch", "tattoo"]


def test_without_a_reference_there_is_no_robustness():
    numbers = coco_o_sections({"sketch": domain(1)}, None)[0].numbers
    assert (numbers["effective robustness"], numbers["AP on val2017"]) == (None, None)


def test_a_domain_without_objects_is_left_out_of_the_mean():
    numbers = coco_o_sections({"sketch": domain(2), "tattoo": domain(0, objects=0)}, None)[0].numbers
    assert numbers["AP"] == pytest.approx(1)
    assert coco_o_sections({"tattoo": domain(0, objects=0)}, 0.5)[0].numbers["AP"] is None
