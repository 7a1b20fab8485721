"""What every benchmark does alike, on small files of each."""

import shutil
from pathlib import Path

import pytest

from maskrcnn.benchmarks.registry import BENCHMARKS, open_benchmark
from maskrcnn.errors import DataError
from tests.builders.layouts import write_layouts

FOLDERS = {
    "COCO": ("coco", "coco-keypoints", "coco-boundary", "coco-panoptic"),
    "VOCdevkit": ("voc2007", "voc2012"),
    "LVIS": ("lvis", "lvis-v0.5"),
    "cityscapes": ("cityscapes-panoptic",),
    "ood_coco": ("coco-o",),
    "iSAID_patches": ("isaid",),
    "benchmark_RELEASE": ("sbd",),
    "CrowdPose": ("crowdpose",),
    "GRIT": ("grit",),
    "LV-MHP-v2": ("mhp",),
    "OCHuman": ("ochuman",),
    "dsb2018": ("nuclei",),
}
"""The others are in a folder of their own name."""
SPLITS = {"grit": "val", "nuclei": "train"}
"""Where the usual one has no ground truth in the small files."""


@pytest.fixture(scope="module")
def layouts(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("layouts")
    write_layouts(root)
    return root


def folder_of(name: str) -> str:
    return next((folder for folder, names in FOLDERS.items() if name in names), name)


@pytest.fixture(params=BENCHMARKS)
def opened(request, layouts):
    return open_benchmark(request.param, layouts / folder_of(request.param), SPLITS.get(request.param))


def test_every_image_of_a_split_is_there(opened):
    data = opened.dataset()
    assert len(data.records) == opened.counts["images"] == len(opened.known.sizes)
    assert all(record.path.is_file() for record in data.records)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_scores_need_no_images_but_predictions_do(name, layouts, tmp_path):
    folder = shutil.copytree(layouts / folder_of(name), tmp_path / folder_of(name))
    for record in open_benchmark(name, folder, SPLITS.get(name)).dataset().records:
        record.path.unlink()
    without = open_benchmark(name, folder, SPLITS.get(name))
    assert without.score([])
    with pytest.raises(DataError, match="images"):
        without.dataset()


def test_no_prediction_is_a_valid_result_and_is_submitted_and_read_again(opened, tmp_path):
    scores = opened.score([])
    if opened.submits:
        (opened.folder / "params.json").write_text('{"params_in_millions": 44}')  # of GRIT
        path = tmp_path / ("sent.json" if opened.own_json or opened.name == "isaid" else "sent")
        opened.submit([], path)
        assert opened.score(opened.read(path)) == scores


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("results.json", b'{"a": 1}'),
        ("results.zip", b"\x89PNG\xff"),
        ("results.txt", b"\x89PNG\xff"),
        ("results.tar.gz", b"\x89PNG\xff"),
        ("results.csv", b"a,b\n1,2\n"),
        ("results", None),
    ],
)
def test_results_of_another_format_and_missing_ones_are_named(opened, name, content, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name):
        opened.read(tmp_path / name)


def test_predictions_of_unknown_images_are_refused(opened):
    record = {"image_id": 999, "category_id": 1, "score": 0.5, "bbox": [0, 0, 1, 1]}
    with pytest.raises(DataError, match="999"):
        opened.parse([record])
