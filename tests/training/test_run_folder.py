from pathlib import Path

import pytest

from maskrcnn.errors import SettingError
from maskrcnn.training.alternating import STEPS
from maskrcnn.training.run_folder import (
    CHECKPOINT_NAME,
    FIRST_STEP,
    DataArguments,
    check_folder,
    default_folder,
    load_data_arguments,
    resume_command,
)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("cells/train.json", "cells"),
        ("cells.json", "cells"),
        ("coco/annotations/instances_train2017.json", "coco"),
        ("road/train/_annotations.coco.json", "road"),
        ("cells/red_cells.json", "red_cells"),
    ],
)
def test_a_run_is_named_after_its_data(tmp_path, file, name):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    assert default_folder(path) == Path("runs") / name


def test_a_folder_gives_its_name(tmp_path):
    (tmp_path / "cells").mkdir()
    assert default_folder(tmp_path / "cells") == Path("runs/cells")
    assert default_folder(tmp_path / "cells" / ".." / "cells") == Path("runs/cells")


def test_the_data_of_a_run_are_found_again(tmp_path):
    plain = DataArguments(Path("/a/train.json"), None, Path("/b c/val.json"), True)
    on_proposals = DataArguments(Path("/a"), None, None, False, Path("/p.jsonl"), Path("/v.jsonl"), alternating=True)
    of_a_format = DataArguments(Path("/a"), Path("/i"), None, False, form="yolo")
    for arguments in (plain, on_proposals, of_a_format):
        arguments.save(tmp_path / "run")
        assert load_data_arguments(tmp_path / "run") == arguments


@pytest.mark.parametrize("text", [None, "", "[]", '{"val": "a"}', '{"data": null}', '{"data": "a", "colour": 1}'])
def test_a_folder_that_does_not_name_its_data_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "data.json").write_text(text)
    with pytest.raises(SettingError, match="data.json"):
        load_data_arguments(tmp_path)


def test_a_run_is_resumed_and_not_overwritten(tmp_path):
    check_folder(tmp_path / "new", resume=False)
    with pytest.raises(SettingError, match=CHECKPOINT_NAME):
        check_folder(tmp_path / "new", resume=True)
    (tmp_path / CHECKPOINT_NAME).touch()
    check_folder(tmp_path, resume=True)
    with pytest.raises(SettingError, match="maskrcnn train --resume"):
        check_folder(tmp_path, resume=False)


def test_alternating_training_goes_on_also_with_the_command_that_began_it(tmp_path):
    assert STEPS[0].folder == FIRST_STEP
    (tmp_path / FIRST_STEP).mkdir()
    (tmp_path / FIRST_STEP / CHECKPOINT_NAME).touch()
    check_folder(tmp_path, resume=True)
    check_folder(tmp_path, resume=False, alternating=True)
    with pytest.raises(SettingError, match=str(tmp_path)):
        check_folder(tmp_path, resume=False)


def test_a_folder_with_a_blank_is_quoted():
    assert resume_command(Path("my runs/a")) == "maskrcnn train --resume --output 'my runs/a'"
