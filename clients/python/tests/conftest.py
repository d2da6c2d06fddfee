"""A running server with the demonstration data, and a little server that answers as it is told."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import pytest

from chartroom import HeadlessSession, Session

TOKEN = "a-token"

#: Seconds that a server or a browser may take to start, also on a busy machine.
PATIENCE = 300.0


@dataclass
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: Dict[str, str]
    body: Any


@dataclass
class Echo:
    """Answers every request as it is told, and remembers them."""

    url: str = ""
    status: int = 200
    answer: bytes = b"{}"
    headers: Dict[str, str] = field(default_factory=dict)
    asked: List[Asked] = field(default_factory=list)
    #: Hang up instead of answering.
    rude: bool = False
    #: Set when an answer may go out.
    leave: threading.Event = field(default_factory=threading.Event)
    #: Set when a request has come.
    came: threading.Event = field(default_factory=threading.Event)

    def says(self, status: int, answer: Any, headers: Optional[Dict[str, str]] = None) -> None:
        self.status, self.answer, self.headers = status, json.dumps(answer).encode(), headers or {}


@pytest.fixture
def echo() -> Iterator[Echo]:
    state = Echo()
    state.leave.set()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            state.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            state.came.set()
            state.leave.wait(60)
            if state.rude:
                self.close_connection = True
                return
            try:
                self.send_response(state.status)
                for name, value in state.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(state.answer)))
                self.end_headers()
                self.wfile.write(state.answer)
            except OSError:
                pass  # The client has hung up.

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        # Whoever comes while so many wait to be accepted is turned away by the system.
        request_queue_size = 128

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/"
    yield state
    state.leave.set()
    server.shutdown()
    thread.join()
    server.server_close()


def given(name: str) -> str:
    """What ``cargo xtask test --python`` hands over."""
    value = os.environ.get(name)
    if not value:
        pytest.skip(f"{name} is not set: run the tests with `cargo xtask test --python`")
    return value


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the demonstration data and the official page."""
    yield from serving(tmp_path_factory.mktemp("state"), "--enable-scripting")


@pytest.fixture(scope="session")
def closed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server without scripting."""
    yield from serving(tmp_path_factory.mktemp("closed"))


def serving(state: Path, *options: str) -> Iterator[str]:
    command = [
        given("CHARTROOM_SERVER"),
        "serve",
        given("CHARTROOM_DATA"),
        *("--frontend", given("CHARTROOM_FRONTEND_6_0_0")),
        *("--port", "0", "--state-dir", str(state), "--no-browser", *options),
    ]
    with open(state / "log", "wb") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, env={**os.environ, "CHARTROOM_AUTH_TOKEN": TOKEN}
        )
    assert process.stdout is not None
    # Nothing is waited for without an end: a server that does not say where it listens is ended, and so is its output.
    impatience = threading.Timer(PATIENCE, process.kill)
    impatience.start()
    try:
        line = process.stdout.readline().decode()
        impatience.cancel()
        assert line.startswith("chartroom listening on "), (line, (state / "log").read_text())
        yield line.split()[-1]
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            # Only a process that hangs is still there.
            process.kill()
            process.wait()
            process.stdout.close()


@pytest.fixture(scope="session")
def page(server: str) -> Iterator[HeadlessSession]:
    """A session in a headless browser, with the demonstration cube."""
    given("CHARTROOM_CHROMIUM")
    with Session.open_headless(server, file="disk.fits", timeout=PATIENCE) as session:
        yield session


#: Fields of a session as the server describes it.
def described(id: int, state: str = "live") -> Dict[str, Any]:
    return {
        "session_id": id,
        "state": state,
        "since": "2026-01-02T03:04:05Z",
        "files_open": 1,
        "last_activity": None,
    }


def png_size(png: bytes) -> Tuple[int, int]:
    """Width and height, from the first chunk (PNG specification, 11.2.2)."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and png[12:16] == b"IHDR"
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
