import json
import os
import shutil
import signal
import threading
from itertools import count

import numpy as np
import pytest
import torch

from maskrcnn.errors import SettingError, TrainingError, WeightsError
from maskrcnn.training.checkpoint import load_checkpoint
from maskrcnn.training.loop import StopRequest, seed_random_numbers
from maskrcnn.weights.own import load_weights
from tests.training import small, tiny


def lines(folder, kind):
    return [line for text in (folder / "log.jsonl").open() if (line := json.loads(text))["kind"] == kind]


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_training_walks_towards_the_target(tmp_path):
    model = small.Small()
    result = small.run(tmp_path / "run", model=model, steps=60, warmup_steps=0, learning_rate=1.6)
    assert result.finished
    assert result.step == 60
    torch.testing.assert_close(model.value.detach(), torch.ones(3), atol=0.02, rtol=0)
    assert torch.equal(load_weights(result.weights).state["value"], model.value)


def test_one_step_of_sgd_is_the_rate_times_the_gradient(tmp_path):
    model = small.Small()
    small.run(tmp_path, model=model, steps=1, learning_rate=0.8)
    # The rate 0.8 is for 16 images, so 0.1 for 2; the gradient of (0 - 1)**2 is -2.
    torch.testing.assert_close(model.value.detach(), torch.full((3,), 0.2))


def test_the_gradient_is_clipped_to_its_norm(tmp_path):
    model = small.Small()
    small.run(tmp_path, model=model, steps=1, clip_grad_norm=0.001, log_every=1)
    torch.testing.assert_close(model.value.detach().norm(), torch.tensor(0.1 * 0.001))
    # The norm before clipping is sqrt(3 * 2**2).
    assert lines(tmp_path, "step")[0]["gradient_norm"] == pytest.approx(12**0.5)


def test_two_accumulated_batches_count_as_one_of_twice_the_size(tmp_path):
    def halves(start):
        return (small.batch(number, 2.0 * (number % 2)) for number in count(start))

    accumulated, whole = small.Small(), small.Small()
    small.run(
        tmp_path / "a", model=accumulated, batches=halves, steps=1, accumulate_steps=2, learning_rate=0.4, log_every=1
    )
    small.run(tmp_path / "b", model=whole, steps=1, learning_rate=0.8)
    torch.testing.assert_close(accumulated.value, whole.value)
    # Losses are means over the batches: of 0 and 4.
    assert lines(tmp_path / "a", "step")[0]["losses"] == {"first": 2, "others": 4}


def test_batches_follow_the_steps_already_made(tmp_path):
    starts = []

    def stream(start):
        starts.append(start)
        return small.batches(start)

    interrupted = small.run(tmp_path, batches=stopping_at(3, stream), steps=5, accumulate_steps=2)
    assert interrupted.step == 2
    small.run(tmp_path, batches=stream, steps=5, accumulate_steps=2, resume=True)
    assert starts == [0, 4]


def stopping_at(number, stream):
    """A stream during whose batch of this number a SIGTERM arrives."""

    def batches(start):
        for position, batch in zip(count(start), stream(start)):
            if position == number:
                os.kill(os.getpid(), signal.SIGTERM)
            yield batch

    return batches


def test_sigterm_finishes_the_step_saves_and_says_how_to_go_on(tmp_path, capfd):
    result = small.run(tmp_path, batches=stopping_at(4, small.batches), quiet=False)
    assert (result.step, result.finished) == (5, False)
    assert load_checkpoint(tmp_path / "last.pt").progress.step == 5
    assert "Stopped after step 5 of 10; resume the run in" in capfd.readouterr().err


def test_a_stopped_and_resumed_run_equals_an_unbroken_one_with_its_log(tmp_path):
    options = {"ema_decay": 0.9, "optimizer": "adamw", "log_every": 4, "evaluate_every": 3, "evaluate": score}
    whole = small.run(tmp_path / "whole", **options)
    small.run(tmp_path / "parts", batches=stopping_at(5, small.batches), **options)
    parts = small.run(tmp_path / "parts", resume=True, **options)
    assert parts.best == whole.best
    assert same(load_weights(parts.weights).state, load_weights(whole.weights).state)
    assert timeless(tmp_path / "parts") == timeless(tmp_path / "whole")


def score(model):
    return {"segm": {"AP": model.value.sum().item()}}


def timeless(folder):
    clocks = ("seconds", "images_per_second")
    texts = (folder / "log.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(text).items() if key not in clocks} for text in texts]


def test_the_best_weights_are_kept_and_patience_ends_the_run(tmp_path):
    scores = iter([0.1, 0.3, 0.2, 0.1, 0.9])
    result = small.run(
        tmp_path, evaluate=lambda model: {"segm": {"AP": next(scores)}}, evaluate_every=1, patience=2, steps=9
    )
    assert (result.step, result.finished, result.best) == (4, True, 0.3)
    assert load_weights(tmp_path / "best.safetensors").notes["step"] == "2"
    assert load_weights(tmp_path / "last.safetensors").notes["step"] == "4"
    assert result.weights == tmp_path / "best.safetensors"


@pytest.mark.parametrize(
    ("scores", "patience", "best", "kept", "steps"),
    [
        pytest.param([0.1, 0.3, 0.3, 0.2], None, 0.3, "3", 4, id="a tie keeps the later weights"),
        pytest.param([0.3, 0.3, 0.3, 0.9], 2, 0.3, "3", 3, id="a tie is nothing better"),
        pytest.param([0.0, 0.0, 0.0, 0.2], 1, 0.2, "4", 4, id="patience begins when something is found"),
        pytest.param([0.0, 0.0], 1, 0.0, "2", 2, id="nothing was found"),
        pytest.param([-1.0, -1.0, -1.0, -1.0], 1, None, None, 4, id="no score is defined"),
    ],
)
def test_undefined_scores_and_ties_do_not_freeze_the_first_weights(tmp_path, scores, patience, best, kept, steps):
    numbers = iter(scores)
    result = small.run(
        tmp_path,
        evaluate=lambda model: {"segm": {"AP": next(numbers)}},
        evaluate_every=1,
        patience=patience,
        steps=len(scores),
    )
    assert (result.step, result.best) == (steps, best)
    assert result.weights.name == ("last.safetensors" if kept is None else "best.safetensors")
    assert load_weights(result.weights).notes["step"] == (kept or str(steps))


def test_evaluations_come_every_so_often_and_at_the_end(tmp_path):
    small.run(tmp_path, evaluate=score, evaluate_every=4, steps=10)
    assert [line["step"] for line in lines(tmp_path, "evaluation")] == [4, 8, 10]


def test_the_averaged_weights_are_evaluated_and_kept(tmp_path):
    seen = []
    model = small.Small()

    def evaluate(evaluated):
        seen.append(evaluated.value[0].item())
        return {"bbox": {"AP": 0.5}}

    small.run(tmp_path, model=model, ema_decay=0.99, evaluate=evaluate, evaluate_every=10, learning_rate=0.08)
    assert len(seen) == 1
    assert 0 < seen[0] < model.value[0].item()
    assert load_weights(tmp_path / "best.safetensors").state["value"][0].item() == seen[0]


def test_a_loss_that_is_not_finite_stops_with_the_names_of_the_images(tmp_path):
    def stream(start):
        return (small.batch(number, float("nan") if number == 3 else 1.0) for number in count(start))

    model = small.Small()
    with pytest.raises(TrainingError, match=r"failed_batch.json: in step 4 first = nan, others = nan.*3-a.png"):
        small.run(tmp_path, model=model, batches=stream, checkpoint_every=2)
    report = json.loads((tmp_path / "failed_batch.json").read_text())
    assert (report["step"], report["paths"]) == (4, ["3-a.png", "3-b.png"])
    assert report["losses"]["first"] == "nan"
    assert model.value.isfinite().all()
    assert load_checkpoint(tmp_path / "last.pt").progress.step == 2


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    small.run(tmp_path, steps=2)
    before = (tmp_path / "last.pt").read_bytes()
    with pytest.raises(SettingError, match=str(tmp_path)):
        small.run(tmp_path, steps=2)
    assert (tmp_path / "last.pt").read_bytes() == before


def test_resuming_a_finished_run_makes_no_step(tmp_path):
    small.run(tmp_path, steps=3, evaluate=score)
    model = small.Small()
    result = small.run(tmp_path, model=model, steps=3, evaluate=score, resume=True)
    assert (result.step, result.finished) == (3, True)
    assert len(lines(tmp_path, "evaluation")) == 3


def test_random_numbers_follow_from_the_seed_and_the_batch():
    def draws(seed, number):
        seed_random_numbers(seed, number)
        return (torch.rand(1).item(), np.random.rand())

    assert draws(1, 2) == draws(1, 2)
    assert len({draws(0, 1), draws(1, 0), draws(1, 1), draws(0, 0)}) == 4


def test_the_real_model_learns_its_images(tmp_path):
    result = tiny.real_run(tmp_path, steps=12, optimizer="adamw", learning_rate=0.004, checkpoint_every=100)
    losses = [line["loss"] for line in lines(tmp_path, "step")]
    assert result.finished
    assert np.mean(losses[-3:]) < 0.6 * np.mean(losses[:3])


@pytest.mark.parametrize(
    ("every", "error"), [({"checkpoint_every": 2, "log_every": 100}, WeightsError), ({"log_every": 1}, TrainingError)]
)
def test_a_folder_that_vanishes_ends_the_run_with_its_name(tmp_path, every, error):
    folder = tmp_path / "run"

    def vanishing(start):
        for number in count(start):
            if number == 3:
                shutil.rmtree(folder)
            yield small.batch(number)

    with pytest.raises(error, match=str(folder)):
        small.run(folder, batches=vanishing, **every)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_only_noted_and_said_at_once(number, capfd):
    with StopRequest() as stop:
        assert not stop.received
        os.kill(os.getpid(), number)
        assert stop.received
        assert "Ctrl-C" in capfd.readouterr().err
    with StopRequest(quiet=True):
        os.kill(os.getpid(), number)
    assert capfd.readouterr().err == ""


@pytest.fixture
def handles_interrupts():
    """Python's own handler, also where the tests run in the background and Ctrl-C is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("handles_interrupts")
def test_a_second_ctrl_c_interrupts_at_once():
    with pytest.raises(KeyboardInterrupt), StopRequest():  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)


def test_afterwards_signals_do_what_they_did_before():
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_it_can_be_entered_in_a_thread():
    received = []

    def enter():
        with StopRequest() as stop:
            received.append(stop.received)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert received == [False]
