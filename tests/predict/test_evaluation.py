import json
from dataclasses import replace

import pytest
import torch

from maskrcnn.data.readers.coco import read_coco
from maskrcnn.data.shapes import write_shapes
from maskrcnn.errors import DataError, SettingError, WeightsError
from maskrcnn.model.build import build_model
from maskrcnn.predict.class_match import find_threshold, match_classes
from maskrcnn.predict.evaluation import evaluate, score
from maskrcnn.predict.predictor import Predictor
from maskrcnn.structures.batch import Scales
from maskrcnn.structures.classes import COCO_PERSON, CROWDPOSE_PERSON, Classes
from maskrcnn.structures.instances import Instances
from maskrcnn.structures.panoptic import Panoptic, Segment
from maskrcnn.weights.own import Weights

CATS = Classes(("person", "cat", "dog"), (1, 17, 18))


@pytest.fixture
def folder(tmp_path):
    write_shapes(tmp_path, train=1, val=2, size=64, seed=1)
    return tmp_path


def data_of(folder):
    return read_coco(folder / "val.json", folder / "images")


class Knowing:
    """Stands in for a Predictor that finds every annotated object, and one of a class the data do not have."""

    notes = {"score_threshold": "0.3"}

    def __init__(self, data, settings, score: float = 0.9):
        self.known = {record.image_id: record.instances for record in data.records}
        self.classes = Classes(("unknown", *data.classes.names), tuple(range(50, 51 + len(data.classes))))
        self.settings = settings
        self.inputs = [settings.input]
        self.score = score

    def predict_scales(self, batch: Scales):
        return [self.found(self.known[image_id]) for image_id in batch.image_ids]

    def found(self, instances):
        doubled = instances[torch.tensor([0, *range(len(instances))])]
        doubled.labels = doubled.labels + 1
        doubled.labels[0] = 0
        doubled.scores, doubled.crowd = torch.full((len(doubled),), self.score), None
        return doubled


def test_weights_of_a_network_that_their_settings_do_not_describe_are_scored_with_the_model(folder, tiny_settings):
    torch.manual_seed(0)
    model, data = build_model(tiny_settings.changed({"box_head.channels": 24}), 5), data_of(folder)
    weights = Weights(model.state_dict(), tiny_settings, data.classes)
    predictor = Predictor(weights, model=model)
    assert evaluate(weights, data, model=model, workers=0).to_dict() == evaluate(predictor, data, workers=0).to_dict()
    with pytest.raises(WeightsError):
        evaluate(weights, data)
    with pytest.raises(SettingError, match="model"):
        evaluate(predictor, data, model=model)


def test_a_model_that_knows_everything_scores_1(folder, tiny_settings):
    data = data_of(folder)
    counts = []
    found = evaluate(Knowing(data, tiny_settings), data, workers=0, on_progress=counts.append)
    assert found["bbox"]["AP"] == found["segm"]["AP"] == pytest.approx(1)
    assert set(found["accuracy"].values()) == {1}
    assert (found.facts["score_threshold"], found.facts["score_threshold_from"]) == (0.3, "weights")
    assert found.facts["annotations"] == "val.json"
    assert len(found.results) == found.facts["objects"] == sum(len(record.instances) for record in data.records)
    assert counts == [1, 1]


def test_words_that_are_all_known_are_all_found(folder, tiny_settings):
    data = data_of(folder)
    text = evaluate(Knowing(data, tiny_settings), data, workers=0, text=True)
    assert text["icdar2015"]["recall"] > 0.5  # words here are shapes, which a rectangle does not always fit
    assert text["ctw1500"]["hmean"] > 0.9


def test_the_threshold_chosen_keeps_what_is_right(folder, tiny_settings):
    data = data_of(folder)
    unsure = Knowing(data, tiny_settings, score=0.2)
    assert evaluate(unsure, data, workers=0)["accuracy"]["0.5"] == 0
    chosen = evaluate(unsure, data, workers=0, score_threshold="best")
    assert (chosen["accuracy"]["0.5"], chosen.facts["score_threshold_from"]) == (1, "chosen")
    assert chosen.facts["score_threshold"] <= 0.2


def test_a_file_that_lacks_sizes_names_and_areas_is_completed(folder, tiny_settings):
    content = json.loads((folder / "val.json").read_text())
    for image in content["images"]:
        del image["width"], image["height"]
    for found in content["annotations"]:
        del found["area"], found["iscrowd"]
    (folder / "val.json").write_text(json.dumps(content))
    data = data_of(folder)
    assert evaluate(Knowing(data, tiny_settings), data, workers=0)["segm"]["AP"] == pytest.approx(1)


def test_a_real_model_s_own_limit_counts(folder, tiny_weights):
    predictor = Predictor(tiny_weights, settings={"box_head.detections_per_image": 8})
    found = evaluate(predictor, data_of(folder), batch_size=2, workers=0)
    assert (found.max_detections, len(found.results)) == (8, 16)
    assert "AR8" in found["segm"]


def test_classes_that_have_nothing_in_common_are_an_error(folder, tiny_settings):
    data = data_of(folder)
    stranger = Knowing(data, tiny_settings)
    stranger.classes = Classes(("a", "b"), (1, 2))
    with pytest.raises(DataError, match=r"val\.json: "):
        evaluate(stranger, data, workers=0)


@pytest.mark.parametrize(
    "swapped",
    [
        lambda folder, weights: (folder, weights),
        lambda folder, weights: (folder / "val.json", "nuclei"),
        lambda folder, weights: (data_of(folder), weights),
        lambda folder, weights: (weights, 5),
    ],
    ids=["folder and file", "file and name", "dataset and file", "no data"],
)
def test_data_in_the_place_of_the_model_is_refused(folder, tiny_weights, swapped):
    with pytest.raises(SettingError, match=r"evaluate\(weights, data\)"):
        evaluate(*swapped(folder, tiny_weights))


def test_a_folder_may_have_the_name_of_weights(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nuclei").mkdir()
    with pytest.raises(DataError, match="nucleus"):  # the weights were read, and know other classes
        evaluate("nuclei", folder, workers=0)


def test_data_and_weights_may_be_paths(folder, tiny_weights):
    found = evaluate(tiny_weights, folder, workers=0)
    assert found.facts["annotations"] == "val.json"
    assert found.to_dict() == evaluate(Predictor(tiny_weights), data_of(folder), workers=0).to_dict()


def test_predictions_of_whatever_origin_are_scored_in_one_call(folder, tiny_settings):
    data = data_of(folder)
    report = evaluate(Knowing(data, tiny_settings), data, workers=0)
    report.results.write(folder / "found.json")
    records = [dict(record) for record in report.results]
    content = json.loads((folder / "val.json").read_text())
    scored = [
        score(folder / "found.json", folder / "val.json"),
        score(records, folder),
        score(report.results, data),
        score(records, content),
        score(report.results, report.truth),
        score(
            [replace(record.instances, scores=torch.full((len(record.instances),), 0.9)) for record in data.records],
            data,
        ),
    ]
    assert [one["segm"] for one in scored] == [report["segm"]] * 6
    assert scored[0].facts["score_threshold_from"] == "default"
    with pytest.raises(DataError, match=r"found\.json: record \d+: image_id"):
        score(folder / "found.json", folder / "train.json")


def found(*labels: int) -> Instances:
    boxes = torch.arange(4 * len(labels), dtype=torch.float32).reshape(-1, 4)
    return Instances((9, 9), boxes, torch.tensor(labels, dtype=torch.int64), torch.linspace(1, 0, len(labels)))


def test_classes_are_matched_by_name_and_others_are_left_out():
    match = match_classes(CATS, Classes(("Dog", "cat"), (5, 3)), source="pets.json")
    assert match.labels.tolist() == [-1, 1, 0]
    assert match.notes == ()
    translated = match.translate(found(0, 2, 1, 2))
    assert translated.labels.tolist() == [0, 1, 0]
    assert translated.boxes[:, 0].tolist() == [4, 8, 12]


def test_nothing_found_stays_nothing():
    assert len(match_classes(CATS, CATS, source="").translate(found())) == 0


def test_a_class_that_the_weights_do_not_know_is_noted():
    match = match_classes(CATS, Classes(("cat", "emu", "yak"), (1, 2, 3)), source="zoo.json")
    assert match.labels.tolist() == [-1, 0, -1]
    assert match.notes == ("zoo.json: the weights do not know emu, yak; nothing of it will be found",)


def test_one_class_on_both_sides_matches_whatever_the_names():
    match = match_classes(Classes(("nucleus",), (1,)), Classes(("cell",), (9,)), source="cells.json")
    assert match.labels.tolist() == [0]
    assert match.notes == ("'nucleus' of the weights is taken for 'cell' of cells.json",)
    assert match_classes(Classes(("cell",), (1,)), Classes(("Cell ",), (9,)), source="").notes == ()


def test_the_same_classes_match_also_where_names_repeat():
    twice = Classes(("cell", "cell"), (1, 2))
    assert match_classes(twice, twice, source="").labels.tolist() == [0, 1]


def test_nothing_in_common_names_both_lists():
    many = Classes(tuple(f"thing {n}" for n in range(14)), tuple(range(14)))
    with pytest.raises(DataError, match=r"a\.json: .*thing 0.* 2 more.* person, cat, dog"):
        match_classes(CATS, many, source="a.json")


def test_keypoints_are_kept_where_the_dataset_has_the_same_ones():
    person = Classes(("person",), (1,), keypoint_schema=COCO_PERSON)
    objects = replace(found(0), keypoints=torch.ones(1, 17, 3))
    same = match_classes(person, replace(person, category_ids=(7,)), source="")
    assert (same.keypoints, same.notes) == (True, ())
    assert same.translate(objects).keypoints.shape == (1, 17, 3)
    other = match_classes(person, replace(person, keypoint_schema=CROWDPOSE_PERSON), source="crowd.json")
    assert not other.keypoints
    assert other.translate(objects).keypoints is None
    assert "crowd.json: its keypoints are left_shoulder, " in other.notes[0]
    assert match_classes(person, replace(person, keypoint_schema=None), source="").notes == ()


def test_segments_of_classes_that_the_dataset_does_not_have_become_free_pixels():
    model = replace(CATS, stuff=("sky", "sea", "grass"), stuff_ids=(3, 4, 5))
    data = Classes(("dog", "cat"), (8, 9), stuff=("Grass", "sky"), stuff_ids=(1, 2))
    segments = [
        Segment(1, 0, is_thing=True, area=1, score=0.9, instance=0),
        Segment(2, 2, is_thing=True, area=2, score=0.8, instance=1),
        Segment(3, 1, is_thing=False, area=1),
        Segment(4, 2, is_thing=False, area=2),
    ]
    panoptic = Panoptic(torch.tensor([[1, 2, 2], [3, 4, 4], [0, 0, 0]], dtype=torch.int32), segments)
    match = match_classes(model, data, source="")
    assert match.stuff == (1, -1, 0)
    translated = match.translate(replace(found(0, 2), panoptic=panoptic))
    assert translated.panoptic.map.tolist() == [[0, 1, 1], [0, 2, 2], [0, 0, 0]]
    assert translated.panoptic.segments == [
        Segment(1, 0, is_thing=True, area=2, score=0.8),
        Segment(2, 0, is_thing=False, area=2),
    ]
    assert translated.labels.tolist() == [0]


def test_what_is_given_wins_over_the_weights_and_they_over_the_usual():
    assert find_threshold(0.0, {"score_threshold": "0.7"}) == (0.0, "given")
    assert find_threshold(None, {"score_threshold": "0.7"}) == (0.7, "weights")
    assert find_threshold(None, {"data": "drawn"}) == (0.5, "default")


@pytest.mark.parametrize("note", ["high", "1.5", "nan"])
def test_a_note_that_is_no_fraction_is_an_error(note):
    with pytest.raises(WeightsError, match=f"score_threshold.* '{note}'"):
        find_threshold(None, {"score_threshold": note})
