import inspect
import json
import re
import shutil

import pytest
from PIL import Image

from maskrcnn.data import readers
from maskrcnn.data.formats import FORMATS, find_splits, has_split, read_contents, read_dataset, recognize, split_meant
from maskrcnn.data.shapes import write_shapes
from maskrcnn.errors import DataError, SettingError
from tests.rules.source import ROOT


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shapes")
    write_shapes(folder, train=3, val=2, size=64, seed=0)
    return folder


def test_a_folder_and_a_file_of_coco_are_read_and_their_contents_kept(shapes):
    assert [len(read_dataset(shapes, split)) for split in ("train", "val")] == [3, 2]
    assert len(read_dataset(str(shapes / "val.json"))) == 2
    assert read_dataset(shapes).images == shapes / "images"
    assert read_dataset(shapes).coco == json.loads((shapes / "train.json").read_text())
    assert read_contents(shapes, "val").coco == json.loads((shapes / "val.json").read_text())


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_the_validation_split_is_asked_for_and_may_lie_under_any_of_its_names(shapes, tmp_path, name):
    assert len(read_dataset(shapes, name)) == 2
    assert find_splits(shapes, [name]) == ("coco", ["val"])
    shutil.copytree(shapes / "images", tmp_path / "images")
    shutil.copy(shapes / "val.json", tmp_path / f"{name}.json")
    assert len(read_dataset(tmp_path, "val")) == 2


def test_a_folder_has_the_splits_that_are_found_and_a_file_has_none(shapes):
    assert has_split(shapes, "val")
    assert not has_split(shapes, "test")
    assert not has_split(shapes / "val.json", "val")
    assert has_split(shapes, "val", form="coco")


@pytest.mark.parametrize("split", ["test", "test_same"])
def test_a_split_that_is_not_there_is_an_error_that_names_the_others(shapes, split):
    with pytest.raises(DataError, match=rf"`{split}`, .*`train` \(COCO\) .*`val` \(COCO\)"):
        recognize(shapes, split)


def test_an_unknown_folder_is_an_error_that_names_every_format(tmp_path):
    with pytest.raises(DataError, match="`val`") as caught:
        recognize(tmp_path, "val")
    assert all(form.title in str(caught.value) and form.layout in str(caught.value) for form in FORMATS.values())


def test_a_folder_with_one_split_is_meant_for_any(shapes, tmp_path):
    shutil.copytree(shapes / "images", tmp_path / "images")
    shutil.copy(shapes / "train.json", tmp_path)
    assert split_meant(tmp_path, "val") == "train"
    assert split_meant(tmp_path / "train.json", "val") == split_meant(shapes, "val") == "val"
    assert split_meant(shapes, "test") == "test"


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_in_the_documentation(form):
    assert f"`{form}`" in (ROOT / "docs" / "data.md").read_text(encoding="utf-8")


def test_a_path_that_is_not_there_is_named(tmp_path):
    for ask in (recognize, read_dataset, has_split):
        with pytest.raises(DataError, match="gone"):
            ask(tmp_path / "gone", "val")


def test_a_format_can_be_named_and_must_exist(shapes, tmp_path):
    shutil.copy(shapes / "val.json", tmp_path / "val.txt")
    assert len(read_dataset(tmp_path / "val.txt", form="coco", images=shapes / "images").records) == 2
    with pytest.raises(SettingError, match="cocoo.*--format.*coco"):
        read_dataset(shapes, form="cocoo")
    with pytest.raises(SettingError, match="cocoo"):
        has_split(shapes, "val", form="cocoo")


def test_every_other_json_file_is_taken_for_coco_so_it_is_asked_after_those_that_read_files(tmp_path):
    names = list(FORMATS)
    assert names[names.index("coco") + 1 :] == ["mask-folders", "class-maps", "label-maps"]  # which are folders only
    (tmp_path / "x.json").write_text("{}")
    assert recognize(tmp_path / "x.json") == "coco"


def test_masks_beside_the_files_of_coco_do_not_hide_them(shapes, tmp_path):
    shutil.copytree(shapes, tmp_path / "shapes")
    (tmp_path / "shapes" / "masks").mkdir()
    (tmp_path / "shapes" / "masks" / "1.png").touch()
    assert recognize(tmp_path / "shapes", "val") == "coco"


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("form", FORMATS)
def test_no_format_is_found_in_an_empty_folder_or_an_empty_file(form, split, tmp_path):
    (tmp_path / "empty.txt").touch()
    assert not FORMATS[form].found(tmp_path, split)
    assert not FORMATS[form].found(tmp_path / "empty.txt", split)


def test_the_reader_that_the_documentation_shows_is_a_format(tmp_path, monkeypatch):
    example = inspect.cleandoc(readers.__doc__.partition("each:\n")[2].partition("\nAn object is")[0])
    names: dict = {}
    exec(example, names)
    (tmp_path / "train").mkdir()
    Image.new("RGB", (30, 20)).save(tmp_path / "train" / "a.png")
    (tmp_path / "train" / "a.boxes").write_text("1 2 10 5\n")
    assert len(read_dataset(tmp_path, form=names["FORMAT"])[0].instances) == 1  # from a package of one's own
    monkeypatch.setitem(FORMATS, "boxes", names["FORMAT"])
    assert recognize(tmp_path) == "boxes"
    assert read_dataset(tmp_path)[0].instances.boxes.tolist() == [[1, 2, 11, 7]]
    (tmp_path / "train" / "a.boxes").write_text("1 2 10 0\n")
    with pytest.raises(DataError, match="train: annotation 1 .a.png"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("form", FORMATS)
def test_every_reader_names_the_place_where_it_finds_nothing(form, tmp_path):
    with pytest.raises(DataError, match=re.escape(str(tmp_path))):
        FORMATS[form].read(tmp_path, "val", None)
