from maskrcnn.weights.own import load_weights
from tests.builders.exports import drawn_set, write_labelme, write_yolo
from tests.cli.test_train import SCRATCH, commands


def test_a_run_on_other_formats_is_judged_and_scored_again_by_its_command(run_cli, tmp_path, monkeypatch):
    """Learns from YOLO's format, and is judged by a folder of LabelMe's, which has no splits."""
    monkeypatch.chdir(tmp_path)
    write_yolo(drawn_set(tmp_path / "one", seed=0), tmp_path / "one", tmp_path / "learn")
    write_labelme(drawn_set(tmp_path / "two", seed=1), tmp_path / "two", tmp_path / "judge")
    done = run_cli("train", "--data", "learn", "--val", "judge", "--output", "run", *SCRATCH, "train.steps=1")
    assert done.code == 0, done.err
    assert load_weights(tmp_path / "run" / "best.safetensors").classes.names == ("cat", "dog")
    predict, evaluate = commands(done.err)
    assert predict[1] == str(tmp_path / "judge")
    place = ["--data", str(tmp_path / "judge"), "--split", "train"]
    assert evaluate == ["evaluate", *place, "--weights", "run/best.safetensors"]
    assert run_cli(*evaluate).code == 0
