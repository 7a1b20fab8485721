import pytest

from maskrcnn.benchmarks.coco_o import (
    DOMAINS,
    box_average_precision,
    coco_o_sections,
    effective_robustness,
    mean_of_domains,
)
from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError
from maskrcnn.evaluation.results import Results
from tests.builders.coco_o import BOXES, lay_out
from tests.builders.scoring import coco, parsed
from tests.builders.vectors import load_vector, number, vector_files


def found(image_id: int, count: int = 2) -> list[dict]:
    return [{"image_id": image_id, "category_id": 17, "score": 0.9, "bbox": box} for box in BOXES[:count]]


@pytest.mark.parametrize("inside", [".", "ood_coco"])
def test_domains_and_cocos_own_images_are_predicted_and_scored_in_one_run(tmp_path, inside):
    lay_out(tmp_path / inside, *DOMAINS)
    lay_out(tmp_path, "coco")
    opened = open_benchmark("coco-o", tmp_path)
    assert opened.counts == {"images": 7, "objects": 14}
    data = opened.dataset()
    assert [record.image_id for record in data.records] == [1, 2, 3, 4, 5, 6, 7]
    assert data.records[0].path == tmp_path / inside / "sketch" / "val2017" / "1.jpg"
    assert data.records[6].path == tmp_path / "coco" / "val2017" / "1.jpg"
    records = [one for image_id in range(1, 8) for one in found(image_id, count=2 if image_id < 4 else 1)]
    numbers = opened.score(records)[0].numbers
    half = 51 / 101
    assert numbers["AP"] == pytest.approx((1 + half) / 2)
    assert numbers["AP on val2017"] == pytest.approx(half)
    assert numbers["effective robustness"] == pytest.approx((1 + half) / 2 - 0.45 * half)


def test_without_predictions_of_coco_there_is_no_robustness(tmp_path):
    lay_out(tmp_path, *DOMAINS, "coco")
    score = open_benchmark("coco-o", tmp_path).score
    assert score([one for image_id in range(1, 7) for one in found(image_id)])[0].numbers == {
        "AP": pytest.approx(1),
        "effective robustness": None,
        "AP on val2017": None,
    }
    lay_out(tmp_path / "six", *DOMAINS)
    section = open_benchmark("coco-o", tmp_path / "six").score([])[0]
    assert section.numbers["AP"] == 0
    assert tuple(section.per_class) == DOMAINS


def test_results_of_each_domain_have_the_domains_own_ids(tmp_path):
    lay_out(tmp_path, *DOMAINS, "coco")
    opened = open_benchmark("coco-o", tmp_path)
    for domain in (*DOMAINS, "coco"):
        Results(tuple(found(7))).write(tmp_path / "results" / f"{domain}{'.bbox' if domain == 'tattoo' else ''}.json")
    together = [one for image_id in range(1, 8) for one in found(image_id)]
    assert opened.read(tmp_path / "results") == together
    Results(tuple(together)).write(tmp_path / "all.json")
    assert opened.read(tmp_path / "all.json") == together


def test_results_of_other_images_and_missing_ones_are_errors(tmp_path):
    lay_out(tmp_path, *DOMAINS)
    opened = open_benchmark("coco-o", tmp_path)
    Results(tuple(found(8))).write(tmp_path / "results" / "sketch.json")
    with pytest.raises(DataError, match="sketch.json: record 0: image_id 8"):
        opened.read(tmp_path / "results")
    Results(tuple(found(7))).write(tmp_path / "results" / "sketch.json")
    with pytest.raises(DataError, match="weather.json"):
        opened.read(tmp_path / "results")


def test_a_missing_domain_is_named_with_the_layout(tmp_path):
    lay_out(tmp_path, "sketch")
    with pytest.raises(DataError, match="weather.annotations.instances_val2017.json"):
        open_benchmark("coco-o", tmp_path)


def test_domains_with_other_classes_are_refused(tmp_path):
    lay_out(tmp_path, *DOMAINS)
    file = tmp_path / "tattoo" / "annotations" / "instances_val2017.json"
    file.write_text(file.read_text().replace('"cat"', '"dog"'))
    with pytest.raises(DataError, match="instances_val2017.json: category 17 .*dog.*cat"):
        open_benchmark("coco-o", tmp_path)


def check_rows(rows: list[dict], expected: list[dict]) -> None:
    """Published rows, in percent."""
    for row, official in zip(rows, expected, strict=True):
        average = mean_of_domains({domain: row[domain] for domain in DOMAINS})
        found = {"avg": average, "effective_robustness": effective_robustness(average, row["coco_mAP"])}
        assert found == pytest.approx({name: number(value) for name, value in official.items()}, abs=1e-9)
        assert found["effective_robustness"] == pytest.approx(row["ER"], abs=0.011)  # of cells that are rounded


def check_scores(given: dict, expected: dict) -> None:
    reference = box_average_precision(*parsed(given["coco_val"]["gt"], given["coco_val"]["dt"]))
    domains = {name: parsed(found["gt"], found["dt"]) for name, found in given["domains"].items()}
    section = coco_o_sections(domains, reference)[0]
    found = {
        "box_mAP_per_domain": {name: row["AP"] for name, row in section.per_class.items()},
        "coco_val_box_mAP": section.numbers["AP on val2017"],
        "average_mAP": section.numbers["AP"],
        "effective_robustness": section.numbers["effective robustness"],
    }
    assert found.keys() == expected.keys()
    rows = {name: 100 * value for name, value in found.pop("box_mAP_per_domain").items()}
    official = {name: number(value) for name, value in expected.pop("box_mAP_per_domain").items()}
    assert rows == pytest.approx(official, abs=1e-9)
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
    records = [{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": box} for box in boxes[:found]]
    return parsed(coco(*annotations, size=(50, 99)), records)


def test_domains_are_averaged_and_not_pooled():
    said: list[str] = []
    section = coco_o_sections({"sketch": domain(2), "tattoo": domain(0, objects=4)}, 0.4, say=said.append)[0]
    assert section.numbers["AP"] == pytest.approx(0.5)
    assert section.numbers["effective robustness"] == pytest.approx(0.5 - 0.45 * 0.4)
    assert (section.per_class["sketch"]["AP50"], section.per_class["tattoo"]["AP"]) == (pytest.approx(1), 0)
    assert section.per_class["sketch"]["APl"] is None
    assert said == ["sketch", "tattoo"]


def test_a_domain_without_objects_is_left_out_of_the_mean():
    numbers = coco_o_sections({"sketch": domain(2), "tattoo": domain(0, objects=0)}, None)[0].numbers
    assert numbers["AP"] == pytest.approx(1)
    assert coco_o_sections({"tattoo": domain(0, objects=0)}, 0.5)[0].numbers["AP"] is None
