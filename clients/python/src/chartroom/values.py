"""Arguments of actions, as JSON, and results that are more than JSON."""

from __future__ import annotations

import base64
import binascii
import json
import urllib.parse
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Macro:
    """Stands for a property of the page in the arguments of an action.

    ``Macro("activeFrame", "frameInfo")`` is the property ``frameInfo`` of the object at the dotted path
    ``activeFrame``; an empty path is the application. The page replaces macros among the arguments and in lists, not
    in dictionaries.
    """

    target: str
    variable: str


#: JavaScript's ``undefined``, for optional arguments that are left out before others that are not.
UNDEFINED = Macro("", "undefined")


def to_json(value: object) -> str:
    """``value`` as JSON.

    Arrays and numbers of numpy are understood. The page takes ``$`` in the text of its arguments, even within strings,
    for the start of a macro; here only :class:`Macro` is one, so the character is written in its other form.

    :raises TypeError: if ``value`` can not be written as JSON.
    :raises ValueError: if a number is infinite or not a number, which JSON does not have.
    """
    return json.dumps(value, default=_other, allow_nan=False, separators=(",", ":")).replace("$", "\\u0024")


def _other(value: object) -> Any:
    if isinstance(value, Macro):
        return {"macroTarget": value.target, "macroVariable": value.variable}
    # Arrays and scalars of numpy, without needing numpy.
    to_list = getattr(value, "tolist", None)
    if callable(to_list):
        return to_list()
    raise TypeError(f"{type(value).__name__} can not be an argument of an action; JSON has nothing like it.")


def data_url_bytes(url: str) -> bytes:
    """The bytes in a ``data:`` URL, which is how the page gives pictures.

    :raises ValueError: if ``url`` is none.
    """
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:"):
        raise ValueError("This is no data URL, which would begin with 'data:' and have a comma.")
    if not head.endswith(";base64"):
        return urllib.parse.unquote_to_bytes(data)
    try:
        return base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ValueError(f"The data URL is damaged: {error}.") from error
