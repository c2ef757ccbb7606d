"""`crossfade compare`: two files of recorded replies, joined by id and set side by side field by field."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfade.cli.common import PROBLEM, AsJson, console, fail, print_json
from crossfade.cli.progress import working
from crossfade.spec.model import Comparator, Comparison, Protocol

if TYPE_CHECKING:
    from crossfade.rim.joined import Joined
    from crossfade.view.comparison import Comparing

_Paths = list[str] | None


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("compare")(compare)


def compare(
    champion: Annotated[Path, typer.Argument(metavar="A", help="The champion's replies.")],
    challenger: Annotated[Path, typer.Argument(metavar="B", help="The challenger's replies to the same requests.")],
    noise: Annotated[Path | None, typer.Option(metavar="C", help="The champion's second answers.")] = None,
    spec: Annotated[Path | None, typer.Option(help="Take protocol, comparisons, margin and alpha from a spec.")] = None,
    protocol: Annotated[Protocol | None, typer.Option(help="How replies are read. json unless given.")] = None,
    rule: Annotated[
        _Paths, typer.Option("--field", metavar="PATH=RULE", help="Such as '$.score={as: number, relative: 1%}'.")
    ] = None,
    tolerance: Annotated[
        _Paths, typer.Option(metavar="PATH=SIZE", help="Of a number: 1% of its size, or 0.5 in its own units.")
    ] = None,
    mute: Annotated[
        _Paths, typer.Option(metavar="PATH=REASON", help="Show differences of a field, but do not count them.")
    ] = None,
    embedding: Annotated[
        _Paths,
        typer.Option(metavar="PATH=FUNCTION", help="Of a text: your own module:function from texts to vectors."),
    ] = None,
    redact: Annotated[_Paths, typer.Option(metavar="PATH", help="Never show values of a field.")] = None,
    margin: Annotated[
        str | None,
        typer.Option(help="Share of pairs that may differ beyond the champion's own noise. 1% unless given."),
    ] = None,
    alpha: Annotated[str | None, typer.Option(help="How often a verdict may be wrong. 5% unless given.")] = None,
    examples: Annotated[int, typer.Option(help="Examples kept of each field.", min=0, max=100)] = 3,
    json: AsJson = False,
) -> None:
    """Say where two models' recorded replies differ, and whether it is more than noise.

    A, B and C are JSON lines of {"id": ..., "response": ...} (also .gz, or Parquet with those columns), in any order.

    Exit code 0: no field differs beyond the margin; 1: some do, or replies are unusable; 2: wrong use.
    """
    from crossfade.cli.specs import named_rollout

    rollout = named_rollout(spec, as_json=json) if spec is not None else None
    for file in (champion, challenger, noise):
        if file is not None:
            _readable(file, json)
    from crossfade.live.compare import Rules
    from crossfade.rim.joined import Joined
    from crossfade.rim.theirs import embed
    from crossfade.view.comparison import Comparing, margin_of

    rules = [*(rollout.compare if rollout else ()), *_rules(rule, tolerance, mute, embedding, json)]
    comparing = Comparing(
        protocol=protocol or (rollout.protocol if rollout else Protocol.JSON),
        rules=Rules(rules, embed),
        margin=_share("--margin", margin, json) if margin is not None else margin_of(rollout),
        alpha=_share("--alpha", alpha, json, most=0.5) if alpha is not None else rollout.alpha if rollout else 0.05,
        examples=examples,
        redact=(*(rollout.redact if rollout else ()), *(redact or ())),
    )
    joined = Joined([file for file in (champion, challenger, noise) if file is not None])
    try:
        _feed(comparing, joined)
    except OSError as error:
        fail(f"reading or sorting the files failed: {error.strerror or error}", "see to the disk", as_json=json)
    record = {**comparing.record(), "files": [_file(source) for source in joined.sources]}
    if not record["pairs"]:
        _nothing(record, champion, challenger, json)
    if json:
        print_json(record)
    else:
        from crossfade.cli.compare_tree import tree

        console().print(tree(record))
    if _beyond(record):
        raise typer.Exit(PROBLEM)


def _feed(comparing: Comparing, joined: Joined) -> None:
    with working("Comparing", unit="pairs") as at_work:
        for name, replies in at_work.each(joined):
            _take(comparing, name, replies)


def _take(comparing: Comparing, name: str, replies: Sequence[Any]) -> None:
    left, right, *more = replies
    if left is None or right is None:
        return
    again = more[0] if more else None
    if left.error:
        comparing.failed("champion", "error")
    elif right.error:
        comparing.lost(name, right.error, left.body)
    else:
        if again is not None and again.error:
            comparing.failed("noise", "error")
            again = None
        comparing.add(name, left.body, right.body, None if again is None else again.body)


def _beyond(record: dict[str, Any]) -> bool:
    lines = [record["disagreement"], record["catastrophic"], *record["fields"]]
    return any(line["verdict"] == "harmful" and line["muted"] is None for line in lines)


def _file(source: Any) -> dict[str, Any]:
    return {
        "file": str(source.path),
        "lines": source.lines,
        "unmatched": source.unmatched,
        "duplicates": source.duplicates,
        "bad": source.bad,
        "bad_lines": [{"line": one.line, "problem": one.problem} for one in source.told],
    }


def _nothing(record: dict[str, Any], champion: Path, challenger: Path, json: bool) -> None:
    """Two files without a pair were not compared, which must not look like agreement."""
    told = [
        f"{file['file']}:{bad['line']}: {bad['problem']}" for file in record["files"] for bad in file["bad_lines"][:3]
    ]
    told += [why for reasons in record["unmeasured"].values() for why in reasons][:3]
    counts = ", ".join(f"{file['file']} has {file['unmatched']} ids of its own" for file in record["files"][:2])
    fail(
        f"nothing could be compared: no usable pair of replies with one id in {champion} and {challenger} ({counts})",
        "; ".join(told) or 'each line is {"id": ..., "response": ...}, with the same ids in both files',
        as_json=json,
    )


def _readable(file: Path, json: bool) -> None:
    try:
        if file.is_dir():
            fail(f"{file} is a directory", "name a file inside it", as_json=json)
        with file.open("rb"):
            pass
    except FileNotFoundError:
        fail(f"there is no file {file}", "name a file of recorded replies", as_json=json)
    except OSError as error:
        fail(f"cannot read {file}: {error.strerror or error}", "see to it that it can be read", as_json=json)


def _rules(rule: _Paths, tolerance: _Paths, mute: _Paths, embedding: _Paths, json: bool) -> list[Comparison]:
    from crossfade.spec.comparisons import comparison
    from crossfade.spec.problems import SpecProblems

    found: list[Comparison] = []
    for option in rule or ():
        path, text = _split("--field", option, json)
        try:
            found.append(comparison(path, text))
        except SpecProblems as error:
            fail(
                f"--field {option}: {error.problems[0].message}",
                "write such as --field '$.score={as: number, relative: 1%}'",
                as_json=json,
            )
    for option in tolerance or ():
        path, text = _split("--tolerance", option, json)
        number = _number(text.removesuffix("%"))
        if number is None:
            fail(f"--tolerance {option}: found {text!r}", "write 1% or 0.5, not below nothing", as_json=json)
        share = number / 100 if text.endswith("%") else None
        units = None if text.endswith("%") else number
        found.append(Comparison(path=path, how=Comparator.NUMBER, relative=share, absolute=units))
    for option in embedding or ():
        path, function = _split("--embedding", option, json)
        try:
            found.append(comparison(path, f"{{as: text, by: embedding, embedding: {function}}}"))
        except SpecProblems as error:
            fail(
                f"--embedding {option}: {error.problems[0].message}",
                "write such as --embedding '$.answer=shop.texts:embed'",
                as_json=json,
            )
    for option in mute or ():
        path, reason = _split("--mute", option, json)
        found.append(Comparison(path=path, mute=reason))
    return found


def _split(option: str, text: str, json: bool) -> tuple[str, str]:
    path, equals, rest = text.partition("=")
    if not equals or not path.strip() or not rest.strip():
        example = {"--mute": "'$.took=a time'", "--tolerance": "'$.score=1%'"}.get(option, "'$.label={as: label}'")
        fail(f"{option} {text}: expected a path, '=' and more", f"write such as {option} {example}", as_json=json)
    return path.strip(), rest.strip()


def _share(option: str, text: str, json: bool, *, most: float = 1.0) -> float:
    stripped = text.strip()
    bare = stripped.removesuffix("pp").removesuffix("%")
    number = _number(bare)
    if number is not None and bare != stripped:
        number /= 100
    if number is None or number > most or (most < 1.0 and number == 0.0):
        low = "above" if most < 1.0 else "from"
        fail(f"{option} {text}: expected a share {low} 0% up to {most:.0%}, such as 1% or 0.01", as_json=json)
    return number


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0.0 <= number < float("inf") else None
