import numpy as np
import pytest
from PIL import Image, ImageDraw

from maskrcnn.benchmarks.registry import open_benchmark
from maskrcnn.data.formats import read_dataset
from maskrcnn.errors import DataError
from maskrcnn.structures.masks import encode_crop, tight_crop
from tests.builders.scores import numbers
from tests.builders.text import IGNORED, SIZE, WORDS, ctw1500, curve, icdar


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
    with pytest.raises(DataError, match="2 of its 2 images are not there"):
        opened.dataset()


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


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match="ICDAR's split test are not there"):
        open_benchmark("icdar2015", tmp_path)
    with pytest.raises(DataError, match="CTW1500's split train are not there"):
        open_benchmark("ctw1500", tmp_path, "train")
