import subprocess
import sys
import time

import pytest

from maskrcnn import __version__
from maskrcnn.cli.main import main


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["maskrcnn", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    return stopped.value.code


def test_an_error_is_one_message_and_no_traceback(monkeypatch, capsys):
    assert run(monkeypatch, "settings", "train.stps=3") == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Error: train.stps=3: ")
    assert err.count("\n") == 1


def test_brackets_in_a_message_are_printed_as_they_are(monkeypatch, capsys):
    run(monkeypatch, "settings", "augment.scale=[bold")
    assert "augment.scale=[bold:" in capsys.readouterr().err


def test_the_version_is_printed(monkeypatch, capsys):
    assert run(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_help_does_not_wait_for_torch():
    code = "import sys; from maskrcnn.cli.main import main; sys.argv = ['maskrcnn', '--help']\n"
    code += "try: main()\nexcept SystemExit: pass\nassert 'torch' not in sys.modules and 'cv2' not in sys.modules"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert time.perf_counter() - start < 5


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "maskrcnn", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{__version__}\n"
