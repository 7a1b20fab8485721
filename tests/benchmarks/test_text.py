import zipfile

import numpy as np
import pytest
from PIL import Image, ImageDraw

from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.benchmarks.text import (
    read_ctw1500_results,
    read_icdar_results,
    write_ctw1500_results,
    write_icdar_results,
)
from maskrcnn.data.formats import read_dataset
from maskrcnn.errors import DataError
from maskrcnn.evaluation.annotations import Annotations
from maskrcnn.evaluation.results import Results
from maskrcnn.structures.masks import Crop, encode_crop, tight_crop
from tests.builders.scoring import coco, numbers
from tests.builders.text import IGNORED, SIZE, WORDS, ctw1500, curve, icdar

SMALL = (40, 60)
NAMES = {3: "img_1", 8: "img_2"}
TRUTH = Annotations.parse(coco(size=SMALL, images=NAMES))


def mask(points):
    image = Image.new("1", SIZE[::-1])
    ImageDraw.Draw(image).polygon(points, fill=1)
    return encode_crop(tight_crop(0, 0, np.array(image)), SIZE)


def found(image_id, points, score=0.95):
    return {"image_id": image_id, "category_id": 1, "score": score, "segmentation": mask(points)}


def test_words_of_icdar_found_exactly_score_one(tmp_path):
    opened = open_benchmark("icdar2015", icdar(tmp_path))
    assert opened.counts == {"images": 2, "objects": 4, "ignored": 2}
    records = [found(key, points) for key in (1, 2) for points in (*WORDS, IGNORED)]
    scores = numbers(opened, records)
    one = {"hmean": 1, "precision": 1, "recall": 1}
    assert (scores["icdar2015"], scores["mmocr"]) == (one, one)
    assert scores["mmocr_by_score"]["hmean at 0.3"] == scores["mmocr_by_score"]["hmean at 0.9"] == 1
    assert [record.path.name for record in opened.dataset().records] == ["img_1.jpg", "img_2.jpg"]


def test_scores_say_their_rules(tmp_path):
    opened = open_benchmark("icdar2015", icdar(tmp_path))
    sections = opened.score([found(1, WORDS[0], 0.6)])
    assert [section.name for section in sections] == ["icdar2015", "mmocr", "mmocr_by_score"]
    assert "masks as rectangles; score from 0.5" in sections[0].protocol
    assert "masks as contours; score from 0.3, the best of those" in sections[1].protocol


def test_words_of_icdar_are_written_and_read_back(tmp_path):
    opened = open_benchmark("icdar2015", icdar(tmp_path))
    records = [found(1, WORDS[0], 0.9), found(1, WORDS[1], 0.3), found(2, [60, 5, 90, 5, 90, 30, 60, 30], 0.7)]
    opened.submit(records, tmp_path / "out.zip")
    back = opened.read(tmp_path / "out.zip")
    assert [record["image_id"] for record in back] == [1, 2]
    assert numbers(opened, back)["icdar2015"] == numbers(opened, records)["icdar2015"]
    assert numbers(opened, back)["icdar2015"]["precision"] == 1 / 2


def test_scoring_needs_no_images(tmp_path):
    opened = open_benchmark("icdar2015", icdar(tmp_path, images=False))
    assert numbers(opened, [found(1, WORDS[0])])["icdar2015"] == {"hmean": 0.4, "precision": 1, "recall": 0.25}
    opened.submit([found(1, WORDS[0])], tmp_path / "out.zip")


def test_lines_of_ctw1500_found_exactly_score_one(tmp_path):
    opened = open_benchmark("ctw1500", ctw1500(tmp_path))
    assert opened.image_names == {1: "1001", 2: "1002"}
    records = [found(key, curve(top)) for key in (1, 2) for top in (5, 40)]
    scores = numbers(opened, records)
    assert list(scores) == ["mmocr", "mmocr_by_score", "ctw1500"]
    assert scores["mmocr"]["hmean"] == scores["ctw1500"]["hmean"] == 1


def test_lines_of_ctw1500_are_written_and_read_back(tmp_path):
    opened = open_benchmark("ctw1500", ctw1500(tmp_path))
    records = [found(2, curve(5), 0.8), found(1, curve(40), 0.6), found(1, curve(20), 0.5), found(1, curve(5), 0.4)]
    opened.submit(records, tmp_path / "out.txt")
    back = opened.read(tmp_path / "out.txt")
    assert [(record["image_id"], record["score"]) for record in back] == [(1, 0.6), (1, 0.5), (2, 0.8)]
    assert numbers(opened, back)["ctw1500"] == numbers(opened, records)["ctw1500"]
    assert numbers(opened, back)["ctw1500"]["recall"] == 2 / 4


def test_both_are_formats_of_data_sets(tmp_path):
    for place in ("icdar", "ctw"):
        (tmp_path / place).mkdir()
    assert len(read_dataset(icdar(tmp_path / "icdar"), "test").records[0].instances) == 3
    assert len(read_dataset(ctw1500(tmp_path / "ctw"), "test").records[0].instances) == 2


def bar(image_id, left, top, width, height, score=0.9):
    mask = encode_crop(Crop(left, top, np.ones((height, width), bool)), SMALL)
    return {"image_id": image_id, "category_id": 1, "score": score, "segmentation": mask}


def polygon(image_id, points, score=0.9):
    return {"image_id": image_id, "category_id": 1, "score": score, "segmentation": [points]}


def written(tmp_path, *records):
    write_icdar_results(Results.parse(records, TRUTH), tmp_path / "out.zip", NAMES, score_threshold=0.5)
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_masks_become_rectangles_in_whole_pixels(tmp_path):
    files = written(tmp_path, bar(3, 5, 10, 20, 8), bar(3, 0, 0, 4, 4, 0.49))
    assert files == {"res_img_1.txt": "5,10,25,10,25,18,5,18\n", "res_img_2.txt": ""}


def test_corners_are_cut_to_whole_pixels_and_run_clockwise(tmp_path):
    files = written(tmp_path, polygon(8, [0, 0, 0.9, 10.9, 20, 10, 20, 0.5]))
    assert files["res_img_2.txt"] == "20,0,20,10,0,10,0,0\n"


def test_other_polygons_become_rectangles(tmp_path):
    files = written(tmp_path, polygon(3, [0, 0, 10, 0, 20, 0, 20, 10, 0, 10]))
    assert files["res_img_1.txt"] == "0,0,20,0,20,10,0,10\n"


def results(tmp_path, **files):
    for name, text in files.items():
        (tmp_path / f"{name}.txt").write_text(text)
    return read_icdar_results(tmp_path, "icdar", NAMES)


def test_results_may_lie_in_a_folder_and_have_scores(tmp_path):
    records = results(tmp_path, res_img_2="\ufeff0,0,4,0,4,3,0,3\n\n0,0,4,0,4,3,0,3,0.25\n")
    assert [(record["image_id"], record["score"], record["bbox"]) for record in records] == [
        (8, 1.0, [0, 0, 4, 3]),
        (8, 0.25, [0, 0, 4, 3]),
    ]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"res_img_9": "", "res_img_1": ""}, "res_img_9.txt .*icdar"),
        ({"res_img_1": "\n1,2,3"}, "res_img_1.txt: line 2: .*3"),
        ({"res_img_1": "1,2,3,4,5,6,7,x"}, "line 1: 'x'"),
        ({"res_img_1": "1,2,3,4,5,6,7,8,2"}, "line 1: .*score 2"),
        ({"img_1": "1,2,3,4,5,6,7,8"}, "res_img_1.txt or res_img_2.txt"),
    ],
)
def test_broken_results_of_icdar_are_named(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        results(tmp_path, **files)


def test_lines_of_ctw1500_count_images_from_zero(tmp_path):
    write_ctw1500_results(
        Results.parse([bar(8, 5, 10, 20, 8, 0.5), polygon(3, [0, 0, 1.5, 0, 1, 1]), bar(3, 0, 0, 2, 2, 0.1)], TRUTH),
        tmp_path / "out.txt",
        NAMES,
        score_threshold=0.5,
    )
    assert (tmp_path / "out.txt").read_text().splitlines() == [
        "0 0.9 0.0 0.0 1.5 0.0 1.0 1.0",
        "1 0.5 5.0 10.0 5.0 18.0 25.0 18.0 25.0 10.0",
    ]
    records = read_ctw1500_results(tmp_path / "out.txt", "ctw1500", NAMES)
    assert [(record["image_id"], record["score"]) for record in records] == [(3, 0.9), (8, 0.5)]
    assert records[1]["bbox"] == [5, 10, 20, 8]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2 0.5 0 0 1 0 1 1", "line 1: .*image 2.*0 to 1"),
        ("\n0 0.5 0 0 1 0 1", "line 2: .*image score x1 y1"),
        ("0 x 0 0 1 0 1 1", "line 1: 'x'"),
        ("0 1.5 0 0 1 0 1 1", "line 1: .*score 1.5"),
    ],
)
def test_broken_results_of_ctw1500_are_named(tmp_path, text, message):
    (tmp_path / "out.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_ctw1500_results(tmp_path / "out.txt", "ctw1500", NAMES)
