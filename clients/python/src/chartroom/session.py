"""Sessions, and what can be done with them."""

from __future__ import annotations

import asyncio
import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, List, Mapping, Optional, Sequence, Tuple, Type

from . import errors
from .browser import Browser
from .door import PATIENCE, Door, Exchange
from .errors import Ran
from .values import to_json

#: Seconds that the answer to a call is waited for if nothing else is said.
DEFAULT_TIMEOUT = 600.0

#: Seconds after the server's time limit until the server itself is given up.
_GRACE = 15.0


@dataclass(frozen=True)
class SessionInfo:
    """A session, as it was when the server was asked."""

    #: Its number, which the page shows as well.
    id: int
    #: ``live`` with a page, ``parked`` or ``stored`` without; other words are possible.
    state: str
    #: Since when it has a page, or has none.
    since: Optional[datetime]
    #: How many files are open.
    files_open: Optional[int]
    #: When its page last asked for something.
    last_activity: Optional[datetime]

    @classmethod
    def _read(cls, fields: Mapping[str, Any]) -> SessionInfo:
        try:
            return cls(
                id=int(fields["session_id"]),
                state=str(fields["state"]),
                since=_time(fields.get("since")),
                files_open=fields.get("files_open"),
                last_activity=_time(fields.get("last_activity")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise errors.ServerFailed(f"The server described a session in a way that is not understood: {error!r}.") from error


def _time(text: Optional[str]) -> Optional[datetime]:
    # Python before 3.11 does not know the letter.
    return None if text is None else datetime.fromisoformat(text.replace("Z", "+00:00"))


class Session:
    """A session whose page carries out actions.

    It can be used from several threads at once; calls run side by side.
    """

    def __init__(self, door: Door, info: SessionInfo) -> None:
        """Use :meth:`list`, :meth:`open` or :meth:`open_headless`."""
        self._door = door
        self._info = info

    @staticmethod
    def list(url: str, token: Optional[str] = None) -> List[Session]:
        """Your sessions at the server at ``url``.

        ``url`` may be the address that the server printed, with ``?token=…``; ``token`` is preferred to that.

        :raises ChartroomError: if the server can not be asked.
        """
        door = Door(url, token)
        answer = door.get("sessions")
        return [Session(door, SessionInfo._read(fields)) for fields in answer.get("sessions", [])]

    @staticmethod
    def open(url: str, token: Optional[str] = None, id: Optional[int] = None) -> Session:
        """The session with a number, or the only one that has a page.

        :raises NoSuchSession: if there is no such session, or no number is given and not exactly one has a page.
        """
        if id is not None:
            door = Door(url, token)
            return Session(door, SessionInfo._read(door.get(f"sessions/{int(id)}").get("session", {})))
        live = [session for session in Session.list(url, token) if session.info.state == "live"]
        if len(live) == 1:
            return live[0]
        if not live:
            raise errors.NoSuchSession("No page is open at this server; open one in a browser, or a headless one.")
        ids = ", ".join(str(session.id) for session in live)
        raise errors.NoSuchSession(f"Several pages are open at this server; choose one by its number: {ids}.")

    @staticmethod
    def open_headless(
        url: str,
        token: Optional[str] = None,
        *,
        file: Optional[str] = None,
        browser: Optional[str] = None,
        size: Tuple[int, int] = (1280, 1024),
        timeout: float = 60.0,
        arguments: Sequence[str] = (),
    ) -> HeadlessSession:
        """A new session in a headless Chromium, which ends with the session: use it in a ``with`` statement.

        :param url: the page's address. A token in it opens the page, ``token`` the door for scripts; one stands for both.
        :param file: an image to open, as a path below the server's top-level folder.
        :param browser: the Chromium or Chrome; by default that in ``CHARTROOM_CHROMIUM``, or one on the ``PATH``.
        :param size: width and height of the window, in pixels.
        :param timeout: seconds until the page must be ready.
        :param arguments: more arguments for the browser.
        :raises BrowserFailed: if no browser can be started, or its page does not connect in time.
        """
        deadline = time.monotonic() + timeout
        door = Door(url, token)
        # Better known before a browser is started: a wrong token, a server that is not there.
        door.get("sessions")
        chromium = Browser(door.page, door.page_token, program=browser, size=size, arguments=arguments)
        try:
            number = chromium.session(deadline)
        except BaseException:
            chromium.close()
            raise
        session = HeadlessSession(door, SessionInfo(number, "live", None, None, None), chromium)
        try:
            session.refresh()
            session._until_ready(deadline)
            if file is not None:
                folder, _, name = file.rpartition("/")
                session.call("", "openFile", folder, name, "", return_path="frameInfo.fileId")
            return session
        except BaseException:
            session._abandon()
            raise

    @property
    def id(self) -> int:
        """The session's number."""
        return self._info.id

    @property
    def info(self) -> SessionInfo:
        """The session, as it was when the server was last asked."""
        return self._info

    def refresh(self) -> SessionInfo:
        """Asks the server what the session is doing.

        :raises NoSuchSession: if it has ended.
        """
        self._info = SessionInfo._read(self._door.get(f"sessions/{self.id}").get("session", {}))
        return self._info

    def call(
        self,
        path: str,
        action: str,
        *parameters: object,
        return_path: str = "",
        timeout: float = DEFAULT_TIMEOUT,
        idempotency_key: Optional[str] = None,
        wait_for_result: bool = True,
        wait_for_page: bool = True,
    ) -> Any:
        """Has the page carry out an action, and gives its result.

        :param path: the dotted path of an object, from the application, with ``name[index]`` for elements of arrays
            and maps; empty for the application itself.
        :param action: the name of one of its methods.
        :param parameters: the arguments: whatever JSON can say, and :class:`Macro`.
        :param return_path: the dotted path of what is wanted of the result; empty for all of it.
        :param timeout: seconds that the page may take, a page that is to come back included.
        :param idempotency_key: a text of your choice. A call with a key that came before is not carried out again,
            but gets the first one's answer.
        :param wait_for_result: whether the end of the action is waited for; without, the result is ``None``.
        :param wait_for_page: whether a page that is not connected at the moment is waited for.
        :returns: the result as the page writes it in JSON; ``None`` also if there is none.
        :raises ActionFailed: if the page answers that it failed.
        :raises ChartroomError: if the page does not answer; its subclasses say why.
        """
        exchange = self._exchange(
            path, action, parameters, return_path, timeout, idempotency_key, wait_for_result, wait_for_page
        )
        return _result(exchange.run(), wait_for_result)

    async def call_async(
        self,
        path: str,
        action: str,
        *parameters: object,
        return_path: str = "",
        timeout: float = DEFAULT_TIMEOUT,
        idempotency_key: Optional[str] = None,
        wait_for_result: bool = True,
        wait_for_page: bool = True,
    ) -> Any:
        """As :meth:`call`, for ``await``. Cancelling it hangs up; what the page has begun, it finishes."""
        exchange = self._exchange(
            path, action, parameters, return_path, timeout, idempotency_key, wait_for_result, wait_for_page
        )
        loop = asyncio.get_running_loop()
        try:
            return _result(await loop.run_in_executor(_threads(), exchange.run), wait_for_result)
        except asyncio.CancelledError:
            exchange.abandon()
            raise

    def _exchange(
        self,
        path: str,
        action: str,
        parameters: Tuple[object, ...],
        return_path: str,
        timeout: float,
        idempotency_key: Optional[str],
        wait_for_result: bool,
        wait_for_page: bool,
    ) -> Exchange:
        body = {
            "session_id": self.id,
            "path": path,
            "action": action,
            "parameters": parameters,
            "async": not wait_for_result,
            "return_path": return_path,
            "timeout_ms": max(1, round(timeout * 1000)),
        }
        return Exchange(
            self._door,
            "POST",
            "scripting/action" if wait_for_page else "scripting/action?wait=0",
            body=to_json(body),
            headers={} if idempotency_key is None else {"Idempotency-Key": idempotency_key},
            timeout=timeout + _GRACE,
        )

    def __repr__(self) -> str:
        return f"<Session {self.id}, {self._info.state}, at {self._door.page}>"


class HeadlessSession(Session):
    """A session in a browser of its own."""

    def __init__(self, door: Door, info: SessionInfo, browser: Browser) -> None:
        """Use :meth:`Session.open_headless`."""
        super().__init__(door, info)
        self._browser = browser

    def close(self) -> None:
        """Closes the page and ends the session. Closing twice is no error."""
        # First the browser, which would come back to a session that is ended. On its way out it says goodbye for its
        # page, or does not come to it: then the session would be kept for a page that never comes back.
        self._browser.close()
        try:
            self._door.delete(f"sessions/{self.id}")
        except errors.NoSuchSession:
            pass

    def _abandon(self) -> None:
        """As :meth:`close`, while another error is on its way to the caller."""
        try:
            self.close()
        except errors.ChartroomError:
            pass

    def __enter__(self) -> HeadlessSession:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if error is None:
            self.close()
        else:
            self._abandon()

    def _until_ready(self, deadline: float) -> None:
        """Waits until the page has laid out its parts: before, it has nothing to draw images on."""
        while time.monotonic() < deadline:
            left = max(deadline - time.monotonic(), 0.1)
            try:
                # The empty text until there is a layout.
                if self.call("layoutStore.currentLayoutName", "toString", timeout=left):
                    return
            except (errors.ActionFailed, errors.TimedOut):
                pass
            time.sleep(0.1)
        raise errors.BrowserFailed("The page was not ready in time.")


def _result(answer: Mapping[str, Any], wanted: bool) -> Any:
    if answer.get("success") is not True:
        message = answer.get("message")
        raise errors.ActionFailed(message or "The action failed; the page did not say why.", status=200, ran=Ran.UNKNOWN)
    return answer.get("response") if wanted else None


_lock = threading.Lock()


@functools.lru_cache(maxsize=None)
def _executor() -> ThreadPoolExecutor:
    # asyncio's own has so few threads that calls would wait for each other, not for the page.
    return ThreadPoolExecutor(max_workers=256, thread_name_prefix="chartroom")


def _threads() -> ThreadPoolExecutor:
    with _lock:
        return _executor()
