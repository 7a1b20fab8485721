import shlex
from pathlib import Path

from maskrcnn.cli.commands import data_words, evaluate_command, predict_command, propose_command


def test_commands_can_be_pasted_into_a_shell():
    command = predict_command(Path("my runs/best.safetensors"), Path("a b"), Path("out"))
    assert shlex.split(command)[2:5] == ["a b", "--weights", "my runs/best.safetensors"]
    data = data_words(Path("v.json"), Path("c d"))
    assert "--images 'c d'" in evaluate_command(Path("w"), data)
    assert "--proposals" not in evaluate_command(Path("w"), data)
    assert evaluate_command(Path("w"), data, Path("p q")).endswith("--proposals 'p q'")
    assert propose_command(Path("w"), data_words(Path("v.json"), Path("c"))) == (
        "maskrcnn propose --data v.json --images c --weights w"
    )


def test_a_dataset_is_named_with_what_was_said_about_it_only():
    assert data_words(Path("d"), None) == ["--data", "d"]
    words = ["--data", "d", "--images", "p", "--format", "yolo", "--skip-invalid"]
    assert data_words(Path("d"), Path("p"), "yolo", skip_invalid=True) == words
