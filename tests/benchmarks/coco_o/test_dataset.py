import pytest

from maskrcnn.benchmarks.coco_o.dataset import DOMAINS
from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.errors import DataError
from maskrcnn.evaluation.results import Results
from tests.builders.coco_o import BOXES, lay_out


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
    with pytest.raises(DataError, match=r"sketch.json: record 0: image_id 8 is not an image of sketch. Make the"):
        opened.read(tmp_path / "results")
    Results(tuple(found(7))).write(tmp_path / "results" / "sketch.json")
    with pytest.raises(DataError, match=r"weather.json: the results of this domain are not there"):
        opened.read(tmp_path / "results")
    with pytest.raises(DataError, match="image_id 8 is not among the 6 images"):
        opened.score(found(8))


def test_a_missing_domain_is_named_with_the_layout(tmp_path):
    lay_out(tmp_path, "sketch")
    with pytest.raises(DataError, match=r"weather.annotations.instances_val2017.json: COCO-O's annotation file is not"):
        open_benchmark("coco-o", tmp_path)


def test_domains_with_other_classes_are_refused(tmp_path):
    lay_out(tmp_path, *DOMAINS)
    file = tmp_path / "tattoo" / "annotations" / "instances_val2017.json"
    file.write_text(file.read_text().replace('"cat"', '"dog"'))
    with pytest.raises(DataError, match="instances_val2017.json: category 17 is 'dog', but 'cat' in another domain"):
        open_benchmark("coco-o", tmp_path)
