import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.benchmarks.cityscapes.dataset import Cityscapes, CityscapesPanoptic
from maskrcnn.data.readers import cityscapes
from maskrcnn.data.readers.cityscapes import LABELS, THINGS, list_objects
from maskrcnn.errors import DataError
from maskrcnn.structures.panoptic import encode_ids
from maskrcnn.structures.regions import LabelMap, find_regions
from tests.builders.cityscapes import FIRST, SECOND, street, write_city
from tests.builders.scoring import sections
from tests.builders.vectors import label_map, load_vector, number, vector_files


def perfect(maps: dict[str, np.ndarray], **more: object) -> list[dict]:
    return [
        {"image_id": place, "score": 0.9, **found, **more}
        for place, values in enumerate(maps.values(), start=1)
        for found in list_objects(LabelMap.encode(values))
        if not found["iscrowd"]
    ]


@pytest.fixture
def maps():
    return {FIRST: street(26001, 24003, 26), SECOND: street(29000, 33000, 4)}


@pytest.fixture
def opened(tmp_path, maps):
    return Cityscapes(write_city(tmp_path / "data", maps))


def test_annotated_objects_score_1(opened, maps):
    found = sections(opened, perfect(maps))
    assert list(found) == ["instances", "panoptic"]
    assert found["instances"].numbers == {"AP": 1, "AP50": 1}
    assert found["panoptic"].numbers == {"PQ_th": 1, "SQ_th": 1, "RQ_th": 1}
    assert found["panoptic"].per_class["bicycle"] == {"PQ": 1, "SQ": 1, "RQ": 1}
    assert found["panoptic"].per_class["bus"] == {"PQ": None, "SQ": None, "RQ": None}
    assert opened.counts == {"images": 2, "objects": 4}
    assert opened.image_names == {1: FIRST, 2: SECOND}


def test_images_and_truth_have_the_eight_kinds_of_things(opened):
    data = opened.dataset()
    assert [record.path.name for record in data.records] == [f"{FIRST}_leftImg8bit.png", f"{SECOND}_leftImg8bit.png"]
    assert list(opened.truth.categories) == list(data.classes.category_ids) == [24, 25, 26, 27, 28, 31, 32, 33]
    assert [found["iscrowd"] for found in opened.truth.objects] == [1, 0, 0, 0]


def test_each_label_map_is_decoded_once(tmp_path, maps, monkeypatch):
    decoded = []
    read = cityscapes.read_instance_ids
    monkeypatch.setattr(cityscapes, "read_instance_ids", lambda path: decoded.append(path.name) or read(path))
    opened = Cityscapes(write_city(tmp_path / "data", maps))
    opened.dataset()
    assert sections(opened, perfect(maps)) == sections(opened, perfect(maps))
    assert sorted(decoded) == [f"{name}_gtFine_instanceIds.png" for name in maps]


def test_unsure_predictions_lower_the_quality_of_all_but_not_of_the_surer(opened, maps):
    road = find_regions((maps[SECOND] == 7).astype(np.uint8))[-1].rle()
    unsure = {"image_id": 2, "category_id": 33, "score": 0.2, "segmentation": road}
    found = sections(opened, [*perfect(maps), unsure])
    assert found["panoptic"].numbers["PQ_th"] < 1
    assert found["panoptic_confident"].numbers["PQ_th"] == 1


def test_labels_that_are_not_evaluated_are_left_out(opened, maps):
    caravan = find_regions((maps[SECOND] == 29000).astype(np.uint8))[-1].rle()
    record = {"image_id": 2, "category_id": 29, "score": 1.0, "segmentation": caravan}
    assert sections(opened, [*perfect(maps), record]) == sections(opened, perfect(maps))


def test_what_is_submitted_is_read_again_with_the_same_scores(tmp_path, opened, maps):
    records = perfect(maps)
    records[0]["score"] = 1 / 3
    opened.submit(records, tmp_path / "sent")
    assert (tmp_path / "sent" / f"{FIRST}.txt").read_text().splitlines() == [
        f"masks/{FIRST}_0000.png 24 0.3333333333333333",
        f"masks/{FIRST}_0001.png 26 0.9",
    ]
    again = opened.read(tmp_path / "sent")
    assert [record["score"] for record in again] == [1 / 3, 0.9, 0.9]
    assert sections(opened, again) == sections(opened, records)


@pytest.mark.parametrize("benchmark", [Cityscapes, CityscapesPanoptic])
def test_of_test_only_results_can_be_written(tmp_path, maps, benchmark):
    opened = benchmark(write_city(tmp_path / "data", {FIRST: street()}, "test"), "test")
    assert (opened.public, opened.truth) == (False, None)
    assert len(opened.dataset().records) == 1
    opened.submit(perfect({FIRST: maps[FIRST]}), tmp_path / "sent")
    found = opened.read(tmp_path / ("sent" if benchmark is Cityscapes else "sent.json"))
    assert [record["category_id"] for record in found] == [24, 26]


def test_records_without_masks_or_of_unknown_labels_are_errors(opened):
    with pytest.raises(DataError, match="record 0 .*segmentation"):
        sections(opened, [{"image_id": 1, "category_id": 26, "score": 1.0, "bbox": [0, 0, 5, 5]}])
    with pytest.raises(DataError, match="category_id 99"):
        sections(opened, [{"image_id": 1, "category_id": 99, "score": 1.0, "bbox": [0, 0, 5, 5]}])


def test_segments_of_things_and_stuff_have_all_numbers(tmp_path, maps):
    opened = CityscapesPanoptic(write_city(tmp_path / "data", maps))
    classes = opened.dataset().classes
    assert (len(classes), len(classes.stuff), classes.stuff_ids[:2]) == (8, 11, (7, 8))
    road = [
        {"image_id": place, "category_id": 7, "score": 1.0, "segmentation": region.rle()}
        for place, values in enumerate(maps.values(), start=1)
        for region in find_regions(values)
        if region.value == 7
    ]
    found = sections(opened, [*perfect(maps), *road])
    assert set(found["panoptic"].numbers.values()) == {1}
    assert sections(opened, perfect(maps))["panoptic"].numbers["PQ_st"] == 0
    opened.submit([*perfect(maps), *road], tmp_path / "sent")
    sent = json.loads((tmp_path / "sent.json").read_text())["annotations"]
    assert [one["image_id"] for one in sent] == [FIRST, SECOND]
    assert sections(opened, opened.read(tmp_path / "sent.json")) == found


@pytest.mark.parametrize("path", vector_files("cityscapes"))
def test_the_official_numbers_are_reached_from_the_official_files(tmp_path, path):
    vector = load_vector(path)
    images = {image["name"]: image for image in vector["input"]["images"]}
    maps = {name: label_map(image["gt"]).astype(np.uint16) for name, image in images.items()}
    write_city(tmp_path / "data", maps, images=False)
    if "classes" in vector["expected"]:
        check_instances(tmp_path, images, vector["expected"])
    else:
        check_segments(tmp_path, images, vector["expected"])


def check_instances(folder: Path, images: dict[str, dict], expected: dict) -> None:
    (folder / "results" / "m").mkdir(parents=True)
    for name, image in images.items():
        lines = []
        for place, found in enumerate(image["pred"]):
            lines.append(f"m/{name}_{place}.png {found['label_id']} {found['confidence']!r}\n")
            mask = (label_map(found["mask"]) != 0).astype(np.uint8)
            Image.fromarray(mask).save(folder / "results" / "m" / f"{name}_{place}.png")
        (folder / "results" / f"{name}_pred.txt").write_text("".join(lines))
    opened = Cityscapes(folder / "data", "val")
    section = sections(opened, opened.read(folder / "results"))["instances"]
    same(section.numbers, {"AP": expected["AP"], "AP50": expected["AP50"]})
    assert section.per_class.keys() == expected["classes"].keys()
    for name, numbers in expected["classes"].items():
        same(section.per_class[name], {"AP": numbers.pop("ap"), "AP50": numbers.pop("ap50")})
        assert not numbers


def check_segments(folder: Path, images: dict[str, dict], expected: dict) -> None:
    annotations = []
    (folder / "found").mkdir()
    for name, image in images.items():
        ids = encode_ids(torch.from_numpy(label_map(image["pred"]["map"])))
        Image.fromarray(ids).save(folder / "found" / f"{name}.png")
        segments = image["pred"]["segments"]
        annotations.append({"image_id": name, "file_name": f"{name}.png", "segments_info": segments})
    (folder / "found.json").write_text(json.dumps({"annotations": annotations}))
    opened = CityscapesPanoptic(folder / "data", "val")
    section = sections(opened, opened.read(folder / "found.json"))["panoptic"]
    things = {LABELS[label] for label in THINGS}
    occurring = {name for name, row in section.per_class.items() if row["PQ"] is not None}
    for end, names in (("", occurring), ("_th", occurring & things), ("_st", occurring - things)):
        official = expected[f"PQ{end}"]
        assert official.keys() == {"pq", "sq", "rq", "n"}
        assert official.pop("n") == len(names)
        same({name: section.numbers[name.upper() + end] for name in official}, official)
    for name, numbers in expected["per_class"].items():
        occurs = any(expected["stats_per_category"][name][kind] for kind in ("tp", "fp", "fn"))
        official = {kind.upper(): value if occurs else "NaN" for kind, value in numbers.items()}
        same(section.per_class[name], official)


def same(found: dict[str, float | None], expected: dict[str, float | str]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        official = number(value)
        assert found[name] is None if math.isnan(official) else found[name] == pytest.approx(official, abs=1e-9)
