import subprocess
import sys

import pytest

from maskrcnn.benchmarks.registry import BENCHMARKS, find_benchmark, open_benchmark
from maskrcnn.errors import DataError, MaskRCNNError, SettingError


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(SettingError, match=r"cocoa: there is no such benchmark\. Known are coco, "):
        find_benchmark("cocoa")


def test_a_split_it_does_not_have_lists_those_it_has(tmp_path):
    with pytest.raises(SettingError, match=r"--split dev: coco has val, minival"):
        open_benchmark("coco", tmp_path, "dev")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_says_what_is_missing_from_an_empty_folder(name, tmp_path):
    for split in find_benchmark(name).splits:
        with pytest.raises(DataError) as caught:
            open_benchmark(name, tmp_path, split)
        assert str(tmp_path) in str(caught.value)


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
