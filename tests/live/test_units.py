"""Units: one request names one unit, or none; nothing a client sends raises."""

from __future__ import annotations

import json
import math

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crossfade.live.assign import bucket
from crossfade.live.units import MOST_BYTES, canonical, cookie, read
from crossfade.spec.model import Field, From

HEADER = Field(source=From.HEADER, name="X-User-Id")
COOKIE = Field(source=From.COOKIE, name="sid")
JSON = Field(source=From.JSON, name="$.user.id")


def never():
    raise AssertionError("the body is decoded only for fields that lie in it")


def test_a_header_by_any_case_of_its_name():
    assert read(HEADER, {"x-user-id": "ada"}, never) == "ada"
    assert read(HEADER, {"x-user-id": " ada\t"}, never) == "ada"
    assert read(HEADER, {"x-user": "ada"}, never) == ""


@pytest.mark.parametrize("name", ["Zoë", "用户-42", "👩‍🚀"])
def test_a_header_and_an_outcome_name_the_same_unit(name):
    """The header's bytes come as latin-1 from the parser; the outcome is reported later, as JSON."""
    assert read(HEADER, {"x-user-id": name.encode().decode("latin-1")}, never) == name
    assert read(HEADER, {"x-user-id": name}, never) == name


def test_a_header_that_is_not_utf8_is_taken_as_it_is():
    assert read(HEADER, {"x-user-id": b"Zo\xeb".decode("latin-1")}, never) == "Zoë"


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("sid=abc", "abc"),
        ("a=1; sid=abc; b=2", "abc"),
        ("a=1;sid=abc", "abc"),
        ('sid="abc"', "abc"),
        ("sid=a=b==", "a=b=="),
        ("sid=first; sid=second", "first"),
        ("xsid=1; sid=abc", "abc"),
        ("x=sid=evil; sid=good", "good"),
        ("SID=abc", ""),
        ("sid", ""),
        ("sid=", ""),
        ('sid=""', ""),
        ("sid=a b", ""),
        ("sid=a,b", ""),
        ('sid=a"b', ""),
        ("sid=a\\b", ""),
        ("sid=\x7f", ""),
        ("sid=ü", ""),
        ("", ""),
        (";;;=;", ""),
        ("sid=" + "x" * MOST_BYTES, "x" * MOST_BYTES),
        ("sid=" + "x" * (MOST_BYTES + 1), ""),
    ],
)
def test_a_cookie(header, value):
    assert cookie(header, "sid") == value
    assert read(COOKIE, {"cookie": header}, never) == value


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ('{"user":{"id":"ada"}}', "ada"),
        ('{"user":{"id":7}}', "7"),
        ('{"user":{"id":7.0}}', "7"),
        ('{"user":{"id":70e-1}}', "7"),
        ('{"user":{"id":-0.0}}', "0"),
        ('{"user":{"id":1.5}}', "1.5"),
        ('{"user":{"id":1e300}}', "1e+300"),
        ('{"user":{"id":12345678901234567890123}}', "12345678901234567890123"),
        ('{"user":{"id":' + "9" * 5000 + "}}", ""),
        ('{"user":{"id":true}}', ""),
        ('{"user":{"id":null}}', ""),
        ('{"user":{"id":[1]}}', ""),
        ('{"user":{"id":{}}}', ""),
        ('{"user":{"id":""}}', ""),
        ('{"user":{"id":"a\\u0000b"}}', ""),
        ('{"user":{"id":"a\\nb"}}', ""),
        ('{"user":{"id":"\\u0085"}}', ""),
        ('{"user":{"id":"  "}}', ""),
        ('{"user":{"id":"Zoë 🚀"}}', "Zoë 🚀"),
        ('{"user":7}', ""),
        ("[]", ""),
        ("not json", ""),
        ("", ""),
    ],
)
def test_a_place_in_the_body(body, value):
    assert read(JSON, {}, lambda: msgspec.json.decode(body)) == value


def test_requests_have_no_name_of_their_own():
    assert read(Field(source=From.REQUEST), {"x-user-id": "ada"}, never) == ""


def test_a_path_nobody_checked_is_missing_not_fatal():
    assert read(Field(source=From.JSON, name="$["), {}, dict) == ""


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "\ud800", b"bytes", object()])
def test_values_no_json_has(value):
    assert canonical(value) == ""


def test_length_is_counted_in_bytes():
    assert canonical("ü" * (MOST_BYTES // 2)) == "ü" * (MOST_BYTES // 2)
    assert canonical("ü" * (MOST_BYTES // 2 + 1)) == ""


anything = st.text(st.characters(), max_size=300)
values = st.none() | st.booleans() | st.integers() | st.floats() | anything | st.lists(st.integers()) | st.binary()


@given(anything, anything, values)
@example("", "sid=\udcff", "\udcff")
def test_whatever_comes_in_a_unit_can_be_hashed_and_stored(header, cookies, value):
    headers = {"x-user-id": header, "cookie": cookies}
    for field in (HEADER, COOKIE, JSON):
        unit = read(field, headers, lambda: {"user": {"id": value}})
        assert isinstance(unit, str)
        assert len(unit.encode()) <= MOST_BYTES
        assert not any(ord(character) < 32 or ord(character) == 127 for character in unit)
        assert 0 <= bucket("salt", unit) < 1


@given(st.binary(max_size=200))
def test_arbitrary_bytes_as_body_and_headers(data):
    headers = {"x-user-id": data.decode("latin-1"), "cookie": "sid=" + data.decode("utf-8", "surrogateescape")}
    for field in (HEADER, COOKIE, JSON):
        assert isinstance(read(field, headers, lambda: msgspec.json.decode(data)), str)


@given(st.integers(-(2**53) + 1, 2**53 - 1))
def test_one_number_is_one_unit_however_it_is_written(number):
    written = {canonical(msgspec.json.decode(text)) for text in (str(number), f"{number}.0", f"{number}e0")}
    assert written == {str(number)}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_different_numbers_are_different_units(number):
    assert float(canonical(number)) == number
    assert canonical(json.loads(json.dumps(number))) == canonical(number)
