import json

import pytest

from maskrcnn.profiling import contenders, works
from tests.builders.works import PREDICTION

NEEDED = {"work", "setting", "seconds", "peer", "peer_seconds", "ratio"}


def test_the_file_has_the_rows_of_the_table(run_cli, tmp_path, monkeypatch):
    monkeypatch.setitem(works.WORKS, "prediction", PREDICTION)
    monkeypatch.setattr(contenders, "find_spec", lambda name: None)
    path = tmp_path / "new" / "speed.json"
    done = run_cli("profile", "--work", "prediction", "--rounds", 1, "--threads", 1, "--json", path)
    assert done.code == 0, done.err
    report = json.loads(path.read_text())
    assert report["machine"]["threads"] == 1
    assert {(row["setting"], row["peer"]) for row in report["rows"]} == {
        *((setting, peer) for setting in ("float32", "default") for peer in PEERS),
        ("default", "matrix products"),
    }
    for row in report["rows"]:
        assert row.keys() >= NEEDED
        assert f"{row['ratio']:.2f}" in done.out
    assert "prediction: small" in done.err
    assert "openvino is left out, because it is not installed" in done.err
    assert report["machine"]["openvino"] is None


PEERS = ("torchvision", "torchvision, tuned allocator")


@pytest.mark.parametrize(
    ("words", "message"),
    [(("--quick", "--all"), "(--quick)"), (("--work", "predict"), "prediction"), (("--json", "."), ".: ")],
)
def test_a_wrong_choice_is_refused_before_anything_is_timed(run_cli, words, message):
    done = run_cli("profile", *words)
    assert done.code == 1
    assert message in done.err
