"""The cases. Each is measured in pairs within one run, round by round, and gives rows with the median of the ratios."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from statistics import median

from benchmarks import gateways, servers
from benchmarks.load import Round, Steady, steady, wrk
from benchmarks.machine import free_port, urgent
from benchmarks.servers import Missing, Server

Start = Callable[[], AbstractContextManager[Server]]

MB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to measure."""

    rounds: int = 7
    seconds: int = 2
    soak: int = 60
    facts: float = 10.0
    """Millions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. `ratio` is ours to theirs, except where `unit` says that it is a difference."""

    case: str
    peer: str
    ratio: float | None
    ours: float | None
    theirs: float | None
    unit: str
    rounds: int
    target: str = ""
    holds: bool | None = None
    """None for what has no target, or was not measured; `note` says why."""
    note: str = ""

    def to_json(self) -> dict[str, object]:
        """As a record."""
        return asdict(self)


WALL, CORE = "requests/s", "requests/s of one core"


def _throughput(
    case: str,
    ours: Start,
    peers: Sequence[tuple[str, Start, float | None]],
    effort: Effort,
    script: str = "units",
) -> Iterator[Row]:
    """Ours and each peer driven to the full in turn. The target is about what one core serves: requests per second of
    the gateway's own CPU time, which a neighbour on the machine does not take away."""
    with ExitStack() as stack:
        running = [stack.enter_context(ours())]
        wanted: list[float | None] = [None]
        for name, start, target in peers:
            try:
                running.append(stack.enter_context(start()))
                wanted.append(target)
            except Missing as missing:
                yield Row(
                    case=case, peer=name, ratio=None, ours=None, theirs=None, unit=CORE, rounds=0, note=str(missing)
                )
        for server in running:
            wrk(server, 1, script=script)
        rounds: list[list[Round]] = [
            [wrk(server, effort.seconds, script=script) for server in running] for _ in range(effort.rounds)
        ]
        time.sleep(1.5)  # the worker writes its figures once a second
        paired = _paired(running[0])
    failed = [sum(one[at].errors for one in rounds) for at in range(len(running))]
    for at, server in enumerate(running[1:], 1):
        for unit, of in ((CORE, lambda one: one.per_core), (WALL, lambda one: one.rate)):
            ratio = median(of(one[0]) / of(one[at]) for one in rounds)
            goal = wanted[at] if unit is CORE else None
            yield Row(
                case=case,
                peer=server.name,
                ratio=ratio,
                ours=median(of(one[0]) for one in rounds),
                theirs=median(of(one[at]) for one in rounds),
                unit=unit,
                rounds=effort.rounds,
                target=f"≥ {goal:g} ×" if goal else "",
                holds=ratio >= goal and not failed[0] if goal else None,
                note=f"failed requests: ours {failed[0]}, theirs {failed[at]}" if failed[0] or failed[at] else paired,
            )


def _paired(ours: Server) -> str:
    """How much of what was mirrored was paired, since copies are dropped rather than that a user waits."""
    assert ours.data is not None
    figures = json.loads(next((ours.data / "run").glob("metrics-*.json")).read_text())
    compared, asked = sum(figures["compared"].values()), sum(figures["requests"].values())
    return f"{compared / max(asked, 1):.1%} of answers were paired" if compared or figures["dropped"] else ""


def assign(effort: Effort) -> Iterator[Row]:
    """Assign by header, deadline, exposure recorded."""
    with servers.upstream() as one, servers.upstream() as two:
        yield from _throughput(
            "assign by header + deadline + exposure recorded",
            lambda: servers.crossfade(one, two.url),
            [
                ("nginx", lambda: servers.nginx(one), 0.55),
                ("Envoy", lambda: servers.envoy(one), 1.6),
                ("aiohttp", lambda: servers.aiohttp(one), 3.5),
            ],
            effort,
        )


def json_unit(effort: Effort) -> Iterator[Row]:
    """The unit is a field of the JSON body."""
    with servers.upstream() as one, servers.upstream() as two:
        yield from _throughput(
            "unit from a JSON field",
            lambda: servers.crossfade(one, two.url, unit="json:$.user"),
            [("nginx", lambda: servers.nginx(one), 0.45)],
            effort,
        )


def llm_gateways(effort: Effort) -> Iterator[Row]:
    """The same against gateways for language models: a chat request, and one mock model behind all of them."""
    with gateways.chat_model() as one, gateways.chat_model() as two:
        yield from _throughput(
            "assign by header + deadline + exposure recorded, chat",
            lambda: servers.crossfade(one, two.url, route="/v1/chat/completions", protocol="openai-chat"),
            [
                ("MLflow gateway", lambda: gateways.mlflow(one), 15.0),
                ("LiteLLM proxy", lambda: gateways.litellm(one), 100.0),
            ],
            effort,
            "chat",
        )


def mirror(effort: Effort) -> Iterator[Row]:
    """Every request mirrored, both answers paired, compared and recorded; the peers copy blindly and write a log."""
    with servers.upstream() as one, servers.upstream() as two:
        yield from _throughput(
            "mirror + both answers paired and recorded",
            lambda: servers.crossfade(one, two.url, stage=servers.SHADOW),
            [
                ("nginx mirror", lambda: servers.nginx_mirror(one, two), 1.2),
                ("Envoy mirror", lambda: servers.envoy(one, two), 1.8),
            ],
            effort,
        )


def latency(effort: Effort) -> Iterator[Row]:
    """What is added at 500 requests a second to an upstream of 5 ms."""
    with urgent(), servers.toy("slow") as slow, servers.crossfade(slow, slow.url) as ours:
        steady(ours, 2, 500)
        pairs = [(steady(slow, 3, 500), steady(ours, 3, 500)) for _ in range(effort.rounds)]
    errors = sum(through.errors + through.missing for _, through in pairs)
    for name, of, most in (
        ("p50", lambda one: one.p50_ms, 0.3),
        ("p99", lambda one: one.p99_ms, 1.5),
    ):
        added = median(of(through) - of(direct) for direct, through in pairs)
        yield Row(
            case=f"added latency at 500 req/s, upstream 5 ms, {name}",
            peer="direct",
            ratio=added,
            ours=median(of(through) for _, through in pairs),
            theirs=median(of(direct) for direct, _ in pairs),
            unit="ms added",
            rounds=effort.rounds,
            target=f"≤ {most} ms",
            holds=added <= most and not errors,
            note=f"{errors} requests failed" if errors else "",
        )


def shadows(effort: Effort) -> Iterator[Row]:
    """A shadow that is hung, refuses or floods, against no shadow at all, at 500 requests a second."""
    for character in ("hung", "refused", "flood"):
        with ExitStack() as stack:
            stack.enter_context(urgent())
            one = stack.enter_context(servers.upstream())
            if character == "refused":
                url = f"http://127.0.0.1:{free_port()}"
            else:
                url = stack.enter_context(servers.toy(character)).url
            without = stack.enter_context(servers.crossfade(one, url, stage=servers.SHADOW, start=False))
            shadowed = stack.enter_context(servers.crossfade(one, url, stage=servers.SHADOW))
            steady(without, 2, 500)
            steady(shadowed, 10, 500)  # the queue of copies is full by now
            before = shadowed.process.rss()
            pairs = [(steady(without, 3, 500), steady(shadowed, 3, 500)) for _ in range(effort.rounds)]
            grown = (shadowed.process.rss() - before) / MB
        yield from _against_none(character, pairs, grown, effort)


def _against_none(character: str, pairs: list[tuple[Steady, Steady]], grown: float, effort: Effort) -> Iterator[Row]:
    errors = sum(shadowed.errors + shadowed.missing for _, shadowed in pairs)
    for name, unit, of, good in (
        ("champion p99", "ms", lambda one: one.p99_ms, lambda ratio: ratio <= 1.05),
        ("throughput", WALL, lambda one: one.rate, lambda ratio: ratio >= 0.95),
    ):
        ratio = median(of(shadowed) / of(none) for none, shadowed in pairs)
        yield Row(
            case=f"shadow {character}: {name}",
            peer="no shadow",
            ratio=ratio,
            ours=median(of(shadowed) for _, shadowed in pairs),
            theirs=median(of(none) for none, _ in pairs),
            unit=unit,
            rounds=effort.rounds,
            target="≤ 1.05 ×" if name != "throughput" else "≥ 0.95 ×",
            holds=good(ratio) and not errors,
            note=f"{errors} requests failed" if errors else "",
        )
    yield _growth(f"shadow {character}: memory", grown, 0, "")


def _growth(case: str, grown: float, errors: int, note: str) -> Row:
    return Row(
        case=case,
        peer="itself after warm-up",
        ratio=grown,
        ours=grown,
        theirs=None,
        unit="MB grown",
        rounds=1,
        target="≤ 5 MB, no error",
        holds=grown <= 5.0 and not errors,
        note=note,
    )


def idle(effort: Effort) -> Iterator[Row]:
    """A thousand connections that say nothing, between one request each at the beginning and at the end."""
    with urgent(), servers.upstream() as one, servers.upstream() as two, servers.crossfade(one, two.url) as ours:
        steady(ours, 3, 200, idle=1000)
        before = ours.process.rss()
        found = steady(ours, 20, 200, idle=1000)
        grown = (ours.process.rss() - before) / MB
    errors = found.errors + found.missing
    yield _growth("1,000 idle keep-alive connections", grown, errors, f"{errors} failed, p99 {found.p99_ms:.1f} ms")


def soak(effort: Effort) -> Iterator[Row]:
    """A thousand requests a second for as long as asked."""
    with urgent(), servers.upstream() as one, servers.upstream() as two, servers.crossfade(one, two.url) as ours:
        steady(ours, max(10, effort.soak // 5), 1000)
        before = ours.process.rss()
        found = steady(ours, effort.soak, 1000)
        grown = (ours.process.rss() - before) / MB
    errors = found.errors + found.missing
    note = f"{errors} of {found.requests} failed, p99 {found.p99_ms:.1f} ms"
    yield _growth(f"soak, {effort.soak} s at 1,000 req/s", grown, errors, note)


CASES: dict[str, Callable[[Effort], Iterator[Row]]] = {
    "assign": assign,
    "gateways": llm_gateways,
    "json": json_unit,
    "mirror": mirror,
    "latency": latency,
    "shadows": shadows,
    "idle": idle,
    "soak": soak,
}
