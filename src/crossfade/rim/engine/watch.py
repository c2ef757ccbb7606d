"""One rollout kept up: each look takes in the facts that are new, and its answers equal those asked anew of everything.

What a unit gave to a sum is taken off and what it gives now is put on, so that a look costs what is new, not what is
old. All of it is in memory and none of it on disk: after a restart the facts are read once more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from crossfade.judge.measure import Question
from crossfade.judge.measure.assemble import Rows
from crossfade.judge.measure.measured import Received
from crossfade.judge.measure.outcomes import LARGEST, copied_by, predicted_by
from crossfade.judge.measure.tables import EXPOSING, FACTS, SLACK, Expr, arrivals, fallen, greetings, visits
from crossfade.judge.moments import Ints
from crossfade.rim.engine.amending import amend
from crossfade.rim.engine.corrections import Corrections
from crossfade.rim.engine.decisions import Decisions
from crossfade.rim.engine.feed import Feed, Rewritten
from crossfade.rim.engine.here import Here
from crossfade.rim.engine.hits import NOBODY, Hits
from crossfade.rim.engine.keys import KeyIndex
from crossfade.rim.engine.look import look_mode
from crossfade.rim.engine.reach import Touched
from crossfade.rim.engine.segmenting import Segments
from crossfade.rim.engine.session import Session, compiled, number, reading, text
from crossfade.rim.engine.stage import StageUnits
from crossfade.rim.engine.sums import Sums
from crossfade.rim.engine.triggering import Entered
from crossfade.rim.lake import Lake
from crossfade.spec.model import Interleave, Kind, Rollout, Shadow, Source
from crossfade.state import Position

RAW = ("compared", "shown", "dropped", "lease", "fault")
"""Kinds of which the rows themselves are kept, because their questions are asked anew each time."""

GROUPED = ("canary", "ab", "promote")
"""Modes that compare groups of units, whose questions are sums over these or counts of facts."""

EVERYBODY = """SELECT hash(decision_id) AS decision, hash(unit) AS who, {arm} AS arm, step, weight, failed, latency_ms,
    {more}"at", mode IN {modes} AS exposing, stage = {stage} AND mode = {mode} AND "at" >= {since} - {slack} AS scoped
    FROM exposed WHERE unit <> ''"""

EXPOSED = """SELECT unit, arm, step, weight, failed, latency_ms, {more}"at" - {since} AS elapsed
    FROM everybody WHERE scoped"""

VISITS = """SELECT unit, arm, step, count(*) AS requests, sum(latency_ms) AS latency,
    sum(failed::BIGINT)::BIGINT AS failures FROM exposures GROUP BY unit, arm, step"""

MET = """SELECT unit, arm, min("at") AS since, sum(failed::BIGINT)::BIGINT AS failures, count(*) AS requests
    FROM everybody WHERE exposing GROUP BY unit, arm"""

OUTCOMES = """SELECT decision_id <> '' AS told, hash(CASE WHEN decision_id <> '' THEN decision_id ELSE unit END) AS key,
    {name} AS name, value, "at", received_at AS received, hash(outcome_id, name, decision_id, rollout, unit) AS ident
    FROM outcome WHERE coalesce(corrects, '') = ''"""

CORRECTIONS = """SELECT decision_id <> '' AS told,
    hash(CASE WHEN decision_id <> '' THEN decision_id ELSE unit END) AS key, value, received_at AS received,
    outcome_id AS id, hash(outcome_id, name, decision_id, rollout, unit) AS ident,
    hash(corrects, name, decision_id, rollout, unit) AS target FROM outcome WHERE coalesce(corrects, '') <> ''"""


PAIRS = """SELECT hash(decision_id) AS decision, bool_or(differs OR champion_failed <> challenger_failed) AS differs
    FROM ({facts}) WHERE stage = {stage} AND "at" >= {since} - {slack} AND coalesce(len(unmeasured), 0) = 0
    GROUP BY ALL"""

DUE = """SELECT decision, unit, arm, step, weight, "at" - {since} AS elapsed FROM everybody WHERE scoped AND copied"""

PREDICTIONS = """SELECT hash(unit) AS key, {side}_numbers[1] AS value, "at", "at" AS received,
    coalesce(served, '') = '' AS hidden,
    hash(decision_id, arm, '{side}') AS ident FROM ({facts})
    WHERE unit <> '' AND NOT {side}_failed AND abs({side}_numbers[1]) <= {largest}"""


_NO_PAIRS: Rows = {"decision": np.zeros(0, dtype=np.uint64), "differs": np.zeros(0, dtype=bool)}


class Watch:
    """What is known of one rollout. Any error leaves it unusable."""

    def __init__(self, lake: Lake, rollout: Rollout, decisions: Decisions, threads: int) -> None:
        self.rollout = rollout
        self.moment = -np.inf
        self._lake = lake
        self._decisions = decisions
        self._batch, self._raw = Session(threads), Session(threads)
        wanted = {"segments": bool(rollout.segments), "copied": any(metric.differing for metric in rollout.metrics)}
        self._feed = Feed(lake, self._batch, without=[name for name, yes in wanted.items() if not yes])
        self._more = "".join(f"{name}, " for name, yes in wanted.items() if yes)
        # Numbers in the order of the names, so that ties are broken alike by name and by number; 0 is any other arm.
        self._arms = ["", *sorted(arm.name for arm in (rollout.champion, *rollout.challengers))]
        self._units = KeyIndex()
        self._names = rollout.outcome_names
        self._sides = sorted({metric.predicted for metric in rollout.metrics} - {""})
        self._hits = Hits([*self._names, *map(predicted_by, self._sides), *map(copied_by, self._sides)])
        self._guessed = np.zeros(0, dtype=np.int64)
        """Predictions that the next batch takes in."""
        self._paired: list[Rows] = []
        """Pairs that it takes in."""
        self._guesses = 0
        events = {m.outcome or m.name for m in rollout.metrics if (m.source, m.kind) == (Source.OUTCOME, Kind.RATE)}
        self._touched = Touched(self._hits, sorted(events), self._arms)
        self._stages: set[int] = set()
        self._scope: tuple[int, str, float] | None = None
        self._versions: dict[str, int] | None = None
        self._latest = -np.inf
        """The time of the latest fact of `RAW`."""
        self.still = False
        """Whether the last look found what the one before it had found: nothing is new, and no window has closed."""
        self._corrections = Corrections(self._hits)
        for kind, name in (*zip(RAW, RAW, strict=True), ("outcome", "reported")):
            self._raw.empty(name, FACTS[kind])

    def look(
        self, position: Position, versions: Mapping[str, int], now: float, progress: Callable[[], None] = lambda: None
    ) -> None:
        """Take in what is new, and say so after each part. Raises Rewritten when only reading all anew will do."""
        scope = (position.stage, look_mode(self.rollout, position), position.stage_since)
        entered = scope != self._scope
        if entered:
            if position.stage in self._stages:
                raise Rewritten
            self._enter(scope)
        if now < self.moment:
            raise Rewritten
        self.still = not entered and self._quiet(scope, now)
        known, self.moment, self._versions = self._versions, now, dict(versions)
        if self.still and versions == known and not self._feed.waits:
            return
        for session in (self._batch, self._raw):
            session.look(self.rollout.name, *scope, now)
        self.still = not self._keep(versions) and self.still
        for _ in self._feed.batches(versions, self._wanted(), now):
            if self.still and self._feed.empty:
                continue
            self.still = False
            self._absorb(scope[2], now)
            progress()
        if not self.still:
            amend(Here(self._raw))

    def _quiet(self, scope: tuple[int, str, float], now: float) -> bool:
        """Whether the time that has passed changes no answer by itself, but for how long outcomes have waited.

        What shadows and interleaved lists ask is asked anew, as it depends on the time in more ways.
        """
        return (
            self._versions is not None
            and scope[1] in GROUPED
            and not len(self._guessed)
            and not self._paired
            and self._latest <= self.moment
            and self._sums.quiet(now - scope[2])
        )

    def close(self) -> None:
        """Free the memory."""
        self._batch.close()
        self._raw.close()

    # -- what is asked -------------------------------------------------------------------------------------------------

    def ask(self, question: Question) -> Rows:
        """The rows of a question."""
        if question.by_unit:
            return self._sums.rows(question)
        return self._raw.rows(compiled(question.key, question.build))

    def segments(self, fields: int) -> Rows:
        """Units by segment, over so many fields."""
        return Segments(fields).heard() if self._sums.segments is None else self._sums.segments.heard()

    def count(self, name: str, build: Callable[[], Expr]) -> Rows:
        """The rows of a query of `measure.counts`."""
        arms = np.asarray(self._arms, dtype=object)
        match name:
            case "requests" | "step-units":
                return self._sums.counts[name].rows()
            case "exposed-units":
                came = self._stage.units_by_arm > 0
                return {"arm": arms[came], "units": self._stage.units_by_arm[came]}
            case "reach":
                return self._touched.rows()
            case "tallied" if self._sums.triggers is not None:
                return self._sums.triggers.tallied(arms)
        return self._raw.rows(compiled((name,), build))

    def events(self, name: str, champion: str) -> Rows:
        """Over the whole rollout, units per arm with an outcome of that name."""
        return self._touched.events(name)

    def orphans(self, now: float) -> tuple[int, int]:
        """Outcomes without a decision, and those that are merely early."""
        return self._decisions.lost(now)

    def received(self, names: tuple[str, ...]) -> Received:
        """What became of outcomes of the names that the rollout asks for."""
        return Received(
            received=self._hits.known - self._guesses,
            corrected=self._corrections.corrected,
            astray=self._corrections.waiting,
        )

    # -- what comes in -------------------------------------------------------------------------------------------------

    def _enter(self, scope: tuple[int, str, float]) -> None:
        self._scope = scope
        self._hits.leave()
        self._stage = StageUnits(len(self._arms))
        self._sums = Sums(self._batch, self._hits, self.rollout, scope[1], self._arms)
        for kind in ("compared", "shown"):
            self._raw.run(f"DELETE FROM {kind} WHERE stage <> {scope[0]}")
        self._paired.clear()
        # Some of the stage may have been read before it was looked at.
        self._pair("SELECT * FROM compared")

    def _wanted(self) -> dict[str, str]:
        name = text(self.rollout.name)
        names = ", ".join(map(text, self._names))
        mine = f"(decision_id <> '' OR (unit <> '' AND rollout = {name}))"
        return {"exposed": f"rollout = {name}", "outcome": f"name IN ({names}) AND {mine}" if names else "FALSE"}

    def _keep(self, versions: Mapping[str, int]) -> bool:
        """Whether there is anything new of these kinds."""
        name, some = text(self.rollout.name), False
        where = dict.fromkeys(("compared", "shown", "dropped"), f"rollout = {name}") | {
            "fault": f"rollout IN ('', {name})"
        }
        for kind in RAW:
            files = self._feed.new_files(kind, versions)
            if files:
                facts = reading(kind, files, where.get(kind, "TRUE"))
                new = self._raw.rows(f'SELECT count(*) AS n, coalesce(max("at"), 0.0) AS latest FROM ({facts})')
                if not int(new["n"][0]):
                    continue
                some, self._latest = True, max(self._latest, float(new["latest"][0]))
                self._raw.run(f"INSERT INTO {kind} {facts}")
                if kind == "compared":
                    self._guess(facts)
                    self._pair(facts)
        return some

    def _pair(self, facts: str) -> None:
        """Take in which requests differ, where a metric is about their units alone."""
        if self._sums.triggers is not None and self._scope is not None:
            given = {"stage": self._scope[0], "since": number(self._scope[2]), "slack": SLACK}
            self._paired.append(self._raw.rows(PAIRS.format(facts=facts, **given)))

    def _guess(self, facts: str) -> None:
        """Take in what both sides predicted for mirrored requests, where a metric is adjusted for it."""
        for side in self._sides:
            rows = self._raw.rows(PREDICTIONS.format(side=side, facts=facts, largest=LARGEST))
            count = len(rows["value"])
            owners = {"unit": self._units.number(rows["key"]), "decision": np.full(count, NOBODY, dtype=np.int64)}
            hidden, copied = (self._hits.names[name] for name in (predicted_by(side), copied_by(side)))
            name = np.where(rows["hidden"].astype(bool), hidden, copied)
            kept = {one: rows[one] for one in ("value", "at", "received", "ident")}
            self._guessed = np.concatenate([self._guessed, self._hits.take({**kept, **owners, "name": name})])
            self._guesses += count

    def _absorb(self, since: float, now: float) -> None:
        """Take in one batch: the tables `exposed` and `outcome` of the session."""
        batch = self._batch
        self._sums.counts["requests"].add(1)
        self._stages |= {int(stage) for stage in batch.rows("SELECT DISTINCT stage FROM exposed")["stage"]}
        self._number()
        batch.table("exposures", EXPOSED.format(since=number(since), more=self._more))
        arrived = batch.rows(compiled(("greetings-at-once",), lambda: greetings(arrived=arrivals(visits()))))
        fell = batch.rows(compiled(("fallen",), fallen))
        met = self._touched.meet(batch.rows(MET))
        exposed, (told, revised) = self._expose(), self._outcomes()
        hit = np.concatenate([exposed, told, self._guessed])
        self._guessed = self._guessed[:0]
        change = self._stage.absorb(arrived, fell, batch.rows(VISITS), self._units.count)
        self._touched.happen(batch, self.rollout.champion.name, hit, revised, met)
        self._sums.apply(self._stage, change, self._trigger(since), hit, revised, since, now)
        if self._sums.segments is not None:
            self._sums.move(self._stage, self._sums.segments.absorb(batch, self._units.count))
        self._sums.renew(self._stage)

    def _trigger(self, since: float) -> Entered | None:
        """Learn which units entered at a request that is known to differ; None where nobody asks."""
        triggers = self._sums.triggers
        if triggers is None:
            return None
        due = self._batch.rows(DUE.format(since=number(since)))
        found, self._paired = self._paired, []
        pairs = {name: np.concatenate([rows[name] for rows in found]) for name in found[0]} if found else _NO_PAIRS
        return triggers.absorb(due, pairs, self._units.count)

    def _number(self) -> None:
        """Make the table `everybody`: exposures of units by number, and what each is for."""
        assert self._scope is not None
        stage, mode, since = self._scope
        arm = f"coalesce(list_position([{', '.join(map(text, self._arms))}], arm), 1) - 1"
        given = {"stage": stage, "mode": text(mode), "since": number(since), "slack": SLACK}
        self._batch.table("hashed", EVERYBODY.format(arm=arm, modes=EXPOSING, more=self._more, **given))
        who = self._batch.rows("SELECT DISTINCT who FROM hashed")["who"]
        self._batch.given("numbered", {"who": who, "unit": self._units.number(who)})
        self._batch.table("everybody", "SELECT * FROM hashed JOIN numbered USING (who)")

    def _expose(self) -> Ints:
        """Learn whose the new decisions are; the outcomes that waited for them."""
        rows = self._batch.rows("SELECT decision, unit, arm, exposing, scoped FROM everybody")
        pair = np.where(rows["exposing"], self._touched.pairs(rows["unit"], rows["arm"].astype(np.int64)), NOBODY)
        decision = self._decisions.keys.number(rows["decision"])
        self._hits.scope(decision[rows["scoped"]])
        return self._hits.expose(decision, rows["unit"], pair)

    def _outcomes(self) -> tuple[Ints, Ints]:
        """Take in outcomes: those whose unit is known, and those whose value is another than it was."""
        names = ", ".join(map(text, self._names))
        if not names:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
        rows = self._batch.rows(OUTCOMES.format(name=f"list_position([{names}], name) - 1"))
        self._votes()
        kept = {name: rows[name] for name in ("name", "value", "at", "received", "ident")}
        before = self._hits.log.count
        known = self._hits.take({**kept, **self._owners(rows)})
        rows = self._batch.rows(CORRECTIONS)
        return known, self._corrections.take({**rows, **self._owners(rows)}, np.arange(before, self._hits.log.count))

    def _owners(self, rows: Rows) -> dict[str, Ints]:
        """The unit or the decision that each outcome names, as numbers."""
        told = rows["told"].astype(bool)
        decision = np.full(len(told), NOBODY, dtype=np.int64)
        unit = decision.copy()
        decision[told] = self._decisions.keys.number(rows["key"][told])
        unit[~told] = self._units.number(rows["key"][~told])
        return {"decision": decision, "unit": unit}

    def _votes(self) -> None:
        """Keep labels and the outcomes that credit interleaved lists: questions about them are asked anew each time."""
        stage = self.rollout.stages[self._scope[0]] if self._scope else None
        names = [one.outcome for one in stage.credit] if isinstance(stage, Interleave) else _labels(self.rollout)
        if isinstance(stage, Interleave | Shadow) and names:
            told = ", ".join(map(text, names))
            rows = self._batch.connection.sql(f"SELECT * FROM outcome WHERE name IN ({told})").to_arrow_table()
            self._raw.connection.register("credited", rows)
            self._raw.run("INSERT INTO reported SELECT * FROM credited")
            self._raw.connection.unregister("credited")


def _labels(rollout: Rollout) -> list[str]:
    """The names of outcomes that predictions are set against."""
    return sorted({m.outcome or m.name for m in rollout.metrics if m.source is Source.PREDICTION})
