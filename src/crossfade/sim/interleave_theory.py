"""Figures on interleaving, measured and written as a page: `python -m crossfade.sim.interleave_theory DIR`.

It leaves `interleaving.json` with every figure and `interleaving.md` made of it, and nothing else goes into the page;
with `--page` only the page is made anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from crossfade.judge.evidence import Verdict
from crossfade.sim.clicks import CLICK_MODELS, ClickModel
from crossfade.sim.interleave import METHODS, PAIRS, Page, interleave
from crossfade.sim.interleave_digits import write
from crossfade.sim.interleave_sensitivity import (
    AB_METRICS,
    Floats,
    Topic,
    interleaved_sessions,
    one_run,
    pooled,
    split_sessions,
    topics,
    values,
    verdict,
    voter,
)
from crossfade.sim.trec import read_qrels, read_run

ALPHA = 0.05
READERS = ("cascade", "position", "navigational", "informational")
EVERY = (*READERS, "random")
RUNS = 40
LOOKED = 300
"""Sessions of a run with equal rankers; each is looked at."""
CLICKS = "clicks a session"
GRADES = (10.0, 25.0, 50.0, 80.0)
"""Differences of the disease's progression up to which a patient is graded 4, 3, 2 and 1."""


def digits(worse: str) -> list[Topic]:
    """Nearest neighbours on all pixels (B) against few principal components (A): lists of different documents."""
    with TemporaryDirectory() as folder:
        write(Path(folder))
        a, b = (read_run(Path(folder) / f"{name}.run") for name in (worse, "full"))
        return topics(read_qrels(Path(folder) / "digits.qrels"), a, b, 10)


def patients(worse: Sequence[int], *, seed: int = 0) -> list[Topic]:
    """Patients like a patient: two rankers that order the same 20 candidates, graded from 0 to 4.

    Both predict the disease's progression by least squares, B from all ten measurements and A from some of them.
    """
    from sklearn.datasets import load_diabetes

    measured, progress = load_diabetes(return_X_y=True)
    rng = np.random.default_rng(seed)

    def predicted(columns: Sequence[int]) -> Floats:
        design = np.column_stack([np.ones(len(measured)), measured[:, list(columns)]])
        return np.asarray(design @ np.linalg.lstsq(design, progress, rcond=None)[0])

    sides = [predicted(worse), predicted(range(measured.shape[1]))]
    found = []
    for query in range(len(measured)):
        others = rng.choice(np.delete(np.arange(len(measured)), query), 20, replace=False)
        gaps = np.abs(progress[others] - progress[query])
        gains = {
            f"p{other}": float(sum(gap <= edge for edge in GRADES)) / 4.0
            for other, gap in zip(others, gaps, strict=True)
        }
        a, b = (
            tuple(f"p{other}" for other in others[np.argsort(np.abs(by[others] - by[query]), kind="stable")][:10])
            for by in sides
        )
        found.append(Topic(a=a, b=b, gains=gains))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Two rankers, and how much is simulated of them."""

    about: str
    make: Callable[[], list[Topic]]
    methods: tuple[str, ...] = PAIRS
    sessions: int = 8000
    """Simulated to learn how often each vote is cast."""
    runs: int = RUNS
    """Whole tests, to see whether the better ranker is found."""


COMPARED = {
    "digits, easy": Compared(
        about="scikit-learn's digits: all pixels against 4 principal components",
        make=partial(digits, "pca4"),
        methods=METHODS,
    ),
    "digits, close": Compared(
        about="the same: all pixels against 6 principal components", make=partial(digits, "pca6")
    ),
    "patients, easy": Compared(
        about="scikit-learn's diabetes: ten measurements against age and sex", make=partial(patients, (0, 1))
    ),
    "patients, hard": Compared(
        about="the same: ten measurements against body mass and s5",
        make=partial(patients, (2, 8)),
        sessions=40_000,
        runs=0,
    ),
}


def measure(seed: int = 1) -> dict[str, Any]:
    """Every figure of the page."""
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        pairs = {name: pool.submit(_pair, name, seed) for name in COMPARED}
        equal = pool.submit(_equal)
        return {
            "alpha": ALPHA,
            "runs": RUNS,
            "looked": LOOKED,
            "pairs": {name: found.result() for name, found in pairs.items()},
            "equal": equal.result(),
        }


def _pair(name: str, seed: int) -> dict[str, Any]:
    pair = COMPARED[name]
    queries = pair.make()
    needed = {
        reader: {method: _needed(queries, CLICK_MODELS[reader], method, seed, pair.sessions) for method in pair.methods}
        for reader in READERS
    }
    wins = {
        reader: {method: _wins(queries, reader, method, needed[reader][method], pair.runs) for method in PAIRS}
        for reader in (READERS if pair.runs else ())
    }
    ab = {reader: _ab(queries, CLICK_MODELS[reader], seed) for reader in READERS}
    credits = {reader: _credits(queries, CLICK_MODELS[reader], seed, pair.sessions) for reader in READERS}
    return {
        "about": pair.about,
        "topics": len(queries),
        "needed": needed,
        "credits": credits,
        "ab": ab,
        "wins": wins,
    }


def _equal() -> dict[str, dict[str, int]]:
    twins = [twin for one in digits("pca4") for twin in (one, Topic(a=one.b, b=one.a, gains=one.gains))]
    return {reader: {method: _called(twins, reader, method) for method in PAIRS} for reader in EVERY}


def _needed(queries: Sequence[Topic], clicks: ClickModel, method: str, seed: int, sessions: int) -> int | None:
    pool = pooled(voter(queries, clicks, method, f"{seed}:pool"), method, sessions)
    return interleaved_sessions(pool, ALPHA, np.random.default_rng(seed))


def _credits(queries: Sequence[Topic], clicks: ClickModel, seed: int, sessions: int) -> dict[str, int | None]:
    """What team draft needs with other credits: without picks that either would have made, and with clicks weighed by
    the inverse of how often a slot is clicked, at most to five times the weight of one that always is."""
    rng = Random(f"{seed}:slots")
    often = np.zeros(10)
    for _ in range(5000):
        topic = queries[rng.randrange(len(queries))]
        often[clicks.clicks(topic.seen(topic.a), rng)] += 1 / 5000
    weights = np.minimum(1.0, 0.2 / np.maximum(often, 1e-9))
    weights /= weights.max()

    def drawn(credit: Callable[[Page, list[int]], float]) -> Callable[[], float]:
        chance, numbers = Random(f"{seed}:credit"), count()

        def vote() -> float:
            topic = queries[chance.randrange(len(queries))]
            page = interleave(topic.a, topic.b, seed=f"{seed}:credit:{next(numbers)}")
            return 0.0 if page.same else credit(page, clicks.clicks(topic.seen(page.items), chance))

        return vote

    def unshared(page: Page, slots: list[int]) -> float:
        return float(np.sign(page.preference([page.items[slot] for slot in slots], function="unshared")))

    def weighed(page: Page, slots: list[int]) -> float:
        return float(np.clip(page.preference({page.items[slot]: weights[slot] for slot in slots}), -1.0, 1.0))

    pools = {
        "team-draft, unshared credit": pooled(drawn(unshared), "team-draft", sessions),
        # Team draft draws the opposite of each list as often, so that cutting off large sums is fair.
        "team-draft, clicks weighed by slot": pooled(drawn(weighed), "probabilistic", sessions),
    }
    return {name: interleaved_sessions(pool, ALPHA, np.random.default_rng(seed)) for name, pool in pools.items()}


def _ab(queries: Sequence[Topic], clicks: ClickModel, seed: int) -> dict[str, int | None]:
    rng = np.random.default_rng(seed)
    metrics = {name: [values(queries, clicks, arm, worth) for arm in "ab"] for name, worth in AB_METRICS.items()}
    metrics[CLICKS] = [_counted(queries, clicks, arm, f"{seed}:{arm}") for arm in "ab"]
    return {name: split_sessions(a, b, ALPHA, rng) for name, (a, b) in metrics.items()}


def _counted(queries: Sequence[Topic], clicks: ClickModel, arm: str, seed: str, sessions: int = 40_000) -> Floats:
    """How many clicks a session has: rows of (clicks, share of sessions)."""
    rng = Random(seed)
    told: dict[int, int] = {}
    for _ in range(sessions):
        topic = queries[rng.randrange(len(queries))]
        many = len(clicks.clicks(topic.seen(topic.a if arm == "a" else topic.b), rng))
        told[many] = told.get(many, 0) + 1
    return np.array([(float(many), n / sessions) for many, n in told.items()])


def _wins(queries: Sequence[Topic], reader: str, method: str, needed: int | None, runs: int) -> int:
    """Of some tests, how many found the better ranker within three times what 95 % need."""
    most = 3 * needed if needed is not None else 5000
    verdicts = [
        verdict(one_run(voter(queries, CLICK_MODELS[reader], method, f"win {run}"), method, ALPHA, most), ALPHA)
        for run in range(runs)
    ]
    return verdicts.count(Verdict.SAFE)


def _called(queries: Sequence[Topic], reader: str, method: str) -> int:
    """Of RUNS tests of equal rankers, looked at after each session, how many called them different."""
    verdicts = [
        verdict(one_run(voter(queries, CLICK_MODELS[reader], method, f"equal {run}"), method, ALPHA, LOOKED), ALPHA)
        for run in range(RUNS)
    ]
    return sum(one in (Verdict.SAFE, Verdict.HARMFUL) for one in verdicts)


HEAD = """\
# Interleaving, measured

How many sessions tests need, how often they find the better ranker, and how often they call equal rankers different.
This page is written by `python -m crossfade.sim.interleave_theory docs/theory` from `interleaving.json`, which the same
command measures; what the methods are is [told elsewhere](../concepts/interleaving-methods.md).

Sessions are simulated from judged documents: a topic is drawn, both rankers' ten best are merged, a reader clicks, the
session votes. *Sessions needed* is when 95 % of tests have found the better ranker, at {alpha:.0%} error over all
looks. The A/B test has the same readers, error and power, and is looked at as often; its sessions are those of both
halves.
"""


def page(found: Mapping[str, Any]) -> str:
    """The page that these figures make."""
    parts = [HEAD.format(**found)]
    for name, pair in found["pairs"].items():
        parts.append(f"## {name.capitalize()}\n\n{pair['about'].capitalize()}; {pair['topics']} topics.\n")
        rows = [
            (method, [pair["needed"][reader][method] for reader in READERS]) for method in pair["needed"][READERS[0]]
        ]
        credits = pair["credits"]
        rows += [(name, [credits[reader][name] for reader in READERS]) for name in credits[READERS[0]]]
        rows += [
            (f"A/B test, {metric}", [pair["ab"][reader][metric] for reader in READERS]) for metric in _metrics(pair)
        ]
        parts.append(_table("sessions needed", READERS, [(row, [_whole(one) for one in cells]) for row, cells in rows]))
        ratios = [
            (f"{method}, against {metric}", [_ratio(pair["ab"][r][metric], pair["needed"][r][method]) for r in READERS])
            for metric in _metrics(pair)
            for method in ("team-draft", _best(pair))
        ]
        parts.append(_table("times as many for the A/B test", READERS, list(dict(ratios).items())))
        if pair["wins"]:
            wins = [(m, [f"{pair['wins'][r][m]} of {found['runs']}" for r in READERS]) for m in PAIRS]
            parts.append(_table("better ranker found", READERS, wins))
    parts.append(
        "## Equal rankers\n\nEach topic of the digits comes twice, its rankings exchanged the second time. "
        f"Of {found['runs']} tests of {found['looked']} sessions, looked at after each, so many called them "
        "different:\n"
    )
    equal = [(method, [str(found["equal"][reader][method]) for reader in EVERY]) for method in PAIRS]
    parts.append(_table("called different", EVERY, equal))
    parts.append(_reading(found))
    return "\n".join(parts)


def _metrics(pair: Mapping[str, Any]) -> list[str]:
    return list(pair["ab"][READERS[0]])


def _best(pair: Mapping[str, Any]) -> str:
    """The method for gateways that needs fewest sessions, over all readers."""
    return min(PAIRS, key=lambda method: sum(np.log(pair["needed"][r][method] or 1e7) for r in READERS))


def _reading(found: Mapping[str, Any]) -> str:
    """Where the usual claim of a twentieth holds, counted."""
    told = []
    for name, pair in found["pairs"].items():
        for metric in _metrics(pair):
            there = [
                reader
                for reader in READERS
                if (pair["ab"][reader][metric] or 1e9) >= 20 * (pair["needed"][reader][_best(pair)] or 1e9)
            ]
            told.append(f"- {name}, {metric}: {', '.join(there) if there else 'no reader'}")
    return (
        "## Where interleaving needs a twentieth of the A/B test or less\n\n"
        "Of each pair, with the method for gateways that needs fewest sessions there:\n\n" + "\n".join(told) + "\n"
    )


def _table(corner: str, columns: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    lines = [f"| {corner} | {' | '.join(columns)} |", f"|{' --- |' * (len(columns) + 1)}"]
    return "\n".join([*lines, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows)]) + "\n"


def _whole(count: int | None) -> str:
    return "none found" if count is None else f"{count:,}"


def _ratio(ab: int | None, needed: int | None) -> str:
    if needed is None:
        return "–"
    return (
        f"> {10_000_000 / needed:,.0f}"
        if ab is None
        else f"{ab / needed:.2g}"
        if ab < 100 * needed
        else f"{ab / needed:,.0f}"
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    figures = folder / "interleaving.json"
    if "--page" not in sys.argv:
        figures.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    made = page(json.loads(figures.read_text(encoding="utf-8")))
    (folder / "interleaving.md").write_text(made, encoding="utf-8")
