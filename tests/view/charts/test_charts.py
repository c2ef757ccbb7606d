"""Charts: what is drawn is what the record says, in the inks that mean it, and a real engine draws every one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import Any

import pytest

from crossfade.console.charting import DARK, NARROW, picture
from crossfade.view.charts import Chart, ageing, calibration, charts_of, drift, fields, fitted, forest, ink, preference
from view.charts.past import told

INKS = {value for name, value in vars(ink).items() if name.isupper() and isinstance(value, str) and value[:1] == "#"}

VOTES = {"wins": 420, "ties": 1900, "losses": 310, "text": "420 units preferred v2 · 1,900 tied · 310 preferred v1"}

PREFERENCE = {"baseline": "v1", "arm": "v2", "estimate": 0.16, "lower": 0.02, "upper": None, "verdict": "safe"}

FIELD = {"noise": 0.012, "margin": 0.01, "muted": None, "kinds": {"any": 21, "value": 21}, "differing": 21}

FIELDS = {
    "arm": "v2",
    "disagreement": {**FIELD, "path": "any", "rate": 0.031, "verdict": "safe"},
    "fields": [
        {**FIELD, "path": "$.scores[0]", "rate": 0.4, "verdict": "harmful"},
        {**FIELD, "path": "$.took", "rate": 0.9, "noise": 0.9, "verdict": "undecided", "muted": "ana: a clock"},
    ],
}

DRIFT = {
    "fields": [
        {"field": "$.age", "arm": None, "psi": 0.31, "psi_by_chance": 0.02, "what": "mean 3 → 5", "changed": True},
        {"field": "$.x", "arm": "v2", "psi": 0.011, "psi_by_chance": None, "what": "", "changed": False},
    ]
}

DAY = {"lower": -0.01, "upper": 0.02, "text": {"estimate": "+0.5 pp", "interval": "[−1, +2]"}}

AGEING = {"metric": "purchase", "arm": "v2", "days": [{**DAY, "age": n, "estimate": 0.01 / (n + 1)} for n in range(5)]}

BINS = [{"n": 40 * n, "said": 0.2 * n, "came": 0.19 * n} for n in range(5)]

CALIBRATION = {"arm": "v2", "champion": {"bins": BINS}, "challenger": {"bins": BINS}}


def every() -> list[Chart]:
    found = [
        *charts_of(*told()).values(),
        preference(PREFERENCE, VOTES),
        fields(FIELDS),
        drift(DRIFT),
        ageing(AGEING, "pp"),
        calibration(CALIBRATION),
    ]
    return [chart for chart in found if chart is not None]


CHARTS = {chart.name: chart for chart in every()}


def inks_of(spec: Any) -> Iterator[str]:
    if isinstance(spec, dict):
        for value in spec.values():
            yield from inks_of(value)
    elif isinstance(spec, list | tuple):
        for value in spec:
            yield from inks_of(value)
    elif isinstance(spec, str) and re.fullmatch(r"#[0-9a-fA-F]{3,8}", spec):
        yield spec


def marks_of(spec: Any) -> Iterator[dict[str, Any]]:
    yield spec
    for part in (*spec.get("layer", ()), *spec.get("vconcat", ())):
        yield from marks_of(part)


def test_a_rollout_shows_exposure_evidence_bands_and_harm_in_this_order() -> None:
    assert list(charts_of(*told())) == [
        "exposure",
        "forest",
        "band-purchase-v2",
        "band-errors-v2",
        "band-latency-v2",
        "harm",
    ]


@pytest.mark.parametrize("name", CHARTS)
def test_an_engine_draws_it_within_its_room_and_its_words_go_with_it(name: str) -> None:
    chart = CHARTS[name]
    svg = picture(chart, NARROW)
    assert svg.startswith("<svg ")
    assert f"<title>{escape(chart.said)}</title>" in svg
    assert "style=" not in svg  # the policy of pages would refuse it
    assert "NaN" not in svg
    assert "undefined" not in svg
    width = float(re.findall(r'viewBox="0 0 ([\d.]+)', svg)[0])
    assert width <= NARROW + 16
    assert chart.rows
    assert all(len(row) == len(chart.head) for row in chart.rows)


@pytest.mark.parametrize("name", CHARTS)
def test_a_specification_is_plain_data_in_known_inks(name: str) -> None:
    spec = CHARTS[name].spec
    assert json.loads(json.dumps(spec, allow_nan=False)) is not None
    assert set(inks_of(spec)) <= INKS
    assert "url" not in json.dumps(spec).replace("$schema", "")


def test_every_ink_has_its_like_on_a_dark_page() -> None:
    style = (files("crossfade.console") / "static" / "console.css").read_text(encoding="utf-8")
    assert set(DARK) == INKS
    light, dark = (dict(re.findall(r"--([\w-]+): (#\w+)", part)) for part in style.split("@media", 2)[:2])
    for colour, dark_one in DARK.items():
        (name,) = re.findall(rf'\[fill="{colour}"\] {{ fill: var\(--([\w-]+)\)', style)
        assert f'[stroke="{colour}"] {{ stroke: var(--{name})' in style
        assert (light[name], dark[name]) == (colour, dark_one)


def _luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255.0 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("paper", ["#fbfaf8", "#121317"])
def test_what_is_written_can_be_read(paper: str) -> None:
    """WCAG AA asks 4.5 of text. Axe does not look into charts."""
    for colour in (ink.INK, ink.QUIET, ink.ACCENT, ink.RED, ink.AMBER):
        assert contrast(DARK[colour] if paper == "#121317" else colour, paper) >= 4.5, colour


def rows_of(chart: Chart) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in chart.spec["data"]["values"]}


def test_the_forest_puts_better_right_and_draws_each_limit_in_its_row() -> None:
    rows = rows_of(CHARTS["forest"])
    assert list(rows) == ["purchase", "errors", "latency", "revenue"]  # the goal above the guardrails
    assert rows["purchase"]["at"] < 0 < -rows["purchase"]["low"]  # fewer purchases are worse: left
    assert rows["errors"]["at"] < 0  # more errors are worse, too
    assert rows["errors"]["edge"] == rows["latency"]["edge"] == -1.0
    assert rows["purchase"]["edge"] == 0.0
    assert [rows[name]["mark"] for name in rows] == [ink.CROSS, "circle", "diamond", ink.SLASH]
    assert [rows[name]["ink"] for name in rows] == [ink.RED, ink.QUIET, ink.INK, ink.AMBER]


def test_a_side_without_bound_stays_open_and_what_was_not_measured_is_hatched_with_its_reason() -> None:
    chart = CHARTS["forest"]
    rows = rows_of(chart)
    assert rows["errors"]["low"] is None  # its upper end is open, which is the worse side
    assert rows["errors"]["left"] == rows["errors"]["harm"]
    assert rows["revenue"]["of"] == "no unit's 24 h are over yet"
    assert rows["revenue"]["at"] is None
    hatched = next(m for m in marks_of(chart.spec) if m.get("mark", {}) and m["mark"].get("stroke") == ink.AMBER)
    assert {value["row"] for value in hatched["data"]["values"]} == {3}
    assert rows["errors"]["of"] == "v1 1.2 % of 8,120 · v2 1.4 % of 412"


def test_a_far_interval_does_not_push_the_others_together() -> None:
    record, _ = told()
    lines = [dict(line) for line in record["evidence"]]
    lines[1]["lower"] = -1e9
    rows = rows_of(forest(lines, record["lines"]))
    assert all(abs(row[key]) <= 200.0 for row in rows.values() for key in ("left", "right"))


def test_the_meter_of_preference_has_its_half_line_and_ties_are_in_the_bar() -> None:
    meter, votes = CHARTS["preference"].spec["vconcat"]
    (shown,) = meter["data"]["values"]
    assert (shown["estimate"], shown["lower"], shown["upper"], shown["right"]) == (0.58, 0.51, None, 1.0)
    bar = next(m for m in marks_of(votes) if m.get("mark", {}).get("type") == "rect")["data"]["values"]
    assert [(one["from"], one["to"]) for one in bar] == [(0, 310), (310, 2210), (2210, 2630)]


def test_a_band_begins_anew_with_each_step_and_shows_where_it_stops() -> None:
    points = next(
        m for m in marks_of(CHARTS["band-errors-v2"].spec) if m.get("mark", {}).get("type") == "area"
    )["data"]["values"]  # fmt: skip
    units = [point["units"] for point in points]
    assert units == sorted(set(units))
    assert len(points) < 10
    assert all(point["upper"] is None and point["top"] > point["estimate"] for point in points)
    assert "stops" in CHARTS["band-errors-v2"].said


def test_charts_are_as_wide_as_asked() -> None:
    for chart in CHARTS.values():
        views = [part for part in marks_of(fitted(chart.spec, 500)) if "width" in part]
        assert {part["width"] for part in views} == {500 - chart.spec["usermeta"]["inset"]}


def test_the_tree_of_fields_begins_with_any_field_and_names_the_others_as_they_are() -> None:
    first, *others = rows_of(CHARTS["fields"]).values()
    assert first["name"] == "any field"
    assert [row["name"].strip("\u2002") for row in others] == ["$.scores[0]", "$.took"]
    assert others[0]["from"] == others[0]["noise"] < others[0]["limit"] < others[0]["rate"]
    assert others[1]["limit"] is None
    assert others[1]["said"].startswith("muted: ana: a clock")
