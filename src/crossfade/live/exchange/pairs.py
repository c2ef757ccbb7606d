"""Answers that are to be set side by side. They travel to other threads and processes."""

from __future__ import annotations

import msgspec

from crossfade.live.exchange.heads import Head
from crossfade.live.protocols.document import swells
from crossfade.spec.model import Comparison, Examples, Predicted, Priced


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One arm's whole reply, or why there is none."""

    head: Head | None
    body: bytes
    failure: str
    """'' for a whole 2xx–4xx reply; else `status`, `timeout`, `refused`, `broken`."""
    ms: float


class Compare(msgspec.Struct, frozen=True, gc=False):
    """Set a mirrored request's answers side by side (`mirror.compared`), in any thread, at leisure."""

    rollout: str
    revision: str
    decision_id: str
    at: float
    unit: str
    stage: int
    segments: tuple[str, ...]
    protocol: str
    arm: str
    champion: Answer
    challenger: Answer
    noise: Answer | None
    """The champion's second answer, where one was asked for and came."""
    rules: tuple[Comparison, ...] = ()
    """How single fields are compared."""
    prediction: Predicted | None = None
    """What is recorded of both replies, to be set against labels."""
    examples: Examples | None = None
    """Whether the pair may be kept with its replies."""
    redact: tuple[str, ...] = ()
    """What is taken out of them first."""
    cost: tuple[Priced, ...] = ()
    """What is recorded of both replies as their cost."""
    baseline: str = ""
    """The champion's name, whose prices may be its own."""
    served: str = ""
    """Which arm was asked for the user, where that may be either; empty in a shadow."""

    @property
    def apart(self) -> bool:
        """Whether a function of the user's is asked, for which no user may wait."""
        return any(rule.embedding for rule in self.rules)

    @property
    def swapped(self) -> bool:
        """Whether the champion's answer is the copy."""
        return self.served == self.arm

    @property
    def size(self) -> int:
        """Bytes to be decoded."""
        return len(self.champion.body) + len(self.challenger.body) + (len(self.noise.body) if self.noise else 0)

    def swells(self, most: int) -> bool:
        """Whether one of the replies is compressed and decodes to more than so many bytes."""
        replies = (self.champion, self.challenger, self.noise)
        return any(one is not None and one.head is not None and _swells(one.head, one.body, most) for one in replies)


def _swells(head: Head, body: bytes, most: int) -> bool:
    for name, value in head.headers:
        if len(name) == 16 and name.lower() == b"content-encoding":
            return swells({"content-encoding": value.decode("latin-1")}, body, most)
    return False
