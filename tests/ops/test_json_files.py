import json
import math

import pytest

from maskrcnn.errors import DataError
from maskrcnn.ops.json_files import parse_json, read_json, write_json


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
        (b'{"a": "\xff"}', "not text"),
    ],
)
def test_what_is_no_json_is_named_with_its_place_and_the_remedy(content, words, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words) as error:
        read_json(path, kind="an export", remedy="Export it again.")
    assert str(error.value).startswith(str(path))
    assert str(error.value).endswith("Export it again.")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match="b.json.*No such file"):
        read_json(tmp_path / "b.json")


def test_text_inside_of_a_file_is_named_by_its_source():
    assert parse_json("[1]", "a.zip: b.json") == [1]
    with pytest.raises(DataError, match="a.zip: b.json: .*line 1, column 2"):
        parse_json("[", "a.zip: b.json")
