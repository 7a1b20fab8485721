import json

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from maskrcnn.training.log import TrainingLog
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
