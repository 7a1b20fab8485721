import pytest

from maskrcnn.cli.console import require_place, say, show
from maskrcnn.errors import SettingError


def test_results_and_words_go_to_different_streams_as_they_are(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    long = "[bold] " + "x" * 300
    show(long, "second")
    say(long)
    assert tuple(capsys.readouterr()) == (f"{long}\nsecond\n", f"{long}\n")


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        pytest.param("there", False, id="a folder in place of a file"),
        pytest.param("a.txt", True, id="a file in place of a folder"),
        pytest.param("a.txt/b.json", False, id="below a file"),
    ],
)
def test_what_cannot_be_written_is_said_first(tmp_path, path, folder):
    (tmp_path / "there").mkdir()
    (tmp_path / "a.txt").touch()
    with pytest.raises(SettingError, match=path):
        require_place(tmp_path / path, folder=folder)


def test_new_files_folders_and_nothing_can_be_written(tmp_path):
    require_place(None)
    require_place(tmp_path / "new" / "a.json")
    require_place(tmp_path, folder=True)
