"""How a demo model can misbehave: one rule that says what becomes of each answer. Chance and time come in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from crossfade.sim.oip import Output, Reply, error


class Fault(StrEnum):
    """What goes wrong."""

    NONE = "none"
    ERRORS = "errors"
    """500 with an error body."""
    SLOW = "slow"
    """A right answer, much later."""
    NAN = "nan"
    """A well-formed 200 whose numbers are NaN."""
    WRONG_SHAPE = "wrong-shape"
    """A well-formed 200 whose data do not fit the declared shape."""
    CRASH = "crash"
    """The process ends in the middle of a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """Which fault, from when on, and how often."""

    fault: Fault = Fault.NONE
    after: float = 0.0
    """Seconds since the server started."""
    rate: float = 1.0
    """Share of requests hit."""
    extra_ms: float = 250.0
    """Added latency of a slow answer."""

    def strikes(self, age: float, rng: Random) -> Fault:
        """The fault for one request, in a process `age` seconds old."""
        if self.fault is Fault.NONE or age < self.after or rng.random() >= self.rate:
            return Fault.NONE
        return self.fault


def spoiled(output: Output, fault: Fault) -> Output:
    """The output as a faulty model would give it."""
    match fault:
        case Fault.NAN:
            return replace(output, datatype="FP64", data=[float("nan")] * len(output.data))
        case Fault.WRONG_SHAPE:
            return replace(output, data=[*output.data, *output.data])
        case _:
            return output


def failure() -> Reply:
    """What a faulty model answers instead of a prediction."""
    return error(500, "the model raised an exception")
