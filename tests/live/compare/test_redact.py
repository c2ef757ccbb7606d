"""What is hidden is hidden, however it is named and however deep it lies."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossfade.live.compare.redact import REDACTED, parts, redacted, rules
from crossfade.live.paths import member
from crossfade.live.protocols.base import Tensor


@pytest.mark.parametrize(
    ("rule", "fields", "left"),
    [
        ("$.user.email", {"$.user": {"email": "a@b", "id": 1}}, {"$.user": {"email": REDACTED, "id": 1}}),
        ("$.user", {"$.user": {"email": "a@b"}}, {"$.user": REDACTED}),
        ("$['user'].email", {"$.user": {"email": "a@b"}}, {"$.user": {"email": REDACTED}}),
        ("$.rows[*].name", {"$.rows": [{"name": "x"}, {"n": 1}]}, {"$.rows": [{"name": REDACTED}, {"n": 1}]}),
        ("$.rows[0].name", {"$.rows": [{}, {"name": "x"}]}, {"$.rows": [{}, {"name": REDACTED}]}),
        ("$[*].name", {"$": [{"name": "x"}]}, {"$": [{"name": REDACTED}]}),
        ("$.user", {"$.users": 1, "$.use": 2}, {"$.users": 1, "$.use": 2}),
        ("names", {"names": Tensor((2,), ["x", "y"]), "other": Tensor((1,), [1.0])},
         {"names": REDACTED, "other": {"shape": [1], "values": [1.0]}}),
        ("$.choices[*].message.content", {"$.choices[0].content": "x", "$.choices[0].finish_reason": "stop"},
         {"$.choices[0].content": REDACTED, "$.choices[0].finish_reason": "stop"}),
    ],
)  # fmt: skip
def test_values_are_taken_out(rule: str, fields: dict[str, Any], left: dict[str, Any]) -> None:
    assert redacted(fields, rules([rule])) == left


names = st.text(st.characters(exclude_characters="'", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)


@given(st.lists(names, min_size=1, max_size=4), st.booleans())
def test_a_secret_at_any_place_is_gone(steps: list[str], listed: bool) -> None:
    secret = "s3cr3t-value"
    value: Any = [secret] if listed else secret
    for name in reversed(steps[1:]):
        value = {name: value, "x" * 9: 1}
    path = "$" + "".join(map(member, steps))
    assert parts(path) == tuple(steps)
    assert secret not in repr(redacted({f"${member(steps[0])}": value}, rules([path])))
