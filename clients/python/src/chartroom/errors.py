"""What can go wrong, by what happened.

Every error says whether the action ran (:attr:`ChartroomError.ran`), because that decides whether a program may try
again. Whoever must not do something twice catches :class:`UnknownOutcome`, or gives its calls an idempotency key.
"""

from __future__ import annotations

import enum
from typing import Optional


class Ran(enum.Enum):
    """Whether an action ran."""

    NO = "no"
    YES = "yes"
    UNKNOWN = "unknown"


class ChartroomError(Exception):
    """Something went wrong; the message is a sentence that says what."""

    #: The HTTP status of the server's answer, if there was one.
    status: Optional[int]
    #: Whether the action ran.
    ran: Ran
    #: Seconds after which the server asks to be tried again, if it said so.
    retry_after: Optional[float]

    def __init__(
        self,
        message: str,
        *,
        status: Optional[int] = None,
        ran: Ran = Ran.NO,
        retry_after: Optional[float] = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.ran = ran
        self.retry_after = retry_after


class Unreachable(ChartroomError):
    """The server could not be reached, or what answered is no Chartroom."""


class InvalidRequest(ChartroomError):
    """The server does not accept the request as it is (400, 413, 422)."""


class AccessDenied(ChartroomError):
    """The token is wrong, is missing, or does not allow this (401, 403)."""


class NoSuchSession(ChartroomError):
    """You have no session with this id (404)."""


class ActionFailed(ChartroomError):
    """The page was asked and answered that the action failed; the message is the page's."""


class Busy(ChartroomError):
    """Too much waits for this session already (429)."""


class Unavailable(ChartroomError):
    """The session's page is not connected, or the server is stopping (503)."""


class ScriptingDisabled(ChartroomError):
    """The server was not started with ``--enable-scripting`` (501)."""


class TimedOut(ChartroomError):
    """The page did not answer within the time limit (504)."""


class UnknownOutcome(ChartroomError):
    """It is not known whether the action ran.

    Repeating the call with the same idempotency key is safe; repeating one without may do it twice.
    """


class SessionEnded(NoSuchSession, UnknownOutcome):
    """The session ended after its page was asked and before it answered (404)."""


class TimedOutUnknown(TimedOut, UnknownOutcome):
    """The page was asked, and did not answer within the time limit (504)."""


class ServerFailed(ChartroomError):
    """The server failed, or answered as no Chartroom does."""


class BrowserFailed(ChartroomError):
    """No headless browser could be started, or its page did not connect."""


def by_status(
    status: int, message: str, ran: Optional[Ran] = None, retry_after: Optional[float] = None
) -> ChartroomError:
    """The error for an answer with a status other than 200; ``ran`` is what the answer says of it."""
    unknown = ran is Ran.UNKNOWN
    kind: type[ChartroomError]
    if status in (401, 403):
        kind = AccessDenied
    elif status == 404:
        kind = SessionEnded if unknown else NoSuchSession
    elif status == 504:
        # A proxy between may have lost patience.
        kind = TimedOut if ran is Ran.NO else TimedOutUnknown
    elif status == 429:
        kind = Busy
    elif status == 501:
        kind = ScriptingDisabled
    elif unknown:
        kind = UnknownOutcome
    elif status == 503:
        kind = Unavailable
    elif 400 <= status < 500:
        kind = InvalidRequest
    else:
        kind = ServerFailed
    if ran is None:
        ran = Ran.UNKNOWN if status in (500, 502, 504) else Ran.NO
    return kind(message, status=status, ran=ran, retry_after=retry_after)
