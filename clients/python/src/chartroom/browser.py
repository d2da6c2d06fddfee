"""A headless Chromium with the page, for sessions that nobody sits in front of."""

from __future__ import annotations

import html
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections import deque
from pathlib import Path
from typing import Deque, List, Optional, Sequence, Tuple

from .errors import BrowserFailed

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")

_PLACES = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
)

#: WebGL without a graphics card, the console on standard error, and no calls of the browser's own to the outside.
_ARGUMENTS = (
    "--headless=new",
    "--enable-logging=stderr",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--mute-audio",
)

#: What the page writes on its console when its session has begun.
_CONNECTED = re.compile(r"\"Connected with session ID (\d+)\"")

#: Seconds that a browser may take to close its page.
_GOODBYE = 10.0


class Browser:
    """A running browser, with a profile of its own that is removed with it."""

    def __init__(
        self,
        page: str,
        token: Optional[str],
        *,
        program: Optional[str],
        size: Tuple[int, int],
        arguments: Sequence[str],
    ) -> None:
        self._program = find(program)
        self._folder = tempfile.mkdtemp(prefix="chartroom-")
        self._last: Deque[str] = deque(maxlen=12)
        self._session: Optional[int] = None
        self._changed = threading.Condition()
        self._over = False
        query = {"skipTelemetry": "1", **({} if token is None else {"token": token})}
        start = Path(self._folder, "start.html")
        try:
            # Everybody on this machine sees the arguments of a program; a file in this folder is our own.
            start.write_text(_redirection(f"{page}?{urllib.parse.urlencode(query)}"), encoding="utf-8")
            command = [
                self._program,
                *_ARGUMENTS,
                *_without_sandbox(),
                f"--window-size={size[0]},{size[1]}",
                f"--user-data-dir={Path(self._folder, 'profile')}",
                *arguments,
                start.as_uri(),
            ]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                # A group of its own: the browser is many processes, and Ctrl-C is for us to handle.
                start_new_session=True,
            )
        except OSError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise BrowserFailed(f"{self._program} could not be started: {error}.") from error
        self._reader = threading.Thread(target=self._read, name="chartroom-browser", daemon=True)
        self._reader.start()

    def session(self, deadline: float) -> int:
        """The number of the page's session, as soon as it has one.

        :raises BrowserFailed: if it has none at ``deadline``, by the monotonic clock, or the browser ends.
        """
        with self._changed:
            while self._session is None:
                left = deadline - time.monotonic()
                if self._over or left <= 0:
                    how = "ended" if self._over else "has not connected to the server in time"
                    said = "\n".join(self._last)
                    raise BrowserFailed(f"{self._program} {how}. The last that it printed:\n{said}")
                self._changed.wait(left)
            return self._session

    def close(self) -> None:
        """Ends the browser, gently first so that the session ends with the page, and removes its profile."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_GOODBYE)
            except subprocess.TimeoutExpired:
                pass
        self._kill()
        self._process.wait()
        self._reader.join(_GOODBYE)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _kill(self) -> None:
        """Ends whatever is left of it."""
        if sys.platform == "win32":
            self._process.kill()
            return
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # Nothing is left; macOS says so with the second.

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                text = line.decode(errors="replace").rstrip()
                with self._changed:
                    self._last.append(text[:500])
                    connected = _CONNECTED.search(text)
                    if connected and self._session is None:
                        self._session = int(connected[1])
                        self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()


def find(program: Optional[str] = None) -> str:
    """The browser to start.

    :raises BrowserFailed: if there is none.
    """
    wanted = program or os.environ.get("CHARTROOM_CHROMIUM")
    if wanted:
        found = shutil.which(wanted)
        if found is None:
            raise BrowserFailed(f"The browser {wanted} is not there.")
        return found
    candidates: List[Optional[str]] = [shutil.which(name) for name in _NAMES]
    candidates += [place for place in _PLACES if os.path.isfile(place)]
    for candidate in candidates:
        if candidate is not None:
            return candidate
    raise BrowserFailed("No Chromium or Chrome was found on the PATH; install one, or name it in CHARTROOM_CHROMIUM.")


def _without_sandbox() -> List[str]:
    # Chromium does not start otherwise for root.
    root = sys.platform != "win32" and os.geteuid() == 0
    return ["--no-sandbox"] if root else []


def _redirection(url: str) -> str:
    return f'<!doctype html><meta name="referrer" content="no-referrer"><meta http-equiv="refresh" content="0;url={html.escape(url)}">'
