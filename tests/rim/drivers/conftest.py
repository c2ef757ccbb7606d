"""The routers that are there, running, each before two models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rim.drivers.models import Model, models
from rim.drivers.routers import Running, envoy, haproxy


@pytest.fixture
def served() -> Iterator[dict[str, Model]]:
    """The models behind the router."""
    with models("v1", "v2") as found:
        yield found


@pytest.fixture
def router(request: pytest.FixtureRequest, tmp_path: Path, served: dict[str, Model]) -> Iterator[Running]:
    """A router of the kind that a test names by `indirect`."""
    make = {"envoy": envoy, "haproxy": haproxy}[request.param]
    with make(tmp_path, {name: model.port for name, model in served.items()}) as running:
        yield running
