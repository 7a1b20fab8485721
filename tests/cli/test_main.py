import os
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


def fails(monkeypatch, error):
    def work(*arguments, **options):
        raise error

    monkeypatch.setattr("maskrcnn.cli.main.app", work)


def test_what_nobody_foresaw_is_one_line_and_a_file_with_the_traceback(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    fails(monkeypatch, KeyError("seven"))
    assert run(monkeypatch, "settings", "a b") == 1
    out, err = capsys.readouterr()
    [written] = tmp_path.iterdir()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("Error: KeyError: 'seven'")
    assert str(written) in err
    assert "settings 'a b'" in written.read_text()
    assert "raise error" in written.read_text()


def test_the_traceback_is_printed_where_no_file_can_be_written(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    fails(monkeypatch, OSError(28, "No space left on device", "a.png"))
    assert run(monkeypatch, "settings") == 1
    err = capsys.readouterr().err
    assert "No space left on device: 'a.png'" in err
    assert "raise error" in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")
def test_a_full_disk_behind_the_output_is_an_error():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "maskrcnn", "settings"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_ends_early_is_no_error():
    with subprocess.Popen(
        [sys.executable, "-m", "maskrcnn", "settings"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
