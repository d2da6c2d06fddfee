"""Drives a Chartroom session, which is a CARTA page in some browser, from Python.

A session's page carries out *actions*: methods of the objects that the page is made of, named by dotted paths. The
server passes them on; it must run with ``--enable-scripting``. See :class:`Session`.
"""

from .errors import (
    AccessDenied,
    ActionFailed,
    BrowserFailed,
    Busy,
    ChartroomError,
    InvalidRequest,
    NoSuchSession,
    Ran,
    ScriptingDisabled,
    ServerFailed,
    SessionEnded,
    TimedOut,
    TimedOutUnknown,
    Unavailable,
    UnknownOutcome,
    Unreachable,
)
from .session import HeadlessSession, Session, SessionInfo
from .values import UNDEFINED, Macro, data_url_bytes

__all__ = [
    "UNDEFINED",
    "AccessDenied",
    "ActionFailed",
    "BrowserFailed",
    "Busy",
    "ChartroomError",
    "HeadlessSession",
    "InvalidRequest",
    "Macro",
    "NoSuchSession",
    "Ran",
    "ScriptingDisabled",
    "ServerFailed",
    "Session",
    "SessionEnded",
    "SessionInfo",
    "TimedOut",
    "TimedOutUnknown",
    "Unavailable",
    "UnknownOutcome",
    "Unreachable",
    "data_url_bytes",
]
