"""`crossfade demo`: the whole main job on real models, real processes and live traffic, shown as it happens."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossfade.cli.common import FINE, PROBLEM, AsJson, fail, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from crossfade.sim.demo import Asked, Demo
    from crossfade.sim.scenarios import Scenario

INTERRUPTED = 130

Record = Mapping[str, Any]


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command("demo")(demo)


def demo(
    scenario: Annotated[
        list[str] | None, typer.Option("--scenario", help="good, bad or ranking; again for more. Default: good, bad.")
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Another seed is another split, other users and other luck.", min=0, max=2**32 - 1)
    ] = 0,
    fault: Annotated[
        str, typer.Option(help="What the challenger's server does: none, errors, slow, nan, wrong-shape or crash.")
    ] = "none",
    fault_after: Annotated[float, typer.Option(help="Seconds before the fault begins.", min=0.0)] = 0.0,
    rate: Annotated[float | None, typer.Option(help="Requests per second.", min=1.0, max=5000.0)] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Keep the data in this folder.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")] = False,
    json: AsJson = False,
) -> None:
    """Take a better model from shadow to promoted, and a worse one back. Exit code 1 when one ended otherwise."""
    from crossfade.sim import training
    from crossfade.sim.demo import Asked, occupied
    from crossfade.sim.faults import Fault
    from crossfade.sim.scenarios import SCENARIOS

    names = list(dict.fromkeys(scenario or ["good", "bad"]))
    for found, known, what in (*((n, SCENARIOS, "scenario") for n in names), (fault, [*Fault], "fault")):
        if found not in known:
            fail(f"there is no {what} {found!r}", f"choose from: {', '.join(known)}", as_json=json)
    if not training.available():
        fail(training.INSTALL, training.how_to_install(), as_json=json)
    folder = data if data is not None else Path(tempfile.mkdtemp(prefix="crossfade-demo-"))
    asked = Asked(
        scenarios=names,
        data=folder,
        seed=seed,
        rate=rate,
        fault=Fault(fault),
        fault_after=fault_after,
        keep=keep,
    )
    taken = occupied(asked)
    if taken is not None:
        fail(f"{taken} already holds rollouts", "name another folder with --data", as_json=json)
    code = _run(asked, as_json=json)
    if data is None and code != PROBLEM:
        # After a failure the logs are what somebody needs next.
        shutil.rmtree(folder, ignore_errors=True)
    raise typer.Exit(code)


def _run(asked: Asked, *, as_json: bool) -> int:
    from crossfade.cli.common import console
    from crossfade.sim.demo import demo as staged
    from crossfade.sim.lab import LabError

    screen = console(stderr=as_json)
    show = _Live(screen) if screen.is_terminal and not as_json else _Lines(screen)
    kept = False
    with _signals_interrupt():
        try:
            with staged(asked, show.look) as running:
                with show:
                    running.run()
                _finish(running, screen, as_json=as_json)
                if asked.keep:
                    kept = running.as_expected
                    _say_urls(running, screen)
                    running.keep(lambda: False)
            if not running.as_expected:
                screen.print(f"\nNot as it should be; facts and logs are under {asked.data}", soft_wrap=True)
            return FINE if running.as_expected else PROBLEM
        except KeyboardInterrupt:
            screen.print(f"\n{'Done' if kept else 'Interrupted'}; every process of the demo has ended.")
            return FINE if kept else INTERRUPTED
        except LabError as problem:
            _complain(str(problem), f"every process has ended; what they said is under {asked.data}", as_json=as_json)
            return PROBLEM
        except OSError as problem:
            _complain(
                f"the demo cannot use {asked.data}: {problem}", "name another folder with --data", as_json=as_json
            )
            return PROBLEM


def _complain(error: str, what_to_do: str, *, as_json: bool) -> None:
    with contextlib.suppress(typer.Exit):
        fail(error, what_to_do, code=PROBLEM, as_json=as_json)


def _finish(running: Demo, screen: Console, *, as_json: bool) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from crossfade.sim.summary import sentences

    for said in running.summaries:
        screen.print(f"\n{said['title']}", style="bold", soft_wrap=True)
        rows = Table.grid(padding=(0, 1))
        for entry in said["decisions"]:
            rows.add_row(f"  {entry['n']:>3}", entry["move"], entry["rule"], Text(entry["reason"]))
        screen.print(rows)
        for line in sentences(said):
            screen.print(Padding(Text(line), (0, 0, 0, 2)))
    if as_json:
        print_json(running.record())


def _say_urls(running: Demo, screen: Console) -> None:
    lab = running.labs[-1]
    screen.print("\nEverything is still running; Ctrl-C ends it.")
    screen.print(f"  console    {lab.urls['control']}   open this in a browser")
    for name, url in lab.urls.items():
        if name != "control":
            screen.print(f"  {name:<10} {url}")
    for other in running.labs:
        screen.print(f"  folder     {other.data}")
        if other is not lab:
            screen.print(f"  console    {other.urls['control']}   ({other.scenario.name}; its users have gone home)")


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo as Ctrl-C does: with every process it started."""

    def interrupt(signum: int, frame: FrameType | None) -> None:
        # Once is enough: a second Ctrl-C must not cut the tidying short.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {n: signal.signal(n, interrupt) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Lines:
    """Progress for pipes and logs: one line whenever the rollout's sentence or standing changes."""

    def __init__(self, screen: Console) -> None:
        self._screen = screen
        self._last: tuple[Any, ...] = ()

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def look(self, scenario: Scenario, record: Record | None, tally: Record | None) -> None:
        if record is None:
            return
        standing = (scenario.name, record["phase"], record["stage"], record["step"])
        if standing == self._last:
            return
        self._last = standing
        where = " ".join(str(part).replace("_", " ") for part in (record["phase"], record["stage"]) if part)
        share = record["exposure"]["planned"]
        self._screen.print(f"{scenario.rollout}  {where}  {share:.0%}  {record['sentence']}", soft_wrap=True)


class _Live:
    """Progress for a terminal: the record as a tree that redraws itself."""

    def __init__(self, screen: Console) -> None:
        from rich.live import Live

        self._screen = screen
        self._live = Live(console=screen, auto_refresh=False, vertical_overflow="crop")
        self._shown: Scenario | None = None

    def __enter__(self) -> _Live:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def look(self, scenario: Scenario, record: Record | None, tally: Record | None) -> None:
        from rich.console import Group
        from rich.text import Text

        from crossfade.cli.terminal import tree

        if record is None:
            return
        if scenario is not self._shown:
            if self._shown is not None:
                # What the previous scenario came to stays on the screen above the new tree.
                self._live.stop()
                self._live.start()
            self._shown = scenario
            self._screen.print(Text(f"\n{scenario.title}", style="bold"))
        parts: list[Any] = [tree(record)]
        if tally is not None:
            parts.append(Text(_client(tally)))
        self._live.update(Group(*parts), refresh=True)


def _client(tally: Record) -> str:
    latency = tally["latency_ms"]["p99"]
    waited = f", p99 {latency:.0f} ms" if latency is not None else ""
    return (
        f"client saw {tally['failed']:,} failed of {tally['requests']:,} requests{waited}; "
        f"{tally['outcomes']['accepted']:,} outcomes reported"
    )
