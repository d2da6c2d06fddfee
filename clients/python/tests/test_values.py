"""Arguments as JSON, and pictures."""

import json

import pytest

from chartroom import UNDEFINED, Macro, data_url_bytes
from chartroom.values import to_json


def test_macros_are_objects_that_the_page_understands() -> None:
    assert json.loads(to_json([Macro("a.b", "c"), [UNDEFINED]])) == [
        {"macroTarget": "a.b", "macroVariable": "c"},
        [{"macroTarget": "", "macroVariable": "undefined"}],
    ]


def test_a_dollar_in_a_text_is_no_macro() -> None:
    text = to_json(["$a.b", {"$": 1}])
    assert "$" not in text
    assert json.loads(text) == ["$a.b", {"$": 1}]


def test_arrays_of_numpy_are_lists() -> None:
    class Array:
        def tolist(self) -> "list[int]":
            return [1, 2]

    assert to_json([Array()]) == "[[1,2]]"


def test_what_json_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="object can not be an argument"):
        to_json([object()])
    with pytest.raises(ValueError):
        to_json([float("nan")])


def test_data_urls_are_read() -> None:
    assert data_url_bytes("data:image/png;base64,iVA=") == b"\x89P"
    assert data_url_bytes("data:,a%20b") == b"a b"
    for wrong in ("", "iVA=", "data:image/png;base64,?"):
        with pytest.raises(ValueError):
            data_url_bytes(wrong)
