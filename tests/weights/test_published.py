import hashlib
import re
from pathlib import Path

import pytest
import torch
import torchvision.models
import torchvision.models.detection

from maskrcnn.errors import WeightsError
from maskrcnn.weights import published
from maskrcnn.weights.download import Checksum
from maskrcnn.weights.published import PUBLISHED, Published, download, find_published, read_table
from tests.builders.web_server import Site, serve

CONTENT = b"weights of a peer"
DIGITS = hashlib.sha256(CONTENT).hexdigest()[:8]
NAME = f"peer-{DIGITS}.pth"
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """torch's cache, moved, and the proxies of the machine switched off."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("MASKRCNN_WEIGHTS", raising=False)
    return tmp_path / "cache" / "checkpoints"


def publish(monkeypatch, address):
    monkeypatch.setattr(
        published,
        "PUBLISHED",
        {"peer/model": Published(f"{address}/{NAME}", Checksum("sha256", DIGITS), alias="peer/m")},
    )


def test_a_file_is_fetched_once(cache, monkeypatch):
    with serve(Site(CONTENT)) as site:
        publish(monkeypatch, site.address)
        path = download("peer/model")
    assert path == cache / NAME
    assert path.read_bytes() == CONTENT
    assert download("peer/model") == path
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    ("place", "folder"),
    [("cache/checkpoints", None), ("usb stick", "usb stick"), ("cache/checkpoints", ".")],
    ids=["the cache", "a folder", "the cache, beside a folder without it"],
)
@pytest.mark.usefixtures("cache")
def test_a_file_put_there_by_hand_serves_without_a_network(monkeypatch, tmp_path, place, folder):
    publish(monkeypatch, NOBODY)
    path = tmp_path / place / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    if folder:
        monkeypatch.setenv("MASKRCNN_WEIGHTS", str(tmp_path / folder))
    assert download("peer/m") == path
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == [path]


def test_a_folder_that_is_not_there_is_named(cache, monkeypatch, tmp_path):
    publish(monkeypatch, NOBODY)
    monkeypatch.setenv("MASKRCNN_WEIGHTS", str(tmp_path / "none"))
    with pytest.raises(WeightsError, match=rf"MASKRCNN_WEIGHTS={tmp_path / 'none'}: "):
        download("peer/model")


def test_another_file_under_the_name_is_refused(cache, monkeypatch):
    publish(monkeypatch, NOBODY)
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(b"something else")
    with pytest.raises(WeightsError, match=rf"peer/model: {cache / NAME} "):
        download("peer/model")


def test_an_unknown_name_is_named():
    with pytest.raises(WeightsError, match="peer/none: "):
        download("peer/none")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("detectron2/mask_rcnn_R_50_FPN_3x", "detectron2/mask_rcnn_R_50_FPN_3x"),
        ("detectron2/R50-FPN-3x", "detectron2/mask_rcnn_R_50_FPN_3x"),
        ("detectron2/x101-fpn-3x", "detectron2/mask_rcnn_X_101_32x8d_FPN_3x"),
        ("mmdetection/mask-rcnn_r50-caffe_fpn_1x_coco", "mmdetection/mask_rcnn_r50_caffe_fpn_1x_coco"),
        ("R50-FPN-3x", None),
    ],
)
def test_names_may_be_written_as_the_publishers_do(name, known):
    assert find_published(name) == known


def test_no_two_checkpoints_share_a_file_or_a_name():
    files = [one.file_name for one in PUBLISHED.values()]
    assert len(files) == len(set(files))
    plain = [name.lower().replace("-", "_") for name in [*PUBLISHED, *(o.alias for o in PUBLISHED.values() if o.alias)]]
    assert len(plain) == len(set(plain))


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_row_is_complete(name):
    one = PUBLISHED[name]
    assert re.fullmatch(r"https://[\w.-]+/[\w./-]+\.(pth|pkl)", one.address)
    assert one.license
    assert one.source
    assert one.is_backbone or (one.scores and one.trained_on)
    assert all(10 < score < 100 for score in one.scores.values())
    if one.checksum:
        length = {"sha256": 8, "md5": 6}[one.checksum.kind]
        assert re.fullmatch(rf"[0-9a-f]{{{length}}}", one.checksum.start)
        assert one.checksum.start in one.file_name


def weights_of(module):
    for name in dir(module):
        if name.endswith("_Weights"):
            yield from getattr(module, name)


def test_torchvisions_rows_are_what_torchvision_says_itself():
    metrics_of = {
        w.url: w.meta["_metrics"] for m in (torchvision.models, torchvision.models.detection) for w in weights_of(m)
    }
    rows = [one for name, one in PUBLISHED.items() if name.startswith("torchvision/")]
    assert len(rows) == 18
    for one in rows:
        metrics = metrics_of[one.address]
        if one.is_backbone:
            assert one.scores == {"top1": metrics["ImageNet-1K"]["acc@1"]}
        else:
            names = {"box_map": "box", "mask_map": "mask", "kp_map": "keypoint"}
            assert one.scores == {names[name]: value for name, value in metrics["COCO-val2017"].items()}


def test_scores_stand_in_the_names_of_some_of_mmdetections_files():
    for one in PUBLISHED.values():
        for kind, value in re.findall(r"(bbox|segm)_mAP-(0\.\d+)", one.file_name):
            assert one.scores[{"bbox": "box", "segm": "mask"}[kind]] == pytest.approx(100 * float(value))


def test_a_file_whose_name_does_not_end_with_its_hash_is_no_row(tmp_path):
    table = tmp_path / "table.yaml"
    table.write_text(
        "peer: {source: s, license: l, folder: 'https://a/', hash: sha256, models: {m: {file: m.pth, box: 30}}}"
    )
    with pytest.raises(ValueError, match="m.pth .*sha256"):
        read_table(table)


def test_the_documentation_lists_every_checkpoint_with_its_scores():
    page = Path(__file__).parents[2].joinpath("docs", "models", "README.md").read_text(encoding="utf-8")
    for name, one in PUBLISHED.items():
        names = f"`{name}`, `{one.alias}`" if one.alias else f"`{name}`"
        (row,) = re.findall(rf"^\| {re.escape(names)} \| (.*) \|$", page, flags=re.MULTILINE)
        *scores, trained_on = (cell.strip() for cell in row.split(" |"))
        assert [score for score in scores if score] == [f"{value:.1f}" for value in one.scores.values()]
        assert trained_on == one.trained_on
        assert f"{one.license}. Listed in {one.source}." in page
