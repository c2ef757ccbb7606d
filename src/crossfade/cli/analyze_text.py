"""An analysis as a person reads it: one row of numbers and one sentence for each line of evidence."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from crossfade.cli.narrow import ByWidth
from crossfade.cli.terminal import QUIET, VERDICT_INK
from crossfade.judge.analysis.report import Analysis
from crossfade.judge.evidence import Evidence, Verdict
from crossfade.view.covariate import without_covariate
from crossfade.view.words import amount, interval, signed, whole

MARK = {Verdict.SAFE: "+", Verdict.HARMFUL: "✖", Verdict.UNDECIDED: "·", Verdict.UNMEASURED: "?"}


def drawn(analysis: Analysis) -> RenderableType:
    """The last look of an analysis, its sample ratio and its notes."""
    lines = analysis.last
    parts: list[RenderableType] = [_heading(analysis), Text("")]
    table = Table.grid(padding=(0, 2, 0, 0))
    for column in ("", "metric", "arm", f"against {analysis.baseline}", "interval", "verdict"):
        table.add_column(column, no_wrap=column in ("", "interval", "verdict"), overflow="fold")
    table.add_row(*(Text(word, style=QUIET) for word in ("", "metric", "arm", "difference", "interval", "verdict")))
    for line in lines:
        ink = VERDICT_INK[str(line.verdict)]
        unit = unit_of(line)
        named = line.metric if line.segment is None else f"  {line.segment}"
        table.add_row(
            Text(MARK[line.verdict], style=ink),
            Text(named, style="" if line.segment else "bold"),
            line.arm,
            signed(line.estimate, unit, like=(line.lower, line.upper)),
            interval(line.lower, line.upper, unit, like=(line.estimate,)),
            Text(str(line.verdict), style=ink),
        )
    # The sentences below say it all again in words.
    verdicts = [Text(f"{MARK[line.verdict]} {line.metric} {line.arm}: {line.verdict}") for line in lines]
    parts += [ByWidth(wide=table, narrow=Group(*verdicts), least=60), Text("")]
    for line in lines:
        parts.append(Padding(Text(f"{MARK[line.verdict]} {sentence(line)}"), (0, 0, 0, 0), expand=False))
    parts.append(Text(""))
    parts.extend(_below(analysis))
    return Group(*parts)


def sentence(line: Evidence) -> str:
    """What a line says, in words that stand on their own."""
    about = f"{line.metric}" + (f" where {line.segment}" if line.segment else "")
    if line.verdict is Verdict.UNMEASURED:
        return f"{about}, {line.arm}: not measured; {line.reason}."
    units = line.units
    unit = unit_of(line)
    values = line.values or {}
    shown = " against ".join(
        f"{arm} {amount(values.get(arm), unit)} of {whole(units[arm])} units" for arm in (line.arm, line.baseline)
    )
    return f"{about}: {shown}. {_meaning(line)}{_remarks(line, unit)}"


def _remarks(line: Evidence, unit: str) -> str:
    told = [f" It is {line.reason}."] if line.reason else []
    plain = without_covariate(line, unit)
    return "".join([*told, f" {plain[:1].upper()}{plain[1:]}." if plain else ""])


def unit_of(line: Evidence) -> str:
    """`pp` where differences are shares."""
    return "pp" if line.kind == "rate" else ""


def _meaning(line: Evidence) -> str:
    needed = f"{1.0 / (1.0 - line.confidence):,.0f}"
    worse, better = ("higher", "lower") if line.better == "lower" else ("lower", "higher")
    limit = line.limit if line.role == "guardrail" else None
    margin = f" by more than {amount(abs(limit), unit_of(line)).replace(' %', ' pp')}" if limit is not None else ""
    if line.verdict is Verdict.HARMFUL:
        return f"{line.arm} is proven {worse}{margin} (e-value {_e(line.e_value)}, {needed} needed)."
    if line.verdict is Verdict.SAFE:
        if line.role == "guardrail":
            return f"{line.arm} is proven not to be {worse}{margin} (e-value {_e(line.e_value_safe)}, {needed} needed)."
        return f"{line.arm} is proven {better} (e-value {_e(line.e_value_safe)}, {needed} needed)."
    return (
        f"Undecided: e-value {_e(line.e_value)} for {worse}{margin}, {_e(line.e_value_safe)} for the opposite, "
        f"{needed} needed."
    )


def _e(value: float | None) -> str:
    if value is None:
        return "unknown"
    if value >= 1e6:
        return "over a million"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _heading(analysis: Analysis) -> Text:
    looks = max((line.look for line in analysis.lines), default=1)
    told = f"{len(analysis.arms)} arms, compared with {analysis.baseline}; alpha {analysis.alpha:g} over all lines"
    distinct = len({line.look for line in analysis.lines})
    if distinct > 1:
        told += f"; look {looks}, the last of {distinct}"
    return Text(told, style=QUIET)


def _below(analysis: Analysis) -> Iterable[RenderableType]:
    ratio = analysis.sample_ratio
    ink = "red" if ratio.verdict is Verdict.HARMFUL else QUIET
    evidence = "" if ratio.e_value is None else f" (e-value {_e(ratio.e_value)}, {1 / ratio.alpha:,.0f} needed)"
    yield Text(f"sample ratio: {ratio.reason}{evidence}", style=ink)
    if analysis.searched is not None:
        yield Text(analysis.searched["sentence"])
        for one in analysis.searched["found"]:
            if one["explained_by"] is None:
                yield Text(f"  {one['sentence']} (e-value {_e(one['e_value'])})")
        for why in dict.fromkeys(analysis.searched["left_out"].values()):
            names = [name for name, of in analysis.searched["left_out"].items() if of == why]
            yield Text(f"  not searched: {', '.join(names)}; {why}", style=QUIET)
    for note in analysis.notes:
        yield Text(f"note: {note}", style=QUIET)
    assumed = dict.fromkeys(text for line in analysis.last for text in line.assumptions)
    for text in assumed:
        yield Text(f"assumed: {text}", style=QUIET)
