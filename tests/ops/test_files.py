import json
import math
import subprocess
import sys

import pytest

from maskrcnn.errors import DataError
from maskrcnn.ops.files import parse_json, read_json, remove_partial_files, replacing, write_json


def test_a_file_gives_back_what_was_written(tmp_path):
    path = tmp_path / "new" / "a.json"
    write_json(path, {"name": "Größe", "values": [1, 2.5]})
    assert read_json(path) == {"name": "Größe", "values": [1, 2.5]}
    assert path.read_text() == '{"name":"Gr\\u00f6\\u00dfe","values":[1,2.5]}\n'
    write_json(path, {"name": 1}, indent=2)
    assert path.read_text() == '{\n  "name": 1\n}\n'


@pytest.mark.parametrize("content", [{"value": math.nan}, {"value": object()}])
def test_a_failed_write_leaves_the_old_file(content, tmp_path):
    path = tmp_path / "a.json"
    write_json(path, [1])
    with pytest.raises((ValueError, TypeError)):
        write_json(path, content)
    assert read_json(path) == [1]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_encodings_of_json_are_read(encoding, tmp_path):
    (tmp_path / "a.json").write_bytes(json.dumps({"name": "Größe"}, ensure_ascii=False).encode(encoding))
    assert read_json(tmp_path / "a.json") == {"name": "Größe"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"a": 1,\n "b', "line 2, column 2"),
        (b"", "line 1"),
        (b"[" * 100_000, "nested"),
        (b'{"a": "\x81\xff"}', "not text"),
    ],
)
def test_what_is_no_json_is_named_with_its_place_and_the_remedy(content, words, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as error:
        read_json(path, expected="an export", remedy="Export it again.")
    assert str(error.value).startswith(str(path))
    assert str(error.value).endswith("Export it again.")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="b.json.*No such file"):
        read_json(tmp_path / "b.json")


def test_text_inside_of_a_file_is_named_by_its_source():
    assert parse_json("[1]", "a.zip: b.json") == [1]
    with pytest.raises(DataError, match="a.zip: b.json: .*line 1, column 2"):
        parse_json("[", "a.zip: b.json")


def test_the_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:  # noqa: PT012
        temporary.write_text("half")
        _ = 1 / 0
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_writer_left_is_removed(tmp_path):
    (tmp_path / "file").write_text("old")
    script = (
        "import os, signal, sys; from pathlib import Path; from maskrcnn.ops.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path / "file")]).returncode == -9
    assert len(list(tmp_path.iterdir())) == 2
    remove_partial_files(tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
