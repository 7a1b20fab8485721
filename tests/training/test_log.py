import json
from io import StringIO

import pytest
import torch
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from maskrcnn.errors import TrainingError
from maskrcnn.training.log import LossWindow, TrainingDisplay, TrainingLog
from tests.training import small


def open_log(folder, *, position=0, step=0):
    return TrainingLog(folder, small.settings(), small.CLASSES, position=position, step=step)


def entry(step):
    return {
        "step": step,
        "loss": 3.0,
        "losses": {"boxes": 1.0, "masks": 2.0},
        "gradient_norm": None,
        "learning_rate": 0.1,
        "images_per_second": 5.0,
        "seconds": 2.0 * step,
    }


def lines(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_first_line_holds_the_settings_and_each_other_line_a_step_or_an_evaluation(tmp_path):
    log = open_log(tmp_path)
    log.step(entry(1))
    log.evaluation(1, {"segm": {"AP": 0.5, "classes": {"cell": 0.5}}}, 1.5)
    log.close()
    first, step, evaluation = lines(tmp_path)
    assert (first["kind"], first["settings"], first["classes"]) == (
        "settings",
        small.settings().model_dump(mode="json"),
        ["cell"],
    )
    assert step == {"kind": "step"} | entry(1)
    assert (evaluation["kind"], evaluation["scores"]["segm"]["AP"]) == ("evaluation", 0.5)


def test_what_came_after_the_checkpoint_is_cut_off(tmp_path):
    log = open_log(tmp_path)
    log.step(entry(1))
    position = log.position()
    log.step(entry(2))
    log.close()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"kind": "step", "st')  # killed while writing
    log = open_log(tmp_path, position=position, step=1)
    assert log.position() == position
    log.step(entry(2) | {"loss": 9.0})
    log.close()
    assert [line.get("loss") for line in lines(tmp_path)] == [None, 3.0, 9.0]


def test_a_log_deleted_before_the_run_went_on_starts_anew(tmp_path):
    log = open_log(tmp_path, position=5000, step=1)
    log.step(entry(2))
    log.close()
    assert [line["kind"] for line in lines(tmp_path)] == ["settings", "step"]


def test_tensorboard_shows_the_same_numbers(tmp_path):
    log = open_log(tmp_path)
    log.step(entry(1))
    log.evaluation(1, {"segm": {"AP": 0.5}, "seconds": 3}, 1.5)
    log.close()
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = {name: events.Scalars(name)[0].value for name in events.Tags()["scalars"]}
    assert found.pop("learning_rate") == 0.10000000149011612  # float32
    assert found == {"losses/boxes": 1, "losses/masks": 2, "loss": 3, "images_per_second": 5, "segm/AP": 0.5}


def values(**numbers):
    return {name: torch.tensor(number) for name, number in numbers.items()}


def test_means_are_over_the_steps_since_the_last_look(tmp_path):
    window = LossWindow(tmp_path)
    window.settle()
    assert window.take_means() == {}
    window.add(1, (), values(boxes=1.0, masks=4.0))
    window.add(2, (), values(boxes=3.0, masks=4.0))
    window.settle()
    assert window.take_means() == {"boxes": 2, "masks": 4}
    window.add(3, (), values(boxes=7.0, masks=0.0))
    window.settle()
    assert window.take_means() == {"boxes": 7, "masks": 0}


def test_a_window_goes_on_from_its_content(tmp_path):
    first = LossWindow(tmp_path)
    first.add(1, (), values(boxes=1.0))
    first.settle()
    second = LossWindow(tmp_path, *first.content())
    second.add(2, (), values(boxes=2.0))
    second.settle()
    assert second.take_means() == {"boxes": 1.5}


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_of_several_steps_the_first_that_is_not_finite_is_named(tmp_path, bad):
    window = LossWindow(tmp_path)
    window.add(7, ("a.png",), values(boxes=1.0))
    window.add(8, ("b.png", "c.png"), values(boxes=bad, masks=2.0))
    window.add(9, ("d.png",), values(boxes=bad))
    with pytest.raises(TrainingError) as caught:
        window.settle()
    report = tmp_path / "failed_batch.json"
    message = str(caught.value)
    assert message.startswith(f"{report}: in step 8 boxes = {bad},")
    assert "b.png, c.png" in message
    assert json.loads(report.read_text()) == {
        "step": 8,
        "paths": ["b.png", "c.png"],
        "losses": {"boxes": str(bad), "masks": "2.0"},
    }


def shown(*, terminal, quiet=False):
    text = StringIO()
    console = Console(file=text, force_terminal=terminal, quiet=quiet, width=200)
    with TrainingDisplay(100, quiet=quiet, console=console) as display:
        display.advance(40)
        display.show(entry(40))
        display.say("step 40: AP 0.300 [best]")
    return text.getvalue()


def test_without_a_terminal_each_entry_is_a_plain_line():
    assert shown(terminal=False) == (
        "step 40/100: loss 3.000 (boxes 1.000 masks 2.000), learning rate 0.1, 5.00 images/s, 2.0 min left\n"
        "step 40: AP 0.300 [best]\n"
    )


def test_a_terminal_shows_a_bar_with_the_values():
    text = shown(terminal=True)
    assert "40/100" in text
    assert "loss 3.000 rate 0.1 5.00 images/s" in text
    assert "left" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_shows_nothing(terminal):
    assert shown(terminal=terminal, quiet=True) == ""
