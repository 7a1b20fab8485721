import time
from io import StringIO

import pytest
from rich.console import Console

from maskrcnn import progress
from maskrcnn.progress import ImageBar, counted, waiting


def drawn(monkeypatch, *, patience: float, terminal: bool) -> str:
    monkeypatch.setattr(progress, "PATIENCE", patience)
    console = Console(file=StringIO(), force_terminal=terminal, width=80)
    with ImageBar("predicting", 3, console) as bar:
        bar.advance(2)
        bar.advance(1)
    return console.file.getvalue()


def test_it_appears_when_it_takes_long(monkeypatch):
    text = drawn(monkeypatch, patience=-1, terminal=True)
    assert "predicting" in text
    assert "3/3" in text


@pytest.mark.parametrize(("patience", "terminal"), [(60, True), (-1, False)])
def test_it_is_silent_when_it_is_quick_or_nobody_watches(monkeypatch, patience, terminal):
    assert "predicting" not in drawn(monkeypatch, patience=patience, terminal=terminal)


@pytest.mark.parametrize(("patience", "seen"), [(0, True), (60, False)])
def test_work_that_cannot_be_counted_is_named_if_it_takes_long(monkeypatch, patience, seen):
    monkeypatch.setattr(progress, "PATIENCE", patience)
    console = Console(file=StringIO(), force_terminal=True, width=80)
    with waiting("reading [all] of it", console):
        time.sleep(0.05)
    assert ("reading [all] of it" in console.file.getvalue()) == seen


def test_the_line_is_gone_after_an_error_too(monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0)
    file = StringIO()
    console = Console(file=file, force_terminal=True, width=80)

    def fail():
        with waiting("reading", console):
            time.sleep(0.05)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert file.getvalue().rindex("\x1b[2K") > file.getvalue().rindex("reading")  # erased after it was drawn last


def test_things_are_counted_in_words():
    assert [counted(number, "image") for number in (0, 1, 2)] == ["0 images", "1 image", "2 images"]
    assert counted(1200, "box", "boxes") == "1,200 boxes"
