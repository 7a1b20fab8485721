"""`maskrcnn train` on proposals of a file, on proposals only, and in four steps."""

import json
import shlex

import pytest

from maskrcnn.data.shapes import write_shapes
from maskrcnn.training.checkpoint import load_checkpoint
from maskrcnn.weights.own import load_weights
from tests.cli.test_train import SCRATCH

QUICK = (*SCRATCH, "train.steps=1", "mask_head=null", "data.batch_size=1")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    write_shapes(folder, train=3, val=1, size=64, seed=0)
    for split in ("train", "val"):
        content = json.loads((folder / f"{split}.json").read_text())
        lines = []
        for image in content["images"]:
            found = [one["bbox"] for one in content["annotations"] if one["image_id"] == image["id"]]
            boxes = [[x, y, min(64, x + w + 1), y + h] for x, y, w, h in found]
            lines.append(json.dumps({"image_id": image["id"], "boxes": boxes}) + "\n")
        (folder / f"{split}.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture
def train(run_cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: run_cli("train", "--output", "run", *words)


def commands(text):
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("  maskrcnn")]


def losses(path):
    return {name for line in path.read_text().splitlines() for name in json.loads(line).get("losses", {})}


def test_fast_rcnn_learns_on_proposals_of_a_file_and_is_judged_and_scored_on_some(train, run_cli, data, tmp_path):
    files = ("--proposals", data / "train.jsonl", "--val-proposals", data / "val.jsonl")
    done = train("--data", data, *files, *QUICK, "train.log_every=1")
    assert done.code == 0, done.err
    assert load_checkpoint(tmp_path / "run" / "last.pt").settings.train.layers == ("backbone", "neck", "heads")
    assert losses(tmp_path / "run" / "log.jsonl") == {"classes", "boxes"}
    (evaluate,) = commands(done.err)
    assert evaluate[-2:] == ["--proposals", str(data / "val.jsonl")]
    assert run_cli(*evaluate).code == 0
    assert run_cli("train", "--resume", "--output", "run").code == 0


def test_one_file_is_enough_where_a_part_is_held_out(train, data):
    held = ("--data", data / "train.json", "--images", data / "images")
    done = train(*held, "--proposals", data / "train.jsonl", *QUICK, "data.val_fraction=0.4")
    assert done.code == 0, done.err


def test_proposals_of_the_images_to_judge_by_are_asked_for(train, data):
    done = train("--data", data, "--proposals", data / "train.jsonl", *QUICK)
    assert done.code == 1
    assert "but the validation data are" in done.err
    assert "--val-proposals" in done.err


def test_heads_must_learn_on_proposals_of_a_file(train, data):
    done = train("--data", data, "--proposals", data / "train.jsonl", *QUICK, "train.layers=backbone,rpn")
    assert done.code == 1
    assert "train.layers=backbone,rpn: " in done.err


def test_a_region_proposal_network_alone_is_judged_by_its_recall(train, run_cli, data, tmp_path):
    done = train("--data", data, *QUICK, "train.layers=backbone,neck,rpn")
    assert done.code == 0, done.err
    assert "AR@1000" in done.out
    assert "AR@1000" in json.loads((tmp_path / "run" / "scores.json").read_text())["recall"]
    assert (tmp_path / "run" / "curves.png").exists()
    (propose,) = commands(done.err)
    assert propose[0] == "propose"
    assert run_cli(*propose).code == 0


def test_four_steps_end_in_one_file_and_go_on_where_they_were(train, run_cli, data, tmp_path):
    done = train("--data", data, "--alternating", *QUICK)
    assert done.code == 0, done.err
    run = tmp_path / "run"
    assert [name in done.err for name in ("1_rpn", "2_heads", "3_rpn", "4_heads")] == [True] * 4
    assert {"best.safetensors", "last.safetensors", "scores.json", "curves.png", "sheet.png"} <= {
        path.name for path in run.iterdir()
    }
    predict, evaluate = commands(done.err)
    assert run_cli(*evaluate).code == 0
    assert predict[0] == "predict"
    before = (run / "best.safetensors").read_bytes()
    again = run_cli("train", "--resume", "--output", "run")
    assert again.code == 0, again.err
    assert (run / "best.safetensors").read_bytes() == before
    assert load_weights(run / "best.safetensors").settings.mask_head is None
