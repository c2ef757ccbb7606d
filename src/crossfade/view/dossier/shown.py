"""How far to trust it: limits of the method, whether the record holds, how to check that, and how long it is kept."""

from __future__ import annotations

from crossfade.view.dossier.blocks import Block, Part, code, heading, items, table, text
from crossfade.view.dossier.decided import assumptions
from crossfade.view.dossier.known import Known
from crossfade.view.dossier.questions import FOLDER
from crossfade.view.words import duration, moment, percent, whole

SIX_MONTHS = 183 * 86_400.0


def method(known: Known) -> Part:
    """What such evidence can and cannot say."""
    rollout = known.rollout
    told = assumptions(known)
    return Part(
        id="method",
        title="Limits of the method, in plain words",
        blocks=[
            items(
                [
                    "Evidence is about what was measured, for the units that came, in the time that is shown. It says "
                    "nothing of other people, of later times, or of harm that no metric counts.",
                    f"“Safe” means: not worse than the margin, wrong at most {percent(rollout.alpha)} of the time. It "
                    "does not mean that there is no difference.",
                    "What people knew beyond these numbers when they acted is recorded only as far as they "
                    "gave it as a reason.",
                    "“Undecided” is not “no difference”: there was not enough evidence for either. “Unmeasured” means "
                    "that there was nothing to judge.",
                    "Intervals hold at every look at once, so that stopping early does not make them wrong. They are "
                    "wider than those of a test that looks once.",
                    "Differences are between arms at the same time: what changes for both alike is not seen as "
                    "a difference. "
                    "Units that talk to each other, or one person with two identities, are taken for separate units.",
                    "The chances of error hold for a rollout as a whole; over many rollouts errors add up.",
                ]
            ),
            heading("What the evidence takes for granted"),
            items(told) if told else text("No evidence was decided on."),
        ],
    )


def integrity(known: Known) -> Part:
    """Whether the record is whole, and how a reader checks that without believing this page."""
    verified, replayed, name = known.verified, known.replayed, known.rollout.name
    blocks: list[Block] = []
    missing = []
    if verified["intact"]:
        facts = f"{whole(verified['facts'])} files of facts" if verified["facts"] is not None else "no facts"
        blocks.append(
            text(
                f"When this was written, {verified['entries']} entries of the ledger and {facts} in "
                f"{verified['seals']} seals held: each record has the hash that the next one names, no number is "
                "missing, and each file has the digest it was sealed with."
            )
        )
    else:
        blocks.append(text(f"THE RECORD DOES NOT HOLD. {verified['reason']}."))
        missing.append(f"a record that holds: it is broken at {verified['first_broken']}")
    if replayed.get("decisions") is not None:
        blocks.append(
            text(
                f"{replayed['reproduced']} of {replayed['decisions']} decisions were reproduced from the facts "
                f"({replayed['by_hand']} of them made by people, and only carried out again)."
            )
        )
        if gone := replayed.get("aged_out"):
            blocks.append(
                text(
                    f"{gone} more aged out, as recorded: the facts they stood on were deleted beyond the time "
                    "for which the "
                    "spec keeps them, so that nobody can recompute them."
                )
            )
            missing.append(f"the facts of {gone} decisions, which were deleted in their time")
        for one in replayed["differing"]:
            blocks.append(items([f"entry {one['n']}: {difference}" for difference in one["differences"]]))
            missing.append(f"entry {one['n']} could not be reproduced")
    else:
        missing.append("the decisions, recomputed from the facts")
    if verified["signed"]["by"]:
        blocks.append(text(f"Signed (Ed25519) by {', '.join(verified['signed']['by'])}."))
    blocks.append(text(f"The last entry of the ledger has the hash {verified['head']}."))
    if verified["not_shown"]:
        blocks += [text("What this does not show:"), items(verified["not_shown"])]
    if not verified["signed"]["by"]:
        missing.append("signatures: nobody's key vouches for the record")
    commands = f"""\
pip install crossfade                       # {known.software} wrote this
crossfade export {name} -o FOLDER           # where the data is; then carry FOLDER anywhere
crossfade verify {name} --folder FOLDER --expect {verified["head"]}
crossfade replay {name} --folder FOLDER     # every decision, recomputed from the facts
crossfade report {name} --folder FOLDER -o again.html"""
    blocks += [
        heading("How to check it"),
        text(
            "This page proves nothing by itself: anybody can write such a page. What it says can be found out "
            "anew from "
            f"the record, on another machine and by people who trust nobody, with {FOLDER} for the folder that was "
            "exported. Beside each table stands the command that gives its numbers again; those that begin with "
            "`crossfade facts` are plain SQL over Parquet files, which other programs can ask as well. If the "
            "rollout went on "
            "after this was written, an export made later counts more."
        ),
        code(commands),
    ]
    return Part(
        id="integrity",
        title="Whether this holds, and how to check",
        blocks=blocks,
        missing=missing,
        trace=f"crossfade verify {name} --folder FOLDER --json; crossfade replay {name} --folder FOLDER --json",
    )


def retention(known: Known) -> Part:
    """What is kept about people, for how long, and what was taken out of the record on purpose."""
    rollout = known.rollout
    kept = rollout.keep_facts
    enough = kept >= SIX_MONTHS
    named = (
        "Units are recorded under pseudonyms, whose key is no part of the record."
        if rollout.pseudonyms
        else "Units are recorded as requests name them; the spec asks for no pseudonyms."
    )
    replies = (
        f"Of replies, {percent(rollout.examples.share)} of those that differ in shadow are kept as examples"
        + (f", without {', '.join(rollout.redact)}." if rollout.redact else ", as they are.")
        if rollout.examples
        else "No reply is kept."
    )
    erased = [entry for entry in known.entries if (entry.about or {}).get("erased")]
    rows = [(f"entry {entry.n}", moment(entry.at), entry.actor, entry.sentence) for entry in erased]
    blocks = [
        text(f"{named} No request is kept. {replies}"),
        text(
            f"Facts are kept for {duration(kept)} after they were recorded, and never deleted while the rollout "
            "runs. The ledger and the seals are not deleted. That facts are deleted is sealed before it is done."
        ),
        text("Nothing was taken out of the record so far.")
        if not rows
        else table(("where", "when (UTC)", "who asked", "what was taken out of the record"), rows),
    ]
    return Part(
        id="retention",
        title="Privacy, and how long records are kept",
        blocks=blocks,
        missing=[] if enough else [f"six months: keep_facts is {duration(kept)}"],
        trace=f"cat FOLDER/specs/{rollout.revision}.yaml; cat FOLDER/ledger.jsonl",
    )
