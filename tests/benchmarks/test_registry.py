import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from maskrcnn.benchmarks.benchmark import find_in_archive, write_archive
from maskrcnn.benchmarks.registry import BENCHMARKS, find_benchmark, open_benchmark
from maskrcnn.errors import DataError, MaskRCNNError, SettingError


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(SettingError, match="cocoa.*coco-o"):
        find_benchmark("cocoa")


def test_a_split_it_does_not_have_lists_those_it_has(tmp_path):
    with pytest.raises(SettingError, match="dev.*coco.*val, minival"):
        open_benchmark("coco", tmp_path, "dev")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_says_what_is_missing_from_an_empty_folder(name, tmp_path):
    for split in find_benchmark(name).splits:
        with pytest.raises(DataError) as caught:
            open_benchmark(name, tmp_path, split)
        assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "split", "file"),
    [
        ("coco", "val", r"instances_val2017\.json"),
        ("coco", "minival", r"instances_minival2014\.json"),
        ("coco", "test-dev", r"image_info_test-dev2017\.json"),
        ("coco-keypoints", "val", r"person_keypoints_val2017\.json"),
        ("coco-panoptic", "val", r"panoptic_val2017\.json"),
        ("crowdpose", "val", r"crowdpose_val\.json"),
        ("isaid", "val", r"instancesonly_filtered_val\.json"),
        ("isaid", "test", r"images: .*\.png"),
        ("lvis", "val", r"lvis_v1_val\.json"),
        ("ochuman", "test-hard", r"test_range_0\.75_1\.00\.json"),
        ("bdd100k", "val", "BDD100K's val"),
        ("bdd100k", "test", "BDD100K's test"),
        ("cityscapes", "val", "gtFine/val"),
        ("cityscapes-panoptic", "val", "gtFine/val"),
        ("voc2007", "test", r"VOC2007/ImageSets/Main/test\.txt"),
        ("sbd", "val", r"val\.txt"),
        ("icdar2015", "test", "split test"),
        ("ctw1500", "train", "split train"),
    ],
)
def test_a_missing_file_is_named_with_its_split(name, split, file, tmp_path):
    with pytest.raises(DataError, match=file) as caught:
        open_benchmark(name, tmp_path, split)
    assert split.partition("-")[0] in str(caught.value)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_says_that_there_is_no_folder(name, tmp_path):
    with pytest.raises(MaskRCNNError, match="nowhere"):
        open_benchmark(name, tmp_path / "nowhere")


def test_names_titles_and_layouts_are_there_for_people():
    found = {name: find_benchmark(name) for name in BENCHMARKS}
    assert all(benchmark.name == name for name, benchmark in found.items())
    assert all(benchmark.title and benchmark.layout and benchmark.splits for benchmark in found.values())
    assert len({benchmark.title for benchmark in found.values()}) == len(BENCHMARKS)


def test_names_come_without_torch():
    program = "import sys, maskrcnn.benchmarks.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_what_is_written_is_found_packed_and_unpacked(tmp_path: Path):
    write_archive(tmp_path / "new" / "a.zip", [("list.txt", b"one"), ("maps/1.png", b"two")])
    packed = find_in_archive(tmp_path / "new" / "a.zip", ["list.txt"], "a list")
    assert (packed / "maps" / "1.png").read_bytes() == b"two"
    with zipfile.ZipFile(tmp_path / "new" / "a.zip") as archive:
        archive.extractall(tmp_path / "outer" / "inner")
    for folder in (tmp_path / "outer" / "inner", tmp_path / "outer"):
        assert find_in_archive(folder, ["list.txt"], "a list") == tmp_path / "outer" / "inner"


def test_a_folder_around_everything_is_no_matter(tmp_path: Path):
    write_archive(tmp_path / "a.zip", [("mine/list.txt", b"one")])
    assert (find_in_archive(tmp_path / "a.zip", ["list.txt"], "a list") / "list.txt").read_text() == "one"


def test_other_files_are_named(tmp_path: Path):
    (tmp_path / "a.txt").touch()
    write_archive(tmp_path / "a.zip", [])
    with pytest.raises(DataError, match="a.txt.*a list"):
        find_in_archive(tmp_path / "a.txt", ["list.txt"], "a list")
    with pytest.raises(DataError, match="b.zip"):
        find_in_archive(tmp_path / "b.zip", ["list.txt"], "a list")
    with pytest.raises(DataError, match="a.zip.*list.txt.*1.txt"):
        find_in_archive(tmp_path / "a.zip", ["list.txt", "1.txt"], "a list")


def test_results_in_two_folders_are_refused(tmp_path: Path):
    write_archive(tmp_path / "a.zip", [("1.txt", b"one"), ("old/1.txt", b"two"), ("notes/x.txt", b"three")])
    with pytest.raises(DataError, match="a.zip/ .*a.zip/old/"):
        find_in_archive(tmp_path / "a.zip", ["1.txt"], "a list")
