from io import StringIO

import pytest
from rich.console import Console

from maskrcnn.training.log import TrainingDisplay

ENTRY = {
    "step": 40,
    "loss": 1.5,
    "losses": {"boxes": 0.5, "masks": 1.0},
    "learning_rate": 0.02,
    "images_per_second": 4.0,
    "seconds": 80.0,
}


def shown(*, terminal, quiet=False):
    text = StringIO()
    console = Console(file=text, force_terminal=terminal, quiet=quiet, width=200)
    with TrainingDisplay(100, quiet=quiet, console=console) as display:
        display.advance(40)
        display.show(ENTRY)
        display.say("step 40: AP 0.300 [best]")
    return text.getvalue()


def test_without_a_terminal_each_entry_is_a_plain_line():
    assert shown(terminal=False) == (
        "step 40/100: loss 1.500 (boxes 0.500 masks 1.000), learning rate 0.02, 4.00 images/s, 2.0 min left\n"
        "step 40: AP 0.300 [best]\n"
    )


def test_a_terminal_shows_a_bar_with_the_values():
    text = shown(terminal=True)
    assert "40/100" in text
    assert "loss 1.500 rate 0.02 4.00 images/s" in text
    assert "left" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_shows_nothing(terminal):
    assert shown(terminal=terminal, quiet=True) == ""
