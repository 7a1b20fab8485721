"""A web server of this machine that can do, or fail at, what servers of the world do."""

import hashlib
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Site:
    """What is served, how, and what was asked for.

    Args:
        content: Of every path.
        ranges: Whether a part of it can be asked for.
        cuts: After so many bytes of the backbone the connection ends, once per entry.
        statuses: Answers of error given first, once per entry.
        tag: The ETag; "content": follows from the content; None: none is given.
    """

    def __init__(self, content, *, ranges=True, cuts=(), statuses=(), tag="content"):
        self.content, self.ranges, self.cuts, self.statuses, self.tag = content, ranges, list(cuts), list(statuses), tag
        self.asked = []
        self.address = ""

    @property
    def validator(self):
        return f'"{hashlib.md5(self.content).hexdigest()}"' if self.tag == "content" else self.tag

    def start_of(self, headers):
        """First byte that is to be sent, by the headers Range and If-Range."""
        asked = re.fullmatch(r"bytes=(\d+)-", headers.get("Range", ""))
        if not asked or not self.ranges or headers.get("If-Range", self.validator) != self.validator:
            return None
        return int(asked[1])


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        site = self.server.site
        site.asked.append(self.headers.get("Range"))
        if site.statuses:
            self.send_error(site.statuses.pop(0))
            return
        start = site.start_of(self.headers)
        if start is not None and start >= len(site.content):
            self.send_error(416)
            return
        backbone = site.content[start or 0 :]
        self.send_response(200 if start is None else 206)
        self.send_header("Content-Length", str(len(backbone)))
        if start is not None:
            self.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
        if site.validator:
            self.send_header("ETag", site.validator)
        self.end_headers()
        self.wfile.write(backbone[: site.cuts.pop(0)] if site.cuts else backbone)

    def log_message(self, *_):
        pass


@contextmanager
def serve(site):
    """Serve a site while the block runs; its `address` says where."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.site = site
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
