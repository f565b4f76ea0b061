# SPDX-License-Identifier: Apache-2.0
"""An HTTP server on this machine that sends a file, or Motion JPEG."""

from __future__ import annotations

import contextlib
import http.server
import io
import threading
import time
from collections.abc import Iterator
from typing import Any

from PIL import Image
from tests.video.clips import smooth


class Server(http.server.ThreadingHTTPServer):
    """Sends ``file``, or Motion JPEG of so many ``frames``; after them it ends, or stays silent.

    Attributes:
        visits: Requests so far.
    """

    daemon_threads = True
    file = b""
    frames = 1 << 30
    visits = 0
    silent = False

    def url(self, path: str) -> str:
        return f"http://somebody:secret@127.0.0.1:{self.server_port}{path}"


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Runs an HTTP server inside the block. On exit, requests that still wait for frames are ended."""
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.silent = False
    server.frames = 0
    server.shutdown()
    server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.visits += 1
        if self.path.startswith("/nothing"):
            self.send_error(404)
            return
        self.send_response(200)
        if self.path.startswith("/file"):
            self.send_header("Content-Length", str(len(self.server.file)))
            self.end_headers()
            self.wfile.write(self.server.file)
            return
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for number in range(self.server.frames):
            stream = io.BytesIO()
            Image.fromarray(smooth(number % 20)).save(stream, "JPEG", quality=95)
            data = stream.getvalue()
            try:
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n")
                self.wfile.write(f"Content-Length: {len(data)}\r\n\r\n".encode() + data + b"\r\n")
            except OSError:
                return
            time.sleep(0.03)
        while self.server.silent:
            time.sleep(0.05)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
