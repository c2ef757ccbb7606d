"""Approvals with the real controller over made facts: who may give one, when it counts, and what ends it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from crossfade import ledger
from crossfade.approvals import IllegalApproval
from crossfade.rim.approving import approve_by_hand
from crossfade.rim.exporting import export
from crossfade.rim.record import ExportedRecord, LiveRecord
from crossfade.rim.replaying import chains, replay
from crossfade.rim.standing import move_by_hand, standing
from crossfade.rim.store import Store
from crossfade.rim.verifying import check
from crossfade.spec.parse import parse
from crossfade.state import IllegalMove, Move, Phase
from crossfade.view.approval import evidence_digest, verdicts_digest

from .recorded import NAME, SPEC, make

pytestmark = pytest.mark.timeout(400)

ONE = SPEC.replace("at_most: 1d}}", "at_most: 1d}, approve: [ana, ben]}")
TWO = SPEC.replace("watch: 20s}", "watch: 20s, approve: {by: [ana, ben, cy], needed: 2}}")
SOON = TWO.replace("at_most: 1d}", "at_most: 60s}")


def by(name: str) -> dict[str, object]:
    return {"through": "token", "token": name, "roles": ["approver"]}


def give(store: Store, name: str, at: float, **more: object) -> ledger.Entry:
    return approve_by_hand(store, NAME, actor=name, reason="read it", at=at, by=by(name), **more)  # type: ignore[arg-type]


def waits(store: Store, now: float) -> bool:
    approval = standing(store, NAME, now)["approval"]
    return bool(approval and approval["waiting"])


def test_silence_never_advances(tmp_path: Path) -> None:
    said: list[str] = []
    numbers, digests = set(), set()

    def after(store: Store, now: float) -> None:
        if waits(store, now):
            record = standing(store, NAME, now)
            said.append(record["sentence"])
            numbers.add(evidence_digest(record["evidence"]))
            digests.add(record["approval"]["shown"])

    assert make(tmp_path, wrong=0.05, ticks=14, spec=ONE, after=after) is Phase.RUNNING
    store = Store(tmp_path)
    assert store.get(NAME).position.stage == 0
    assert len(said) > 3
    assert "Waiting for the approval of ana or ben to go on to ab" in said[-1]
    record = standing(store, NAME, 0.0)
    assert said[-1].endswith(f"Evidence {record['approval']['shown'][:12]}.")
    # Traffic flows, so the numbers are others at each look; what somebody read before can still be approved.
    assert len(numbers) > 3
    assert digests == {verdicts_digest("ab", store.get(NAME).revision, record["evidence"])}
    assert (record["tone"], record["approval"]["missing"]) == ("amber", 1)
    assert [entry.move for entry in store.entries(NAME)] == [None, "start", "advance"]


def test_one_of_a_list_is_enough_and_the_record_reproduces_it(tmp_path: Path) -> None:
    def after(store: Store, now: float) -> None:
        if waits(store, now):
            give(store, "ben", now)

    assert make(tmp_path / "data", wrong=0.05, spec=ONE, after=after) is Phase.PROMOTED
    store = Store(tmp_path / "data")
    entries = store.entries(NAME)
    [entry] = [one for one in entries if one.rule == "approve"]
    assert (entry.actor, entry.by, entry.move) == ("ben", by("ben"), None)
    assert entry.about is not None
    assert entry.about["shown"] == verdicts_digest("ab", entry.revision, entry.evidence)
    assert entry.about["stage"] == "ab"
    after_it = entries[entry.n]
    assert (after_it.move, after_it.rule) == ("advance", "cleared")
    assert after_it.sentence.endswith("; approved by ben.")
    record = LiveRecord(tmp_path / "data", NAME)
    export(record, tmp_path / "out", at=0.0)
    record.close()
    carried = ExportedRecord(tmp_path / "out")
    assert check(carried).intact
    again = replay(carried)
    assert not again.differing
    assert [one.move for one in again.looked].count("approve") == 1


@pytest.fixture(scope="module")
def approved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of a rollout with an approval."""

    def after(store: Store, now: float) -> None:
        if waits(store, now):
            give(store, "ben", now)

    folder = tmp_path_factory.mktemp("approved")
    make(folder / "data", wrong=0.05, spec=ONE, after=after)
    record = LiveRecord(folder / "data", NAME)
    export(record, folder / "out", at=0.0)
    record.close()
    return folder / "out"


def written_anew(exported: Path, to: Path, old: str, new: str) -> ExportedRecord:
    """The same record with its whole chain written anew, and one word in it changed."""
    shutil.copytree(exported, to)
    file, chained, last = to / "ledger.jsonl", [], None
    for line in file.read_bytes().splitlines():
        said = json.loads(line.replace(old.encode(), new.encode()))
        body = {k: v for k, v in said.items() if k not in ("schema", "n", "previous", "hash")}
        last = ledger.append(last, ledger.Body(**body))
        chained.append(ledger.canonical(last.to_json()))
    file.write_bytes(b"\n".join(chained) + b"\n")
    return ExportedRecord(to)


def test_approvals_by_the_digest_of_all_numbers_still_reproduce(approved: Path, tmp_path: Path) -> None:
    [entry] = [one for one in chains(ExportedRecord(approved))[0] if one.rule == "approve"]
    assert entry.about is not None
    now = entry.about["shown"]
    before = written_anew(approved, tmp_path / "before", now, evidence_digest(entry.evidence))
    assert not replay(before).differing
    other = written_anew(approved, tmp_path / "other", now, "0" * 64)
    assert any(
        "the evidence is not what was shown" in line for one in replay(other).differing for line in one.differences
    )


def test_an_approval_that_was_forged_into_the_record_is_found(approved: Path, tmp_path: Path) -> None:
    # Whoever writes the whole chain anew, in the name of somebody who may not approve, is told from the spec.
    text = (approved / "ledger.jsonl").read_text()
    assert '"actor":"ben"' in text
    assert '"by":"ben"' in text
    forged = written_anew(approved, tmp_path / "forged", ':"ben"', ':"eve"')
    differing = replay(forged).differing
    assert any("eve cannot approve ab: that is for ana or ben" in line for one in differing for line in one.differences)


def test_two_persons_have_to_be_two(tmp_path: Path) -> None:
    seen: list[str] = []

    def after(store: Store, now: float) -> None:
        if not waits(store, now) or seen:
            return
        digest = standing(store, NAME, now)["approval"]["shown"]
        with pytest.raises(IllegalApproval, match="eve cannot approve promote: that is for ana, ben or cy"):
            give(store, "eve", now)
        with pytest.raises(IllegalApproval, match="the evidence is not what was shown any more"):
            give(store, "ana", now, shown="0123456789ab")
        give(store, "ana", now, shown=digest[:12])
        with pytest.raises(IllegalApproval, match="ana has approved promote already; it takes 2 different people"):
            give(store, "ana", now)
        with pytest.raises(IllegalApproval, match="nobody approves twice"):
            approve_by_hand(store, NAME, actor="ben", reason="me again", at=now, by=by("ana"))
        for move in (Move.PROMOTE, Move.ADVANCE):
            with pytest.raises(IllegalMove, match=f"{move} into or past promote without the approval of 2 of ana"):
                move_by_hand(store, NAME, move, actor="ana", reason="now", at=now)
        assert standing(store, NAME, now)["approval"]["given"] == [{"by": "ana", "shown": digest}]
        seen.append(digest)

    assert make(tmp_path, wrong=0.05, spec=TWO, ticks=26, after=after) is Phase.RUNNING
    store = Store(tmp_path)
    assert "given by" not in store.get(NAME).position.phase
    assert standing(store, NAME, 0.0)["approval"]["missing"] == 1
    assert ", ana has" in standing(store, NAME, 0.0)["sentence"]
    give(store, "cy", store.entries(NAME)[-1].at + 1.0)
    assert standing(store, NAME, 0.0)["approval"]["missing"] == 0
    assert move_by_hand(store, NAME, Move.PROMOTE, actor="ana", reason="now", at=1e10).move == "promote"


def test_approvals_lapse_with_a_hold_and_with_a_new_revision(tmp_path: Path) -> None:
    done: list[str] = []

    def after(store: Store, now: float) -> None:
        if not waits(store, now) or len(done) > 1:
            return
        give(store, "ana", now)
        assert len(store.get(NAME).position.approvals) == 1
        if not done:
            move_by_hand(store, NAME, Move.HOLD, actor="ben", reason="wait", at=now)
            assert store.get(NAME).position.approvals == ()
            with pytest.raises(IllegalApproval):
                give(store, "cy", now)
            move_by_hand(store, NAME, Move.RESUME, actor="ben", reason="go on", at=now)
            done.append("hold")
        else:
            changed = TWO.replace("watch: 20s", "watch: 25s")
            store.add(changed, parse(changed), now)
            assert store.get(NAME).position.approvals == ()
            assert store.entries(NAME)[-1].sentence.endswith("What ana had approved was another, so that has lapsed.")
            # What is shown is still of the old revision: nobody can approve it.
            with pytest.raises(IllegalApproval, match="does not wait for an approval now"):
                give(store, "cy", now)
            done.append("revision")

    make(tmp_path, wrong=0.05, spec=TWO, after=after)
    assert done == ["hold", "revision"]
    assert ledger.verify(Store(tmp_path).entries(NAME)).intact


def test_who_does_not_approve_in_time_leaves_the_champion_its_place(tmp_path: Path) -> None:
    assert make(tmp_path, wrong=0.05, spec=SOON) is Phase.ROLLED_BACK
    last = Store(tmp_path).entries(NAME)[-1]
    assert last.rule == "overdue"
    assert "the approval of 2 of ana, ben or cy was not given" in last.sentence


def test_harm_ends_what_was_approved(tmp_path: Path) -> None:
    def after(store: Store, now: float) -> None:
        if waits(store, now):
            give(store, "ben", now)

    assert make(tmp_path, wrong=0.9, spec=ONE, after=after) is Phase.ROLLED_BACK
    assert Store(tmp_path).get(NAME).position.approvals == ()


def test_nothing_is_approved_before_it_is_asked_for(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(ONE, parse(ONE), 0.0)
    with pytest.raises(IllegalApproval, match="does not wait for an approval now"):
        give(store, "ana", 1.0)
    move_by_hand(store, NAME, Move.START, actor="ana", reason="go", at=2.0)
    with pytest.raises(IllegalApproval, match="does not wait for an approval now"):
        give(store, "ana", 3.0)
    move_by_hand(store, NAME, Move.ADVANCE, actor="ana", reason="the step", at=4.0)
    with pytest.raises(IllegalMove, match="cannot advance into or past ab without the approval of ana or ben"):
        move_by_hand(store, NAME, Move.ADVANCE, actor="ana", reason="the stage", at=5.0)
    # Nobody jumps over a stage that asks for approval either.
    with pytest.raises(IllegalMove, match="cannot promote into or past ab"):
        move_by_hand(store, NAME, Move.PROMOTE, actor="ana", reason="all", at=6.0)
