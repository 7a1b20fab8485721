import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from maskrcnn.cli.main import app
from maskrcnn.cli.settings import settings_tables
from maskrcnn.config import RunSettings
from maskrcnn.config.base import section_of, walk_settings

NO_PRESET = "maskrcnn_benchmark/e2e_faster_rcnn_R_50_C4_1x"


def printed(*arguments):
    result = CliRunner().invoke(app, ["settings", *arguments])
    assert result.exit_code == 0
    return result.output


def test_every_setting_is_listed():
    console = Console(width=200)
    with console.capture() as capture:
        console.print(*settings_tables(RunSettings()), sep="\n")
    lines = [line.split() for line in capture.get().splitlines()]
    for key, field in walk_settings(RunSettings):
        name = key.rpartition(".")[2]
        assert section_of(field) or any(line[:1] == [name] for line in lines), key


def test_values_are_shown_as_they_are_typed():
    lines = printed("augment.scale=0.5,2", "train.clip_grad_norm=null", "augment.rotate90=true").splitlines()
    rows = {line.split()[0]: line.split()[1] for line in lines if line.startswith("  ") and line[2:3].strip()}
    assert (rows["scale"], rows["clip_grad_norm"], rows["rotate90"]) == ("0.5,2", "null", "true")


def test_the_printed_file_gives_the_same_settings_again(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text(printed("--yaml", "train.steps=7", "mask_head=null", "augment.scale=0.5,2"))
    expected = RunSettings().changed(["train.steps=7", "mask_head=null", "augment.scale=0.5,2"])
    assert RunSettings().changed(file) == expected
    assert yaml.safe_load(file.read_text())["train"]["steps"] == 7


def test_defaults_in_the_printed_file_do_not_win_over_those_of_weights(tmp_path):
    text = printed("--yaml", "train.steps=7")
    assert yaml.safe_load(text) == {"train": {"steps": 7}}
    assert "#   learning_rate: null" in text
    assert yaml.safe_load(printed("--yaml")) is None


def test_a_preset_is_shown_with_what_differs_from_it():
    words = ("--yaml", "--preset", "detectron2/mask_rcnn_R_50_C4", "rpn.post_nms_top_n=7")
    model = yaml.safe_load(printed(*words))
    assert (model["neck"]["name"], model["rpn"]["pre_nms_top_n"], model["rpn"]["post_nms_top_n"]) == ("c4", 6000, 7)
    assert model["mask_head"]["convolutions"] == 0


def test_the_name_of_published_weights_stands_for_their_preset():
    expected = printed("--yaml", "--preset", "detectron2/mask_rcnn_R_50_C4")
    for name in ("detectron2/mask_rcnn_R_50_C4_3x", "detectron2/R50-C4-3x", "detectron2/r50_c4_1x"):
        assert printed("--yaml", "--preset", name) == expected


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        pytest.param(NO_PRESET, f"--weights {NO_PRESET}", id="published weights without a preset"),
        pytest.param("mask_rcnn_R_50_C4", "detectron2/mask_rcnn_R_50_C4", id="unknown"),
    ],
)
def test_what_is_no_preset_says_what_is_probably_meant(name, meant):
    message = str(CliRunner().invoke(app, ["settings", "--preset", name]).exception)
    assert all(words in message for words in (name, meant))
