from maskrcnn.profiling import run
from maskrcnn.profiling.contenders import make_run
from maskrcnn.profiling.processes import Measured
from maskrcnn.profiling.run import contenders_for, count_runs, profile_works
from maskrcnn.profiling.works import WORKS

TITLE = "prediction: prediction, 1 image, masks as pixels ..."


def test_the_default_is_measured_beside_matrix_products():
    assert contenders_for(["float32"]) == {
        "torchvision": False,
        "torchvision, tuned allocator": False,
        "float32": False,
    }
    assert contenders_for(["default"])["default"]
    assert "matrix products" in contenders_for(["default"])


def test_each_contender_runs_once_untimed():
    works = {name: WORKS[name] for name in ("prediction", "training")}
    assert count_runs(works, ["float32"], rounds=4) == 2 * 3 * (1 + 4)


def test_openvino_predicts_and_does_not_train(monkeypatch):
    measured = {}

    def answer(title, work, names, weights, **how):
        measured[title] = list(names)
        return {name: Measured((1.0,), 100, 8) for name in names}

    monkeypatch.setattr(run, "measure", answer)
    monkeypatch.setattr(run, "make_weights", lambda model: {})
    works = {name: WORKS[name] for name in ("prediction", "training")}
    settings = ["float32", "openvino"]
    rows = profile_works(works, settings, rounds=1, threads=1, say=lambda words: None, on_run=lambda: None)
    assert measured == {
        "prediction": ["torchvision", "torchvision, tuned allocator", "float32", "openvino"],
        "training": ["torchvision", "torchvision, tuned allocator", "float32"],
    }
    assert {row["setting"] for row in rows if row["work"] == "prediction"} == {"float32", "openvino"}
    assert count_runs(works, settings, rounds=4) == (4 + 3) * (1 + 4)


def test_works_become_rows_and_share_the_weights_of_a_model(monkeypatch):
    made, said = [], []
    seconds = {"torchvision": 4.0, "torchvision, tuned allocator": 2.0, "float32": 1.0}

    def answer(title, work, names, weights, *, rounds, threads, make, on_run):
        assert weights.exists()
        assert make is make_run
        assert (rounds, threads) == (3, 2)
        on_run()
        return {name: Measured((seconds[name],) * rounds, 100, 8) for name in names}

    monkeypatch.setattr(run, "measure", answer)
    monkeypatch.setattr(run, "make_weights", lambda model: made.append(model) or {})
    works = {name: WORKS[name] for name in ("prediction", "training", "prediction-r101")}
    rows = profile_works(works, ["float32"], rounds=3, threads=2, say=said.append, on_run=lambda: None)
    assert made == ["R50-FPN", "R101-FPN"]
    assert [(row["work"], row["peer"], row["ratio"]) for row in rows] == [
        (name, peer, ratio)
        for name in works
        for peer, ratio in (("torchvision", 0.25), ("torchvision, tuned allocator", 0.5))
    ]
    assert said[:2] == [TITLE, "  torchvision 4.00 s, torchvision, tuned allocator 2.00 s, float32 1.00 s"]
