"""Functions of the user's own, each in a process of its own: slow, broken or fatal, they hurt nobody else."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import IO, Any, Final, Literal

import msgspec

from crossfade.judge.measure.own_scores import Scores

How = Literal["score", "embed"]
"""`score`: called with each pair of arguments, returns a number. `embed`: called with texts, returns a vector each."""

LOADING: Final = 60.0
"""Seconds in which a module may be imported; models are large."""

BATCH: Final = 1000
"""Scores asked for at once."""

SECONDS: Final[dict[How, float]] = {"score": 10.0, "embed": 2.0}
"""In which a batch of scores, or the vectors of one pair, must be there."""

PAUSE: Final = 30.0
"""Seconds after a failure in which the function is not called again."""

MOST_KNOWN: Final = 200_000
"""Scores that are remembered: a look asks for those of all pairs anew."""

_encode = msgspec.msgpack.Encoder(enc_hook=str).encode
_decode = msgspec.msgpack.Decoder().decode


class Failed(Exception):
    """The function gave no answer; says why."""


class Theirs:
    """One function. Safe to share between threads."""

    def __init__(self, function: str, how: How, *, seconds: float | None = None, pause: float = PAUSE) -> None:
        self.function = function
        self.by = ""
        """Which function it was: its name, and a digest of its module's source."""
        self._how = how
        self._seconds = SECONDS[how] if seconds is None else seconds
        self._pause = pause
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._failed: tuple[float, str] | None = None

    def call(self, asked: Sequence[Any]) -> list[Any]:
        """An answer for each. Raises Failed, at once while it is not called again."""
        with self._lock:
            if self._failed is not None and time.monotonic() < self._failed[0]:
                raise Failed(self._failed[1])
            try:
                answer = self._ask(asked)
            except (Failed, OSError, ValueError, msgspec.DecodeError) as error:
                why = str(error) if isinstance(error, Failed) else f"{self.function} cannot be asked: {error}"
                self._end()
                self._failed = (time.monotonic() + self._pause, why)
                raise Failed(why) from None
            self._failed = None
            return answer

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _ask(self, asked: Sequence[Any]) -> list[Any]:
        if self._process is None or self._process.poll() is not None:
            self._begin()
        answer = self._exchange(_encode(list(asked)), self._seconds, "did not answer")
        if not isinstance(answer, list) or len(answer) != len(asked):
            raise Failed(f"{self.function} {answer.get('why') if isinstance(answer, dict) else 'answered otherwise'}")
        return answer

    def _begin(self) -> None:
        command = [sys.executable, "-m", "crossfade.rim.theirs_process", self.function, self._how]
        process = self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for pipe in _pipes(process):
            os.set_blocking(pipe.fileno(), False)
        hello = self._exchange(b"", LOADING, "was not loaded")
        if "why" in hello:
            raise Failed(f"{self.function} {hello['why']}")
        self.by = f"scored by {self.function}, source sha256 {hello['digest'][:16]}"

    def _exchange(self, message: bytes, seconds: float, late: str) -> Any:
        """Send a message, if there is one, and read one; neither end may keep us longer than is said."""
        assert self._process is not None
        given, answers = _pipes(self._process)
        out, came = memoryview(len(message).to_bytes(4, "big") + message if message else b""), bytearray()
        deadline = time.monotonic() + seconds
        with selectors.DefaultSelector() as waiting:
            waiting.register(answers, selectors.EVENT_READ)
            if out:
                waiting.register(given, selectors.EVENT_WRITE)
            while True:
                left = deadline - time.monotonic()
                ready = waiting.select(left) if left > 0.0 else []
                if not ready:
                    raise Failed(f"{self.function} {late} within {seconds:g} s")
                for key, _ in ready:
                    if key.fileobj is given:
                        out = out[os.write(given.fileno(), out[:65_536]) :]
                        if not out:
                            waiting.unregister(given)
                        continue
                    piece = os.read(answers.fileno(), 1 << 20)
                    if not piece:
                        raise Failed(f"{self.function} ended its process")
                    came += piece
                if len(came) >= 4 and len(came) >= 4 + int.from_bytes(came[:4], "big"):
                    return _decode(bytes(came[4:]))

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in _pipes(process):
                pipe.close()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    """What goes in and what comes out."""
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout


@lru_cache(maxsize=64)
def theirs(function: str, how: How) -> Theirs:
    """The one process of a function, begun when it is first asked; it ends with ours, whose pipe it reads."""
    return Theirs(function, how)


_known: dict[tuple[str, bytes], float] = {}


def scorer(function: str, asked: Sequence[tuple[Any, Any]]) -> Scores | str:
    """Scores by a function, those known already from memory; or why there are none."""
    keys = [(function, _encode(one)) for one in asked]
    missing = list(dict(zip(keys, asked, strict=True)).items())
    if len(_known) + len(missing) > MOST_KNOWN:
        _known.clear()
    missing = [(key, one) for key, one in missing if key not in _known]
    own = theirs(function, "score")
    try:
        for at in range(0, len(missing), BATCH):
            some = missing[at : at + BATCH]
            found = own.call([one for _, one in some])
            _known.update((key, _float(value)) for (key, _), value in zip(some, found, strict=True))
        return Scores([_known[key] for key in keys], own.by)
    except Failed as failed:
        return str(failed)


def embed(function: str, texts: list[str]) -> list[list[float]] | str:
    """A vector for each text by a function, or why there are none."""
    try:
        return theirs(function, "embed").call(texts)
    except Failed as failed:
        return str(failed)


def _float(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else float("nan")
