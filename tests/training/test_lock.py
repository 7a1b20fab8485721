"""One process trains in a folder; the lock of a killed one is gone with it."""

import subprocess
import sys

import pytest

from maskrcnn.errors import SettingError
from maskrcnn.training.run_folder import locked

HOLD = "import sys, time; from maskrcnn.training.run_folder import locked; from pathlib import Path\n"
HOLD += "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


@pytest.fixture
def holder(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_that_another_process_trains_in_is_refused(holder, tmp_path):
    with pytest.raises(SettingError, match=str(tmp_path)), locked(tmp_path):
        pytest.fail("two processes hold it")


def test_the_lock_of_a_killed_process_is_gone(holder, tmp_path):
    holder.kill()
    holder.wait()
    with locked(tmp_path):
        pass


def test_the_process_that_holds_it_may_take_it_again(tmp_path):
    with locked(tmp_path / "run"), locked(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()
    with locked(tmp_path / "run"):
        pass
