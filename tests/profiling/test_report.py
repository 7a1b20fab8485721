from io import StringIO

import pytest
from rich.console import Console

from maskrcnn.profiling import report
from maskrcnn.profiling.contenders import PRODUCT_FLOPS, PRODUCTS, make_run
from maskrcnn.profiling.processes import Measured
from maskrcnn.profiling.report import (
    contenders_for,
    count_runs,
    describe_machine,
    markdown_of,
    processor_name,
    profile_works,
    remarks,
    rows_of,
    tables_of,
)
from maskrcnn.profiling.works import WORKS

MEASURED = {
    "torchvision": Measured((2.0, 4.0, 3.0), 1500.4, 100),
    "torchvision, tuned allocator": Measured((2.0,), 1700, 100),
    "default": Measured((0.75,), 900, 100, operations=3 * PRODUCT_FLOPS),
    PRODUCTS: Measured((0.2,), 400, 0),
}


def test_a_row_is_a_setting_beside_a_peer():
    plain, tuned, products = rows_of("prediction", MEASURED)
    assert plain == {
        "work": "prediction",
        "setting": "default",
        "seconds": 0.75,
        "peer": "torchvision",
        "peer_seconds": 3.0,
        "ratio": 0.25,
        "images": 1,
        "objects": 100,
        "mebibytes": 900,
        "peer_mebibytes": 1500,
        "peer_objects": 100,
    }
    assert (tuned["peer"], tuned["peer_seconds"], tuned["ratio"]) == ("torchvision, tuned allocator", 2.0, 0.375)
    # Three times the operations that take the products 0.2 s.
    assert (products["peer"], products["peer_seconds"]) == (PRODUCTS, pytest.approx(0.6))


def test_openvino_has_as_many_operations_as_the_default():
    rows = rows_of("prediction", MEASURED | {"openvino": Measured((0.5,), 900, 100)})
    (row,) = [row for row in rows if (row["setting"], row["peer"]) == ("openvino", PRODUCTS)]
    assert (row["operations"], row["peer_seconds"]) == (3 * PRODUCT_FLOPS, pytest.approx(0.6))


def test_settings_that_were_not_measured_have_no_rows():
    assert rows_of("prediction", {"torchvision": MEASURED["torchvision"]}) == []


def test_a_system_that_does_not_tell_memory_leaves_it_out():
    (row,) = rows_of("prediction", {"torchvision": Measured((1.0,), None, 1), "float32": Measured((1.0,), None, 1)})
    assert row["mebibytes"] is None
    assert "prediction, 1 image" in written(tables_of([row]))


def written(tables):
    console = Console(width=80, file=StringIO())
    console.print(tables)
    return console.file.getvalue()


def test_the_table_fits_a_terminal_and_has_the_ratios():
    text = written(tables_of(rows_of("prediction", MEASURED)))
    assert "torchvision, tuned" in text
    assert "0.25" in text
    assert "…" not in text


def test_the_page_has_every_row_and_what_it_holds_for():
    machine = describe_machine(threads=2, rounds=3)
    page = markdown_of({"rows": rows_of("prediction", MEASURED), "machine": machine})
    assert "| prediction, 1 image, masks as pixels | default | 0.75 | torchvision | 3.00 | 0.25 | 900 | 1500 |" in page
    assert machine["torch"] in page
    assert "Medians of 3 alternating runs" in page


def test_the_machine_is_described():
    machine = describe_machine(threads=2, rounds=3)
    assert machine["processor"] == processor_name() != ""
    assert machine["cores"] >= 1
    assert machine["default_precision"] in ("bfloat16", "float32")


def test_a_busy_machine_and_unequal_work_are_said():
    machine = {"busy_cores_before": 1.9, "cores": 2}
    rows = rows_of("prediction", MEASURED | {"default": Measured((0.75,), 900, 60)})
    busy, *unequal = remarks(rows, machine)
    assert "about 1.9 of 2 cores busy" in busy
    assert "default found 60 objects, but torchvision 100" in unequal[0]
    assert remarks(rows_of("prediction", MEASURED), machine | {"busy_cores_before": 0.1}) == []


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

    monkeypatch.setattr(report, "measure", answer)
    monkeypatch.setattr(report, "make_weights", lambda model: {})
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

    monkeypatch.setattr(report, "measure", answer)
    monkeypatch.setattr(report, "make_weights", lambda model: made.append(model) or {})
    works = {name: WORKS[name] for name in ("prediction", "training", "prediction-r101")}
    rows = profile_works(works, ["float32"], rounds=3, threads=2, say=said.append, on_run=lambda: None)
    assert made == ["R50-FPN", "R101-FPN"]
    assert [(row["work"], row["peer"], row["ratio"]) for row in rows] == [
        (name, peer, ratio)
        for name in works
        for peer, ratio in (("torchvision", 0.25), ("torchvision, tuned allocator", 0.5))
    ]
    assert said[:2] == [TITLE, "  torchvision 4.00 s, torchvision, tuned allocator 2.00 s, float32 1.00 s"]
