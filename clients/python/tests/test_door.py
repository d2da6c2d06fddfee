"""What the package makes of each answer that a server may give."""

from __future__ import annotations

import asyncio
import socket
from datetime import datetime, timezone
from typing import Any, Dict, Optional, Type

import pytest

import chartroom
from chartroom import ChartroomError, Ran, Session, UnknownOutcome

from conftest import Echo, described


def session(echo: Echo, token: Optional[str] = "t") -> Session:
    echo.says(200, {"success": True, "session": described(7)})
    opened = Session.open(echo.url, token, 7)
    echo.asked.clear()
    return opened


def test_sessions_are_listed_with_what_is_known_of_them(echo: Echo) -> None:
    echo.says(200, {"success": True, "sessions": [described(7), described(8, "parked")]})
    first, second = Session.list(echo.url, "t")
    assert first.id == 7 and second.info.state == "parked"
    assert first.info.since == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert first.info.files_open == 1 and first.info.last_activity is None
    assert echo.asked[0].path == "/api/sessions"
    assert echo.asked[0].headers["Authorization"] == "Bearer t"


def test_the_only_page_needs_no_number(echo: Echo) -> None:
    echo.says(200, {"sessions": [described(7, "parked"), described(8)]})
    assert Session.open(echo.url).id == 8
    for pages in ([], [described(8), described(9)]):
        echo.says(200, {"sessions": pages})
        with pytest.raises(chartroom.NoSuchSession):
            Session.open(echo.url)


def test_the_address_may_hold_the_token_and_a_prefix(echo: Echo) -> None:
    echo.says(200, {"sessions": []})
    Session.list(f"{echo.url}a/index.html?token=x%2By")
    Session.list(f"{echo.url}?token=page", "script")
    assert [(asked.path, asked.headers["Authorization"]) for asked in echo.asked] == [
        ("/a/api/sessions", "Bearer x+y"),
        ("/api/sessions", "Bearer script"),
    ]
    for wrong in ("", "localhost:3002", "ftp://h/"):
        with pytest.raises(ValueError):
            Session.list(wrong)


def test_a_call_says_all_that_the_server_asks_for(echo: Echo) -> None:
    opened = session(echo)
    echo.says(200, {"success": True, "response": {"x": 1}})
    result = opened.call("a.b", "act", 1, "two", return_path="c", timeout=2.5, idempotency_key="k")
    assert result == {"x": 1}
    (asked,) = echo.asked
    assert (asked.method, asked.path, asked.headers["Idempotency-Key"]) == ("POST", "/api/scripting/action", "k")
    assert asked.body == {
        "session_id": 7,
        "path": "a.b",
        "action": "act",
        "parameters": [1, "two"],
        "async": False,
        "return_path": "c",
        "timeout_ms": 2500,
    }


def test_waiting_is_as_it_is_asked_for(echo: Echo) -> None:
    opened = session(echo)
    echo.says(200, {"success": True, "response": {}})
    assert opened.call("", "act", wait_for_result=False, wait_for_page=False) is None
    assert echo.asked[0].body["async"] is True
    assert echo.asked[0].path == "/api/scripting/action?wait=0"


def test_no_result_is_none(echo: Echo) -> None:
    opened = session(echo)
    echo.says(200, {"success": True})
    assert opened.call("", "act") is None


def test_a_failed_action_tells_what_the_page_said(echo: Echo) -> None:
    opened = session(echo)
    echo.says(200, {"success": False, "message": "Error: Missing target object: x"})
    with pytest.raises(chartroom.ActionFailed, match="Missing target object: x"):
        opened.call("x", "act")


@pytest.mark.parametrize(
    ("status", "ran", "kind", "unknown"),
    [
        (400, None, chartroom.InvalidRequest, False),
        (401, None, chartroom.AccessDenied, False),
        (403, None, chartroom.AccessDenied, False),
        (404, "no", chartroom.NoSuchSession, False),
        (404, "unknown", chartroom.SessionEnded, True),
        (409, "yes", chartroom.InvalidRequest, False),
        (413, None, chartroom.InvalidRequest, False),
        (422, "no", chartroom.InvalidRequest, False),
        (429, "no", chartroom.Busy, False),
        (500, None, chartroom.ServerFailed, False),
        (501, None, chartroom.ScriptingDisabled, False),
        (503, "no", chartroom.Unavailable, False),
        (503, "unknown", chartroom.UnknownOutcome, True),
        (504, "no", chartroom.TimedOut, False),
        (504, "unknown", chartroom.TimedOutUnknown, True),
        (504, None, chartroom.TimedOutUnknown, True),
    ],
)
def test_each_status_is_an_error_of_its_own(
    echo: Echo, status: int, ran: Optional[str], kind: Type[ChartroomError], unknown: bool
) -> None:
    opened = session(echo)
    answer: Dict[str, Any] = {"success": False, "message": "A sentence."}
    if ran is not None:
        answer["ran"] = ran
    echo.says(status, answer, {"Retry-After": "5"})
    with pytest.raises(ChartroomError, match=r"^A sentence\.$") as caught:
        opened.call("", "act")
    error = caught.value
    assert type(error) is kind and isinstance(error, UnknownOutcome) == unknown
    assert error.status == status and error.retry_after == 5
    if ran is not None:
        assert error.ran is Ran(ran)


def test_a_connection_that_breaks_leaves_the_outcome_unknown(echo: Echo) -> None:
    opened = session(echo)
    echo.rude = True
    with pytest.raises(UnknownOutcome) as caught:
        opened.call("", "act")
    assert caught.value.ran is Ran.UNKNOWN
    with pytest.raises(chartroom.Unreachable):
        opened.refresh()


def test_a_server_that_is_not_there_is_unreachable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(chartroom.Unreachable, match="can not be reached"):
            Session.list(f"http://127.0.0.1:{taken.getsockname()[1]}/")


def test_something_else_than_a_chartroom_is_told(echo: Echo) -> None:
    echo.answer = b"<html>"
    with pytest.raises(chartroom.ServerFailed, match="is it a Chartroom"):
        Session.list(echo.url)
    echo.says(200, {"sessions": [{"id": 1}]})
    with pytest.raises(chartroom.ServerFailed, match="described a session"):
        Session.list(echo.url)


def test_calls_can_be_awaited_together(echo: Echo) -> None:
    opened = session(echo)
    echo.says(200, {"success": True, "response": 1})

    async def together() -> "list[Any]":
        return await asyncio.gather(*(opened.call_async("", "act", number) for number in range(20)))

    assert asyncio.run(together()) == [1] * 20
    assert sorted(asked.body["parameters"] for asked in echo.asked) == [[number] for number in range(20)]


def test_cancelling_hangs_up(echo: Echo) -> None:
    opened = session(echo)
    echo.leave.clear()
    echo.came.clear()

    async def cancelled() -> None:
        task = asyncio.create_task(opened.call_async("", "act", timeout=60))
        assert await asyncio.get_running_loop().run_in_executor(None, echo.came.wait, 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(cancelled(), 60))
