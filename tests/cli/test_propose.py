import json

import pytest

from maskrcnn.data.shapes import write_shapes


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_shapes(tmp_path, train=1, val=2, size=64, seed=0)
    return tmp_path


def test_proposals_are_written_and_their_recall_is_shown(folder, run_cli, tiny_weights):
    done = run_cli("propose", "--data", ".", "--weights", tiny_weights, "--json", "s.json", "rpn.post_nms_top_n=20")
    assert done.code == 0, done.err
    assert len((folder / "proposals.jsonl").read_text().splitlines()) == 2
    scores = json.loads((folder / "s.json").read_text())
    assert scores["proposals"] == 40
    assert "AR@300" in done.out
    assert f"{100 * scores['recall']['AR@1000']:.1f}" in done.out
    assert "40 proposals for 2 images: proposals.jsonl" in done.err


def test_images_without_objects_have_no_recall(folder, run_cli, tiny_weights):
    content = json.loads((folder / "val.json").read_text())
    (folder / "val.json").write_text(json.dumps(content | {"annotations": []}))
    done = run_cli("propose", "--data", "val.json", "--weights", tiny_weights, "--output", "p.json")
    assert (done.code, done.out) == (0, "")
    assert len(json.loads((folder / "p.json").read_text())) > 2


def test_a_wrong_ending_is_said_before_anything_else(folder, run_cli):
    done = run_cli("propose", "--data", "no", "--weights", "no", "--output", "p.txt")
    assert done.code == 1
    assert "p.txt: " in done.err


def test_a_model_is_scored_on_the_proposals_of_a_file(folder, run_cli, tiny_weights):
    run_cli("propose", "--data", ".", "--weights", tiny_weights)
    words = ("evaluate", "--data", ".", "--weights", tiny_weights, "--precision", "float32", "--results", "r.json")
    assert run_cli(*words, "--proposals", "proposals.jsonl").code == 0
    found = json.loads((folder / "r.json").read_text())
    few = [json.loads(line) for line in (folder / "proposals.jsonl").read_text().splitlines()]
    for one in few:
        one["boxes"], one["scores"] = one["boxes"][:1], one["scores"][:1]
    (folder / "few.jsonl").write_text("".join(json.dumps(one) + "\n" for one in few))
    assert run_cli(*words, "--proposals", "few.jsonl", "--json", "s.json").code == 0
    assert json.loads((folder / "s.json").read_text())["proposals"] == "few.jsonl"
    assert 0 < len(json.loads((folder / "r.json").read_text())) <= 10 < len(found)
