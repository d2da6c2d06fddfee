"""The server's REST interface for scripts, as HTTP."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import urllib.parse
from typing import Any, Mapping, Optional, Union

from . import errors
from .errors import Ran

#: Seconds that connecting, and requests that wait for nothing, may take.
PATIENCE = 30.0


class Door:
    """A server and the token for it."""

    def __init__(self, url: str, token: Optional[str] = None) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"'{parts.scheme}://{parts.hostname or ''}' is no address of a server; it begins with http:// or https://.")
        self._secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        path = parts.path[: -len("index.html")] if parts.path.endswith("/index.html") else parts.path
        self._prefix = path.rstrip("/")
        in_url = urllib.parse.parse_qs(parts.query).get("token", [None])[0]
        #: The token in the address, which opens the page.
        self.page_token = in_url or token
        #: The token for scripts.
        self.token = token or in_url
        #: The page's address, without a token.
        self.page = urllib.parse.urlunsplit((parts.scheme, parts.netloc, self._prefix + "/", "", ""))

    def get(self, path: str) -> Any:
        """Asks for something."""
        return Exchange(self, "GET", path).run()

    def delete(self, path: str) -> Any:
        """Ends something."""
        return Exchange(self, "DELETE", path).run()

    def connect(self, timeout: float) -> Union[http.client.HTTPConnection, http.client.HTTPSConnection]:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)

    def path(self, below: str) -> str:
        return f"{self._prefix}/api/{below}"


class Exchange:
    """One request and its answer, which another thread may abandon."""

    def __init__(
        self,
        door: Door,
        method: str,
        path: str,
        *,
        body: Optional[str] = None,
        headers: Optional[Mapping[str, str]] = None,
        timeout: float = PATIENCE,
    ) -> None:
        self._door, self._method, self._path, self._body = door, method, path, body
        self._headers = {"Accept": "application/json", **(headers or {})}
        if door.token is not None:
            self._headers["Authorization"] = f"Bearer {door.token}"
        if body is not None:
            self._headers["Content-Type"] = "application/json"
        self._timeout = timeout
        self._lock = threading.Lock()
        self._connection: Optional[http.client.HTTPConnection] = None
        self._abandoned = False

    def run(self) -> Any:
        """The answer's JSON object.

        :raises ChartroomError: for any other answer, and if there is none.
        """
        connection = self._door.connect(min(self._timeout, PATIENCE))
        try:
            try:
                connection.connect()
            except (OSError, http.client.HTTPException) as error:
                raise errors.Unreachable(f"{self._door.page} can not be reached: {error}.") from error
            with self._lock:
                if self._abandoned:
                    raise errors.Unreachable("The request was abandoned before it was sent.")
                self._connection = connection
            if connection.sock is not None:
                connection.sock.settimeout(self._timeout)
            try:
                body = None if self._body is None else self._body.encode()
                connection.request(self._method, self._door.path(self._path), body, self._headers)
                answer = connection.getresponse()
                status, text = answer.status, answer.read()
                retry_after = answer.getheader("Retry-After")
            except (OSError, http.client.HTTPException) as error:
                raise self._lost(error) from error
        finally:
            with self._lock:
                self._connection = None
            connection.close()
        return _read(status, text, retry_after)

    def abandon(self) -> None:
        """Hangs up: the server stops waiting, and :meth:`run` fails soon."""
        with self._lock:
            self._abandoned = True
            sock = self._connection.sock if self._connection is not None else None
            if sock is not None:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # The other end was faster.

    def _lost(self, error: Exception) -> errors.ChartroomError:
        how = "did not answer in time" if isinstance(error, socket.timeout) else f"broke the connection ({error})"
        if self._method != "POST":
            return errors.Unreachable(f"{self._door.page} {how}.")
        return errors.UnknownOutcome(
            f"{self._door.page} {how}. It is not known whether the action ran.", ran=Ran.UNKNOWN
        )


def _read(status: int, text: bytes, retry_after: Optional[str]) -> Any:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if status == 200 and isinstance(answer, dict):
        return answer
    fields = answer if isinstance(answer, dict) else {}
    message = fields.get("message")
    if not isinstance(message, str) or not message:
        message = f"The server answered with status {status} and no reason; is it a Chartroom?"
    try:
        ran: Optional[Ran] = Ran(fields.get("ran"))
    except ValueError:
        ran = None
    if status == 200:
        raise errors.ServerFailed("The server answered with no JSON object; is it a Chartroom?", status=200, ran=Ran.UNKNOWN)
    seconds = float(retry_after) if retry_after is not None and retry_after.isdigit() else None
    raise errors.by_status(status, message, ran, seconds)
