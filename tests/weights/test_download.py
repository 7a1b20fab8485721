import errno
import hashlib
import os
import threading

import pytest

from maskrcnn.errors import WeightsError
from maskrcnn.weights import download
from maskrcnn.weights.download import Checksum, check_file, fetch, hash_file
from tests.builders.web_server import Site, serve

CONTENT = bytes(range(256)) * 40
SHA = hashlib.sha256(CONTENT).hexdigest()
RIGHT = Checksum("sha256", SHA[:8])


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """No waiting between attempts, small steps, and the machine's proxies switched off."""
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(download, "CHUNK", 1000)
    monkeypatch.setenv("no_proxy", "*")


def fetched(site, path, checksum=RIGHT):
    with serve(site):
        fetch("peer", f"{site.address}/peer.pth", path, checksum)
    return path.read_bytes()


def refused(site, path, checksum=RIGHT):
    with serve(site), pytest.raises(WeightsError) as caught:
        fetch("peer", f"{site.address}/peer.pth", path, checksum)
    return str(caught.value)


def test_a_file_gets_its_name_when_it_is_whole(tmp_path):
    assert fetched(Site(CONTENT), tmp_path / "new" / "peer.pth") == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["peer.pth"]


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_hashes_of_both_kinds_are_compared(tmp_path, kind):
    checksum = Checksum(kind, hashlib.new(kind, CONTENT).hexdigest()[:6])
    assert fetched(Site(CONTENT), tmp_path / "peer.pkl", checksum) == CONTENT


def test_after_a_cut_it_goes_on_where_it_was(tmp_path):
    site = Site(CONTENT, cuts=[3000, 2000])
    assert fetched(site, tmp_path / "peer.pth") == CONTENT
    assert site.asked == [None, "bytes=3000-", "bytes=5000-"]


def test_what_an_earlier_run_has_left_is_used(tmp_path):
    site = Site(CONTENT, cuts=[4000, 0, 0, 0])
    assert "4000 of 10240 bytes" in refused(site, tmp_path / "peer.pth")
    assert (tmp_path / "peer.pth.part").read_bytes() == CONTENT[:4000]
    assert not (tmp_path / "peer.pth").exists()
    again = Site(CONTENT)
    assert fetched(again, tmp_path / "peer.pth") == CONTENT
    assert again.asked == ["bytes=4000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["peer.pth"]


@pytest.mark.parametrize(
    ("how", "asked"), [({"ranges": False}, "bytes=3000-"), ({"tag": None}, None), ({"tag": 'W/"weak"'}, None)]
)
def test_where_one_cannot_go_on_it_begins_anew(tmp_path, how, asked):
    """A server without ranges, or versions that cannot be distinguished byte by byte."""
    site = Site(CONTENT, cuts=[3000], **how)
    assert fetched(site, tmp_path / "peer.pth") == CONTENT
    assert site.asked == [None, asked]


def test_parts_of_two_versions_are_never_joined(tmp_path):
    refused(Site(b"old" * 3000, cuts=[4000, 0, 0, 0]), tmp_path / "peer.pth")
    assert fetched(Site(CONTENT), tmp_path / "peer.pth") == CONTENT


def test_a_part_that_is_longer_than_the_file_is_given_up(tmp_path):
    site = Site(CONTENT)
    (tmp_path / "peer.pth.part").write_bytes(CONTENT + b"more")
    (tmp_path / "peer.pth.part.version").write_text(site.validator)
    assert fetched(site, tmp_path / "peer.pth") == CONTENT
    assert site.asked == [f"bytes={len(CONTENT) + 4}-", None]


def test_a_server_that_is_busy_is_asked_again(tmp_path):
    site = Site(CONTENT, statuses=[503, 429])
    assert fetched(site, tmp_path / "peer.pth") == CONTENT
    assert len(site.asked) == 3


def test_attempts_without_progress_come_to_an_end(tmp_path):
    site = Site(CONTENT, statuses=[503] * 9)
    assert "503" in refused(site, tmp_path / "peer.pth")
    assert len(site.asked) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_gone_is_asked_for_once(tmp_path):
    site = Site(CONTENT, statuses=[404])
    path = tmp_path / "peer.pth"
    message = refused(site, path)
    assert message.startswith(f"peer: {site.address}/peer.pth ")
    assert "404" in message
    assert str(path) in message  # where to put the file by hand
    assert len(site.asked) == 1
    assert list(tmp_path.iterdir()) == []


def test_where_nobody_answers_one_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PAUSES", (60.0,))
    with pytest.raises(WeightsError, match=r"127.0.0.1:9/peer.pth .*refused"):
        fetch("peer", "http://127.0.0.1:9/peer.pth", tmp_path / "peer.pth", RIGHT)
    assert list(tmp_path.iterdir()) == []


def test_another_file_is_refused_and_not_kept(tmp_path):
    message = refused(Site(b"a login page"), tmp_path / "peer.pth")
    found = hashlib.sha256(b"a login page").hexdigest()[:8]
    assert all(part in message for part in ("SHA256", found, SHA[:8]))
    assert list(tmp_path.iterdir()) == []


def test_without_a_published_hash_the_first_one_is_kept_and_compared(tmp_path):
    path = tmp_path / "peer.pth"
    fetched(Site(CONTENT), path, None)
    assert (tmp_path / "peer.pth.sha256").read_text() == f"{SHA}  peer.pth\n"
    check_file("peer", path, None)
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match=rf"{path} .*{SHA}"):
        check_file("peer", path, None)


def test_a_file_without_any_known_hash_is_taken_as_it_is(tmp_path):
    (tmp_path / "peer.pth").write_bytes(b"from a friend")
    check_file("peer", tmp_path / "peer.pth", None)


def test_a_cut_off_file_put_there_by_hand_is_named(tmp_path):
    path = tmp_path / "peer.pth"
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match=rf"peer: {path} .*SHA256"):
        check_file("peer", path, RIGHT)


class FullDisk:
    """A file on which 2500 bytes have room."""

    def __init__(self, file):
        self.file, self.free = file, 2500

    def write(self, chunk):
        self.free -= len(chunk)
        if self.free < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(chunk)

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_a_full_disk_leaves_no_half_file_and_what_came_is_kept(tmp_path, monkeypatch):
    receive = download._receive
    monkeypatch.setattr(download, "_receive", lambda answer, part, bar: receive(answer, FullDisk(part), bar))
    path = tmp_path / "peer.pth"
    message = refused(Site(CONTENT), path)
    assert message.startswith(f"peer: {path} ")
    assert "No space left on device" in message
    assert not path.exists()
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "*")
    again = Site(CONTENT)
    assert fetched(again, path) == CONTENT
    assert again.asked == ["bytes=2000-"]


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "cache").write_text("")
    path = tmp_path / "cache" / "peer.pth"
    assert refused(Site(CONTENT), path).startswith(f"peer: {path} ")


def test_several_that_want_the_same_file_fetch_it_once(tmp_path):
    path, failures = tmp_path / "peer.pth", []
    with serve(Site(CONTENT)) as site:

        def fetch_one():
            try:
                fetch("peer", f"{site.address}/peer.pth", path, RIGHT)
            except WeightsError as error:
                failures.append(error)

        threads = [threading.Thread(target=fetch_one) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert path.read_bytes() == CONTENT
    assert len(site.asked) == (1 if os.name == "posix" else 4)
    assert [one.name for one in tmp_path.iterdir()] == ["peer.pth"]


def test_the_hash_is_that_of_the_whole_file(tmp_path):
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert hash_file(path, "md5") == "900150983cd24fb0d6963f7d28e17f72"  # RFC 1321, A.5
