"""The server with the official page in a headless browser."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import chartroom
from chartroom import HeadlessSession, Macro, Session, SessionInfo, data_url_bytes
from chartroom.door import Door

from conftest import PATIENCE, TOKEN, given, png_size


def test_a_server_without_scripting_says_so(closed_server: str) -> None:
    assert Session.list(closed_server) == []
    info = SessionInfo(1, "live", None, None, None)
    with pytest.raises(chartroom.ScriptingDisabled, match="--enable-scripting"):
        Session(Door(closed_server), info).call("", "act")


def test_a_wrong_token_is_told(server: str) -> None:
    for token in ("wrong", f"{TOKEN}x"):
        with pytest.raises(chartroom.AccessDenied):
            Session.list(server, token)


def test_a_session_that_is_not_there_is_told(server: str) -> None:
    with pytest.raises(chartroom.NoSuchSession):
        Session.open(server, id=1)


def test_a_browser_that_is_no_browser_is_told(server: str) -> None:
    with pytest.raises(chartroom.BrowserFailed, match="is not there"):
        Session.open_headless(server, browser="no-such-browser-here")


def test_the_session_of_a_page_is_found(server: str, page: HeadlessSession) -> None:
    assert page.id in [session.id for session in Session.list(server)]
    assert Session.open(server, id=page.id).info.files_open == 1
    assert page.refresh().state == "live"


def test_parts_of_results_come_back(page: HeadlessSession) -> None:
    shape = page.call("", "getFrame", 0, return_path="frameInfo.fileInfoExtended")
    assert (shape["width"], shape["height"], shape["depth"]) == (640, 512, 64)


def test_macros_stand_for_what_the_page_knows(page: HeadlessSession) -> None:
    page.call("activeFrame", "setChannels", 5, 0, True)
    result = page.call("activeFrame.channel", "valueOf")
    assert result == 5
    assert page.call("preferenceStore.theme", "concat", Macro("activeFrame", "channel")).endswith("5")


def test_dollars_arrive_as_they_are(page: HeadlessSession) -> None:
    assert page.call("preferenceStore.theme", "concat", " $a.b").endswith(" $a.b")


def test_a_colour_map_changes_the_picture(page: HeadlessSession) -> None:
    def picture() -> bytes:
        page.call("", "waitForImageData")
        return data_url_bytes(page.call("", "getImageDataUrl", "#ffffff"))

    page.call("activeFrame.renderConfig", "setColorMap", "inferno")
    before = picture()
    page.call("activeFrame.renderConfig", "setColorMap", "viridis")
    after = picture()
    width, height = png_size(before)
    assert width > 300 and height > 200
    assert png_size(after) == (width, height) and before != after


@pytest.mark.parametrize(
    ("path", "action", "said"),
    [
        ("nothing", "act", "Missing target object: nothing"),
        ("nothing.there", "act", "TypeError"),
        ("", "nothing", "Missing action function: nothing"),
    ],
)
def test_failures_of_the_page_are_told_in_its_words(
    page: HeadlessSession, path: str, action: str, said: str
) -> None:
    with pytest.raises(chartroom.ActionFailed, match=said):
        page.call(path, action)


def test_a_page_that_takes_its_time_runs_into_the_limit(page: HeadlessSession) -> None:
    limit = 0.2
    while True:
        # Longer than the limit by far; on a busy machine the page may not even be asked within it.
        with pytest.raises((chartroom.TimedOut, chartroom.TimedOutUnknown)) as caught:
            page.call("", "delay", 1000 * limit + 60_000, timeout=limit)
        if isinstance(caught.value, chartroom.TimedOutUnknown):
            break
        limit *= 2


def test_a_key_lets_an_action_run_once(page: HeadlessSession) -> None:
    # The length of a list of the page grows with each element.
    lengths = [page.call("logStore.logEntries", "unshift", {}, idempotency_key=key) for key in ("a", "a", "b")]
    assert lengths[1] == lengths[0] and lengths[2] == lengths[0] + 1


def test_calls_side_by_side_get_their_own_answers(page: HeadlessSession) -> None:
    async def together() -> "list[Any]":
        calls = (page.call_async("preferenceStore.theme", "concat", f" {number}") for number in range(50))
        return await asyncio.gather(*calls)

    answers = asyncio.run(together())
    assert [answer.rsplit(" ", 1)[1] for answer in answers] == [str(number) for number in range(50)]


def test_closing_ends_the_session(server: str) -> None:
    given("CHARTROOM_CHROMIUM")
    with Session.open_headless(server, timeout=PATIENCE) as session:
        number = session.id
    session.close()
    assert number not in [other.id for other in Session.list(server)]
    with pytest.raises(chartroom.NoSuchSession):
        session.call("", "act")


def test_a_file_that_is_not_there_is_told(server: str) -> None:
    given("CHARTROOM_CHROMIUM")
    with pytest.raises(chartroom.ActionFailed, match="no-such-file"):
        Session.open_headless(server, file="no-such-file.fits", timeout=PATIENCE)
    assert all(session.info.files_open for session in Session.list(server)), "the session that was opened has ended"
