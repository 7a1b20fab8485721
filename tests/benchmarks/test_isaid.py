import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from maskrcnn.benchmarks.isaid import AREAS, CLASSES, isaid_sections
from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.evaluation.results import read_records
from maskrcnn.evaluation.sections import Section
from tests.builders.isaid import PATCHES, POLYGON, lay_out
from tests.builders.scoring import coco_scores, parsed
from tests.builders.vectors import load_vector, number, vector_files


def perfect() -> list[dict]:
    square = {"score": 0.9, "bbox": [10, 10, 20, 20], "segmentation": POLYGON}
    return [{"image_id": n, "category_id": category, **square} for n, category in enumerate((9, 1))]


@pytest.mark.parametrize("name", ["instancesonly_filtered_val.json", "instance_only_filtered_val.json"])
@pytest.mark.parametrize("inside", [".", "iSAID_patches"])
def test_perfect_predictions_reach_one_and_a_submission_scores_the_same(tmp_path, name, inside):
    lay_out(tmp_path / inside, "val", name)
    opened = open_benchmark("isaid", tmp_path)
    assert opened.counts == {"images": 3, "objects": 2}
    data = opened.dataset()
    assert [record.path.name for record in data.records] == PATCHES
    assert (data.classes.names, data.classes.category_ids) == (("ship", "Small_Vehicle"), (1, 9))
    boxes, masks = opened.score(perfect())
    assert (boxes.numbers["AP"], masks.numbers["AR1000"]) == (pytest.approx(1), 1)
    opened.submit(perfect(), tmp_path / "sent.json")
    assert opened.score(read_records(tmp_path / "sent.json"))[0].numbers == masks.numbers
    assert opened.max_detections == 1000


def test_the_images_of_the_test_are_numbered_as_the_devkit_does(tmp_path):
    lay_out(tmp_path, "test", None)
    Image.new("RGB", (80, 80)).save(tmp_path / "test" / "images" / "P0003_0_800_1200_2000.png")
    opened = open_benchmark("isaid", tmp_path, "test")
    data = opened.dataset()
    names = ["P0003.png", "P0003_0_800_600_1400.png", "P0003_0_800_1200_2000.png", "P0004_0_800_600_1400.png"]
    assert [(record.image_id, record.path.name) for record in data.records] == list(enumerate(names))
    assert opened.image_names == dict(enumerate(names))
    assert data.classes.names == CLASSES
    assert (len(CLASSES), CLASSES[8], opened.public) == (15, "Small_Vehicle", False)
    opened.submit(perfect(), tmp_path / "sent.json")
    assert [record["image_id"] for record in read_records(tmp_path / "sent.json")] == [0, 1]


def test_a_file_with_the_images_of_the_test_gives_the_ids(tmp_path):
    lay_out(tmp_path, "test", "instancesonly_filtered_test.json")
    opened = open_benchmark("isaid", tmp_path, "test")
    assert opened.counts == {"images": 3}
    assert not opened.public
    assert len(opened.dataset().records) == 3


def check_numbers(section, expected: dict, names: dict[int, str]) -> None:
    per_category = expected.pop("AP_per_category")
    assert {name: -1 if value is None else value for name, value in section.numbers.items()} == pytest.approx(
        {name: number(value) for name, value in expected.items()}, abs=1e-9
    )
    for category, value in per_category.items():
        found = section.per_class[names[int(category)]]["AP"]
        assert (-1 if found is None else found) == pytest.approx(number(value), abs=1e-9)
    assert len(section.per_class) == len(per_category)


@pytest.mark.parametrize("path", vector_files("isaid"))
def test_all_numbers_equal_the_development_kit_on_the_vectors(path):
    vector = load_vector(path)
    truth, results = parsed(vector["input"]["gt"], vector["input"]["dt"])
    for key, expected in vector["expected"].items():
        if key in ("bbox", "segm"):
            check_numbers(isaid_sections(truth, results, iou_types=[key])[0], expected, truth.categories)
        elif key == "with_coco_default_maxDets100":  # for contrast: what 100 detections would give
            for name, value in expected.items():
                iou_type, number_name = name.split("_")
                found = coco_scores(truth, results, iou_types=[iou_type], areas=AREAS)[iou_type].numbers[number_name]
                assert found == pytest.approx(number(value), abs=1e-9)
        else:
            # Of pycocotools, not of the metric: its summary looks for 100 detections, finds none and says -1. What it
            # found with 1,000 stands in its arrays, and equals ours (see the next test).
            assert key == "pycocotools_stats0_trap", f"unknown key {key}"
            assert set(expected.values()) == {-1.0}


def squares(count: int) -> tuple[dict, list[dict]]:
    """An image with a row of squares of 12 px, ids from 0, and a prediction of each."""
    objects = [
        {"id": n, "image_id": 0, "category_id": 9, "bbox": [14 * (n % 60), 14 * (n // 60), 12, 12], "area": 144}
        for n in range(count)
    ]
    results = [{key: found[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.5} for found in objects]
    image = {"id": 0, "width": 900, "height": 900}
    categories = [{"id": 9, "name": "Small_Vehicle"}]
    return {
        "images": [image],
        "categories": categories,
        "annotations": [found | {"iscrowd": 0} for found in objects],
    }, results


def boxes_of(truth: dict, results: list[dict]) -> Section:
    return isaid_sections(*parsed(truth, results), iou_types=["bbox"])[0]


def test_pycocotools_says_minus_one_where_its_arrays_hold_our_number():
    truth, results = squares(150)
    ours = boxes_of(truth, results[:100])
    annotated = COCO()
    annotated.dataset = {**truth, "annotations": [found | {"id": found["id"] + 1} for found in truth["annotations"]]}
    annotated.createIndex()
    evaluation = COCOeval(annotated, annotated.loadRes(results[:100]), "bbox")
    evaluation.params.maxDets = [1, 10, 1000]
    evaluation.params.areaRng = [list(limits) for limits in AREAS.values()]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[0] == -1
    precision = evaluation.eval["precision"][:, :, :, 0, 2]
    assert ours.numbers["AP"] == pytest.approx(precision[precision > -1].mean(), abs=1e-12)
    assert ours.numbers["AP"] == pytest.approx(67 / 101)  # recalls 0 to 0.66 of 101 steps


def test_a_thousand_detections_count():
    truth, results = squares(1100)
    numbers = boxes_of(truth, results).numbers
    found = [numbers["AR1"], numbers["AR10"], numbers["AR1000"]]
    assert found == pytest.approx([1 / 1100, 10 / 1100, 1000 / 1100])


def test_sizes_have_iSAIDs_own_ranges_and_the_protocol_says_so():
    truth, results = squares(1)
    truth["annotations"][0]["area"] = 144**2
    section = boxes_of(truth, results)
    assert section.numbers["ARs"] == section.numbers["ARm"] == 1
    assert section.numbers["ARl"] in (None, -1)
    truth["annotations"][0]["area"] = 144**2 + 1
    numbers = boxes_of(truth, results).numbers
    assert numbers["ARs"] in (None, -1)
    assert numbers["ARm"] == 1
    assert "1000 detections" in section.protocol
    assert "iSAID: small 10^2 to 144^2" in section.protocol
