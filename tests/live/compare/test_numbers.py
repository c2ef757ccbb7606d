"""Many numbers looked at in one go are told apart as each pair alone would be."""

from __future__ import annotations

from math import inf, nan

from hypothesis import given
from hypothesis import strategies as st

from crossfade.live.compare.numbers import apart, close, finite

base = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, 1.0, inf, -inf, nan, 1e308, -1e308])
near = st.floats(-3e-5, 3e-5)
pairs = st.lists(
    st.one_of(
        st.tuples(base, base),
        st.builds(lambda x, share: (x, x * (1.0 + share)), base, near),
        st.builds(lambda x, more: (x, x + more), base, near),
    ),
    max_size=20,
)


@given(pairs, st.sampled_from([0.0, 1e-5, 0.1]), st.sampled_from([0.0, 1e-6, 1e-3]))
def test_the_same_places_as_one_pair_after_the_other(
    both: list[tuple[float, float]], relative: float, absolute: float
) -> None:
    differing = [n for n, (x, y) in enumerate(both) if not close(x, y, relative, absolute)]
    lost = [n for n in differing if finite(both[n][0]) and not finite(both[n][1])]
    a, b = [x for x, _ in both], [y for _, y in both]
    assert apart(a, b, relative, absolute) == (next(iter(differing), -1), next(iter(lost), -1))


def test_of_other_values_nothing_is_told() -> None:
    assert apart([1.0, 1], [1.0, 1.0], 0.0, 0.0) is None
    assert apart([1.0], ["1"], 0.0, 0.0) is None
    assert apart([True], [1.0], 0.0, 0.0) is None
