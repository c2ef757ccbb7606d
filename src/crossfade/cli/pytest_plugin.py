"""A plugin for pytest: files that end in `.test.yaml` and begin with `spec:` are tests, each of theirs an item."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from crossfade.judge.cases import Result


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The file, where it is one of ours."""
    if not file_path.name.endswith(".test.yaml"):
        return None
    with file_path.open(encoding="utf-8", errors="replace") as file:
        ours = any(line.startswith("spec:") for line in file)
    return SpecTests.from_parent(parent, path=file_path) if ours else None


class SpecTests(pytest.File):
    """One file of tests."""

    def collect(self) -> Iterator[pytest.Item]:
        """Every test of the file, decided."""
        from crossfade.cli.spec_tests import Misunderstood, decide_file

        try:
            found = decide_file(self.path)
        except Misunderstood as error:
            raise self.CollectError(f"{error}\n{error.what_to_do}".rstrip()) from None
        for one in found:
            yield SpecTest.from_parent(self, name=one.case.name, result=one)


class SpecTest(pytest.Item):
    """One test."""

    def __init__(self, *, result: Result, **known: Any) -> None:
        super().__init__(**known)
        self._result = result

    def runtest(self) -> None:
        """Compare."""
        if self._result.wrong:
            lines = [f"{line.metric} of {line.arm}: {line.verdict}" for line in self._result.evidence]
            said = [*self._result.wrong, f"it said: {self._result.decision.sentence}", *lines]
            pytest.fail("\n".join(said), pytrace=False)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it is written."""
        return self.path, self._result.case.line - 1, self.name
