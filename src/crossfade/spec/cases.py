"""Tests of a spec, as people write them: given this evidence at this place, that move is expected, by that rule.

Every mistake is told at once with its line, as for specs themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from crossfade.spec.measures import Duration, Share
from crossfade.spec.model import Canary, Promote, Rollout, stage_name
from crossfade.spec.problems import SpecProblems, listed, nearest
from crossfade.spec.source import Node, Unknown, load

VERDICTS = ("safe", "harmful", "undecided", "unmeasured")
PHASES = ("running", "held", "promoted")
MOVES = ("none", "advance", "hold", "resume", "rollback", "promote", "finish")
GATES = ("disagreement", "catastrophic", "preference")

_KEYS = ("name", "stage", "step", "phase", "after", "in_stage", "seen", "evidence", "expect")
_OF = re.compile(r"(\d{1,12}) of (\d{1,12})")
_WAYS = (
    "safe, harmful, undecided or unmeasured; `8 of 1000` or {units, mean, sd} for each arm; "
    "or, of pairs, {worse, better, of}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Units with an event, of units."""

    events: int
    units: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Averaged:
    """Units, the mean of their values, and the standard deviation between them."""

    units: int
    mean: float
    sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Pairs, or units that had both rankings: those that speak against the challenger, those that speak for it, all."""

    worse: int
    better: int
    of: int


Given = Counted | Averaged | Compared | str
"""What a test says of a metric and an arm; a word is the verdict itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test."""

    name: str
    line: int
    stage: int
    step: int
    phase: str
    after: float
    """Seconds in this step."""
    in_stage: float
    """Seconds in this stage."""
    requests: int
    mirrored: int
    given: Mapping[tuple[str, str], Given]
    """(metric or gate, arm) → what is known of it; the champion's own numbers too, under its name."""
    move: str | None
    """None where the test does not say; `none` where nothing may happen."""
    rule: str | None
    says: str
    """Part of the sentence that people will read."""


@dataclass(frozen=True, slots=True)
class Cases:
    """A file of tests, read but for what depends on the spec."""

    spec: str
    """The spec's file, beside this one."""
    root: Node

    def of(self, rollout: Rollout) -> tuple[Case, ...]:
        """The tests of this spec. Raises SpecProblems."""
        reader = _Reader(rollout)
        found = [reader.case(node) for node in self.root.value["tests"].value]
        if self.root.problems:
            raise SpecProblems(self.root.problems)
        return tuple(found)


def read_cases(text: str) -> Cases:
    """The file of tests in `text`. Raises SpecProblems."""
    root, problems = load(text)
    known = _mapping(root, "a mapping with `spec`, the file of the spec, and `tests`", ("spec", "tests"))
    spec, tests = known.get("spec"), known.get("tests")
    for key, child in (("spec", spec), ("tests", tests)):
        if child is None and not problems:
            root.report_missing(key, f"the key '{key}' is missing")
    if spec is not None and not (isinstance(spec.value, str) and spec.value):
        spec.wrong("the file of the spec, as seen from this one, such as ranker.yaml")
    if tests is not None and not (isinstance(tests.value, list) and tests.value):
        tests.wrong("a list of tests, each with `name`, `stage`, `evidence` and `expect`")
    if problems:
        raise SpecProblems(problems)
    assert spec is not None
    return Cases(spec=spec.value, root=root)


class _Reader:
    """Reads the tests of one rollout; problems go where the nodes keep them."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout
        self._arms = [rollout.champion.name, *(arm.name for arm in rollout.challengers)]
        self._metrics = [*(metric.name for metric in rollout.metrics), *GATES]

    def case(self, node: Node) -> Case:
        known = _mapping(node, f"a test, a mapping with {listed(_KEYS)}", _KEYS)
        for key in ("name", "stage", "evidence", "expect"):
            if known and key not in known:
                node.report_missing(key, f"the key '{key}' is missing")
        stage = self._stage(known.get("stage"))
        after = _seconds(known.get("after"))
        seen = _mapping(known.get("seen"), "counts such as {requests: 5000, mirrored: 5000}", ("requests", "mirrored"))
        expected = _mapping(known.get("expect"), "such as {move: rollback, rule: harm}", ("move", "rule", "says"))
        usual = "promoted" if isinstance(self._rollout.stages[stage], Promote) else "running"
        return Case(
            name=_text(known.get("name"), "a sentence that says what is promised"),
            line=node.line,
            stage=stage,
            step=self._step(known.get("step"), stage),
            phase=_word(known.get("phase"), PHASES) or usual,
            after=after,
            in_stage=max(_seconds(known.get("in_stage")), after),
            requests=_count(seen.get("requests")),
            mirrored=_count(seen.get("mirrored")),
            given=self._given(known.get("evidence")),
            move=_word(expected.get("move"), MOVES),
            rule=_text(expected.get("rule"), "the name of a rule, such as harm") or None,
            says=_text(expected.get("says"), "part of the sentence that people will read"),
        )

    def _stage(self, node: Node | None) -> int:
        names = [stage_name(stage) for stage in self._rollout.stages]
        if node is None or isinstance(node.value, Unknown):
            return 0
        if isinstance(node.value, int) and not isinstance(node.value, bool) and 1 <= node.value <= len(names):
            return node.value - 1
        if node.value not in names:
            near = nearest(str(node.value), names)
            node.wrong(f"a stage of the spec: {listed(dict.fromkeys(names))}, or its place from 1", near=near)
            return 0
        if names.count(node.value) > 1:
            node.wrong(f"the place of one of the {names.count(node.value)} stages that are named so, counted from 1")
        return names.index(node.value)

    def _step(self, node: Node | None, stage: int) -> int:
        if node is None:
            return 0
        here = self._rollout.stages[stage]
        steps = here.steps if isinstance(here, Canary) else ()
        share = TypeAdapter(Share).validate_python(node)
        if isinstance(share, Unknown):
            return 0
        close = [place for place, step in enumerate(steps) if abs(step - share) < 1e-12]
        if not close:
            node.wrong(f"a step of this stage: {listed(f'{100 * step:g}%' for step in steps)}")
        return close[0] if close else 0

    def _given(self, node: Node | None) -> dict[tuple[str, str], Given]:
        told: dict[tuple[str, str], Given] = {}
        for metric, said in _mapping(node, "a mapping from metrics or gates to what is known", self._metrics).items():
            if isinstance(said.value, dict) and said.value.keys() <= set(self._arms):
                for arm, one in said.value.items():
                    _put(told, (metric, arm), _value(one))
            else:
                value = _value(said)
                for arm in self._arms[1:]:
                    _put(told, (metric, arm), value)
        return told


def _put(told: dict[tuple[str, str], Given], key: tuple[str, str], value: Given | None) -> None:
    if value is not None:
        told[key] = value


def _value(node: Node) -> Given | None:
    value = node.value
    if value in VERDICTS:
        return str(value)
    if isinstance(value, str) and (found := _OF.fullmatch(value)):
        events, units = int(found[1]), int(found[2])
        if events <= units:
            return Counted(events=events, units=units)
    if isinstance(value, dict):
        plain = node.plain()
        if plain.keys() == {"units", "mean", "sd"} and _numbers(plain.values()) and plain["units"] > 0 <= plain["sd"]:
            return Averaged(units=int(plain["units"]), mean=float(plain["mean"]), sd=float(plain["sd"]))
        if plain.keys() == {"worse", "better", "of"} and _numbers(plain.values(), whole=True):
            pairs = Compared(**plain)
            if pairs.worse + pairs.better <= pairs.of:
                return pairs
    node.wrong(_WAYS)
    return None


def _numbers(values: Iterable[Any], *, whole: bool = False) -> bool:
    kinds = (int,) if whole else (int, float)
    return all(isinstance(one, kinds) and not isinstance(one, bool) and (not whole or one >= 0) for one in values)


def _mapping(node: Node | None, expected: str, allowed: Iterable[str]) -> dict[str, Node]:
    if node is None or isinstance(node.value, Unknown):
        return {}
    if not isinstance(node.value, dict):
        node.wrong(expected)
        return {}
    words = list(allowed)
    for key, child in node.value.items():
        if key not in words:
            near = nearest(key, words)
            said = f"unknown: {key!r}" + (f"; did you mean {near}?" if near else "")
            child.report_key(f"{said}; allowed: {', '.join(words)}", allowed=", ".join(words), near=near)
    return {key: child for key, child in node.value.items() if key in words}


def _seconds(node: Node | None) -> float:
    found = 0.0 if node is None else TypeAdapter(Duration).validate_python(node)
    return 0.0 if isinstance(found, Unknown) else float(found)


def _count(node: Node | None) -> int:
    if node is None or isinstance(node.value, Unknown):
        return 0
    if not _numbers([node.value], whole=True):
        node.wrong("a whole number from 0")
        return 0
    return int(node.value)


def _word(node: Node | None, allowed: tuple[str, ...]) -> str | None:
    if node is None or isinstance(node.value, Unknown):
        return None
    if node.value not in allowed:
        node.wrong(listed(allowed), near=nearest(str(node.value), allowed))
        return None
    return str(node.value)


def _text(node: Node | None, expected: str) -> str:
    if node is None or isinstance(node.value, Unknown):
        return ""
    if not isinstance(node.value, str) or not node.value:
        node.wrong(expected)
        return ""
    return node.value
