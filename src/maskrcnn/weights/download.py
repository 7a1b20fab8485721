"""Files from the web: fetched once, continued where a connection broke, and checked before they get their name."""

from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from ..errors import WeightsError

CHUNK = 1 << 20
PATIENCE = 30.0
"""Seconds without a byte after which a connection counts as broken."""
PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds before each further attempt that gets no byte more than the one before."""
PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers of a server after which one may ask again."""
RECORD = ".sha256"


class Checksum(NamedTuple):
    """What a file's hash has to begin with; `start` is in hexadecimal digits."""

    kind: str
    start: str


class BrokenError(Exception):
    """The connection ended before the file did; another attempt may help."""


def fetch(name: str, address: str, path: Path, checksum: Checksum | None) -> None:
    """Bring the file at an address to `path`, which it gets only when it is whole and right.

    What has arrived lies in `<path>.part`, also after an error, and the next call goes on from there if the server can
    do that and still has the same file. Processes that want the same file wait for each other. Without a checksum, the
    file's SHA-256 is written beside it.

    Args:
        name: What the file is called in messages.
        address: http or https.
        path: Its folder is made.
        checksum: None: the publisher gives none.

    Raises:
        WeightsError: It cannot be fetched or written, or is another file.
    """
    remedy = f"Without a network, put the file at {path}, or into the folder that MASKRCNN_WEIGHTS names."
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _part_file(path) as part:
            if path.is_file():
                return  # another process was faster
            _fetch_in_attempts(name, address, part)
            part.flush()
            os.fsync(part.fileno())
            _give_name(name, address, path, checksum)
    except (HTTPException, URLError, BrokenError) as error:
        raise WeightsError(f"{name}: {address} cannot be fetched ({_reason(error)}). {remedy}") from error
    except OSError as error:
        advice = "Free some space and try again" if error.errno == errno.ENOSPC else "See that it can be written"
        raise WeightsError(f"{name}: {path} cannot be written ({error.strerror or error}). {advice}.") from error


def check_file(name: str, path: Path, checksum: Checksum | None) -> None:
    """Compare a file that is already there with its checksum, or with the hash recorded when it was fetched.

    Raises:
        WeightsError: It is another file, or cut off.
    """
    record = path.with_name(path.name + RECORD)
    if checksum is None and record.is_file():
        checksum = Checksum("sha256", record.read_text(encoding="utf-8").split()[0])
    if checksum is not None and not (found := hash_file(path, checksum.kind)).startswith(checksum.start):
        raise WeightsError(
            f"{name}: {path} is not the published file: its {checksum.kind.upper()} begins with "
            f"{found[: len(checksum.start)]}, not with {checksum.start}. Delete it, and it is fetched again; to use it "
            "all the same, give its path instead of the name."
        )


def hash_file(path: Path, kind: str) -> str:
    """Hexadecimal digits of a file's hash; `kind` is sha256 or md5."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


@contextmanager
def _part_file(path: Path) -> Iterator[BinaryIO]:
    """`<path>.part`, open for this process alone where the system can do that; it stays unless it is empty."""
    place = path.with_name(f"{path.name}.part")
    while True:
        with place.open("a+b") as part:
            _wait_for_turn(part)
            try:
                if not os.path.samestat(os.fstat(part.fileno()), place.stat()):
                    continue
            except FileNotFoundError:  # the process that was waited for has renamed or deleted it
                continue
            try:
                yield part
            finally:
                with suppress(OSError):
                    part.flush()
                if place.exists() and not place.stat().st_size:
                    place.unlink()
            return


def _wait_for_turn(file: BinaryIO) -> None:
    if os.name == "posix":
        import fcntl

        with suppress(OSError):  # some network folders have no locks
            fcntl.flock(file, fcntl.LOCK_EX)


def _fetch_in_attempts(name: str, address: str, part: BinaryIO) -> None:
    """Fill a file, and go on after broken connections as long as there is progress or patience."""
    failures, answered = 0, False
    with _progress(name) as bar:
        while True:
            before = part.seek(0, os.SEEK_END)
            try:
                with _ask(address, part) as answer:
                    answered = True
                    _receive(answer, part, bar)
                return
            except (URLError, HTTPException, BrokenError) as error:
                failures = 0 if part.seek(0, os.SEEK_END) > before else failures + 1
                if not _is_passing(error, answered=answered) or failures > len(PAUSES):
                    raise
            time.sleep(PAUSES[max(failures - 1, 0)])


def _is_passing(error: Exception, *, answered: bool) -> bool:
    """Whether another attempt may help; without any connection at all, that is an error at once."""
    if isinstance(error, HTTPError):
        return error.code in PASSING
    return answered or not isinstance(error, URLError)


def _ask(address: str, part: BinaryIO) -> HTTPResponse:
    """Ask for what is missing of a file; for all of it if one cannot be sure that it is still the same."""
    request = Request(address, headers={"User-Agent": "maskrcnn"})
    size, validator = part.seek(0, os.SEEK_END), _validator_file(part)
    if size and validator.is_file():
        request.add_header("Range", f"bytes={size}-")
        request.add_header("If-Range", validator.read_text(encoding="utf-8"))
    try:
        answer: HTTPResponse = urlopen(request, timeout=PATIENCE)
    except HTTPError as error:
        if error.code != 416:
            raise
        validator.unlink(missing_ok=True)  # nothing is missing, or the file has become shorter
        return _ask(address, part)
    except URLError:
        raise
    except OSError as error:
        raise BrokenError(_reason(error)) from error
    if answer.status != 206 or not answer.headers.get("Content-Range", "").startswith(f"bytes {size}-"):
        part.truncate(0)
    return answer


def _receive(answer: HTTPResponse, part: BinaryIO, bar: Progress) -> None:
    """Append the body of an answer to a file.

    Raises:
        BrokenError: It is shorter than the server said.
        OSError: The file cannot be written.
    """
    _remember_validator(answer, part)
    size = part.seek(0, os.SEEK_END)
    length = answer.headers.get("Content-Length")
    total = size + int(length) if length else None
    bar.update(bar.task_ids[0], completed=size, total=total)
    while True:
        try:
            chunk = answer.read(CHUNK)
        except (OSError, HTTPException) as error:
            raise BrokenError(_reason(error)) from error
        if not chunk:
            break
        part.write(chunk)
        size += len(chunk)
        bar.update(bar.task_ids[0], completed=size)
    part.flush()
    if total is not None and size < total:
        raise BrokenError(f"the connection ended after {size} of {total} bytes")


def _remember_validator(answer: HTTPResponse, part: BinaryIO) -> None:
    """Keep by which the server distinguishes versions of the file; a weak ETag does not distinguish bytes."""
    tag = answer.headers.get("ETag", "")
    validator = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified")
    if validator:
        _validator_file(part).write_text(validator, encoding="utf-8")
    else:
        _validator_file(part).unlink(missing_ok=True)


def _validator_file(part: BinaryIO) -> Path:
    return Path(f"{part.name}.version")


def _give_name(name: str, address: str, path: Path, checksum: Checksum | None) -> None:
    part = path.with_name(f"{path.name}.part")
    found = hash_file(part, checksum.kind if checksum else "sha256")
    Path(f"{part}.version").unlink(missing_ok=True)
    if checksum and not found.startswith(checksum.start):
        part.unlink()
        raise WeightsError(
            f"{name}: what came from {address} is not the published file: its {checksum.kind.upper()} begins with "
            f"{found[: len(checksum.start)]}, not with {checksum.start}. Try again, perhaps from another network."
        )
    if checksum is None:
        path.with_name(path.name + RECORD).write_text(f"{found}  {path.name}\n", encoding="utf-8")
    os.replace(part, path)


@contextmanager
def _progress(name: str) -> Iterator[Progress]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    times = (TransferSpeedColumn(), TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *times, console=console, transient=True, disable=not console.is_terminal) as bar:
        bar.add_task(f"Fetching {name}", total=None)
        yield bar


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"the server says {error.code} {error.reason}"
    return str(getattr(error, "reason", error)) or type(error).__name__
