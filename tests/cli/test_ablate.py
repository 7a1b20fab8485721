import json

TINY = [
    "train.steps=4",
    "train.evaluate_every=4",
    "train.log_every=2",
    "data.workers=0",
    "backbone.width=32",
    "backbone.name=resnet18",
    "rpn.pre_nms_top_n=20",
    "rpn.post_nms_top_n=5",
    "input.scale_factor=1",
    "box_head.channels=16",
]


def write_data(folder):
    from maskrcnn.data.shapes import write_shapes

    write_shapes(folder, train=4, val=2, size=64, seed=0)
    return folder


def test_variants_are_trained_once_and_the_table_is_written(run_cli, tmp_path):
    data, output = write_data(tmp_path / "data"), tmp_path / "out"
    command = ["ablate", "--study", "stride_32", "--data", str(data), "--output", str(output), *TINY]
    result = run_cli(*command)
    assert result.code == 0, result.err
    scores = (json.loads((output / name / "scores.json").read_text()) for name in ("RoIPool", "RoIAlign"))
    pool, align = (one["settings"] for one in scores)
    steps = [json.loads(line) for line in (output / "RoIAlign" / "log.jsonl").read_text().splitlines()]
    learned = [entry["seconds"] for entry in steps if entry["kind"] == "step"]
    assert json.loads((output / "RoIAlign" / "scores.json").read_text())["seconds"] == learned[-1]
    assert (pool["roi"]["method"], align["roi"]["method"]) == ("pool", "align")
    assert pool["neck"]["name"] == align["neck"]["name"] == "c5"
    assert len(pool["anchors"]["sizes"]) == 1
    table = (output / "table.md").read_text()
    assert "| RoIPool |" in table
    assert "| 23.6 | 46.5 | 21.6 |" in table

    written = (output / "RoIPool" / "log.jsonl").stat().st_mtime_ns
    again = run_cli(*command)
    assert again.code == 0
    assert (output / "RoIPool" / "log.jsonl").stat().st_mtime_ns == written

    other = run_cli(*command, "train.seed=3")
    assert other.code == 1
    assert "RoIPool: " in other.err


def test_an_unknown_study_is_named_with_those_there_are(run_cli, tmp_path):
    result = run_cli("ablate", "--study", "lenses", "--output", str(tmp_path))
    assert result.code == 1
    assert all(words in result.err for words in ("lenses", "backbone", "activation"))


def test_a_study_of_keypoints_needs_data_with_keypoints(run_cli, tmp_path):
    data = write_data(tmp_path / "data")
    result = run_cli("ablate", "--study", "keypoints", "--data", str(data), "--output", str(tmp_path / "out"), *TINY)
    assert result.code == 1
    assert "keypoints" in result.err
