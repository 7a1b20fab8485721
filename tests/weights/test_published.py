import hashlib
import threading
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler

import pytest
import torch

from maskrcnn.errors import WeightsError
from maskrcnn.weights import published
from maskrcnn.weights.published import PUBLISHED, Published, download

CONTENT = b"weights of a peer"
NAME = f"peer-{hashlib.sha256(CONTENT).hexdigest()[:8]}.pth"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def served(tmp_path):
    """A folder that is on the web, of this machine."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = HTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """torch's cache, moved, and the proxies of the machine switched off."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache" / "checkpoints"


def publish(monkeypatch, address: str) -> None:
    monkeypatch.setattr(published, "PUBLISHED", {"peer": Published(address, "a test")})


def test_a_file_is_fetched_once(served, cache, monkeypatch):
    folder, address = served
    (folder / NAME).write_bytes(CONTENT)
    publish(monkeypatch, f"{address}/{NAME}")
    path = download("peer")
    assert path == cache / NAME
    assert path.read_bytes() == CONTENT
    (folder / NAME).unlink()
    assert download("peer") == path


def test_a_file_put_there_by_hand_is_used(cache, monkeypatch):
    publish(monkeypatch, f"http://127.0.0.1:9/{NAME}")
    cache.mkdir(parents=True)
    (cache / NAME).write_bytes(CONTENT)
    assert download("peer") == cache / NAME


def test_another_content_is_refused_and_not_kept(served, cache, monkeypatch):
    folder, address = served
    (folder / NAME).write_bytes(b"something else")
    publish(monkeypatch, f"{address}/{NAME}")
    with pytest.raises(WeightsError, match=rf"peer: what came from {address}/{NAME} is not the published file"):
        download("peer")
    assert list(cache.iterdir()) == []


def test_without_a_network_the_message_says_where_to_put_the_file(cache, monkeypatch):
    publish(monkeypatch, f"http://127.0.0.1:9/{NAME}")
    with pytest.raises(WeightsError, match=rf"peer: http.* cannot be fetched \(.*put the file at {cache / NAME}"):
        download("peer")
    assert list(cache.iterdir()) == []


def test_an_address_that_is_gone_is_named(served, cache, monkeypatch):
    publish(monkeypatch, f"{served[1]}/{NAME}")
    with pytest.raises(WeightsError, match="cannot be fetched .*404"):
        download("peer")


def test_every_published_file_has_its_hash_in_its_name():
    for one in PUBLISHED.values():
        assert len(one.address.rsplit("-", 1)[-1].removesuffix(".pth")) == 8
