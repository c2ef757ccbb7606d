"""OpenAI's chat and text completions, whole or streamed as server-sent events.

Generated text is compared after Unicode and white space are made alike: another word differs, another line break does
not. Ids, times, the model's name, fingerprints and usage are not part of the prediction, nor are the random ids of
tool calls; their arguments are compared as JSON, not as text. A model that samples differs from itself, so a shadow
stage needs its `noise` and a gate well above it: a difference here says *other words*, never *worse*.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from crossfade.live.protocols import document
from crossfade.live.protocols.base import Headers, Invalid, Prediction
from crossfade.live.protocols.json import Json

STREAM = "text/event-stream"
_DONE = b"[DONE]"
_LINE_ENDS = re.compile(rb"\r\n|\r|\n")


@dataclass(slots=True)
class Choice:
    """One completion of the prompt."""

    text: list[str] = field(default_factory=list)
    """Its pieces, in order; one where the reply was not streamed."""
    refusal: list[str] = field(default_factory=list)
    finish_reason: str = ""
    calls: dict[int, list[str]] = field(default_factory=dict)
    """Tools to be called, by index: the name, then the pieces of its arguments."""

    def take(self, message: Mapping[str, Any], finish_reason: Any) -> None:
        """Add a whole message, or one delta."""
        self.text += _texts(message.get("content"))
        self.refusal += _texts(message.get("refusal"))
        calls = message.get("tool_calls")
        for at, call in enumerate(calls if isinstance(calls, list) else ()):
            if isinstance(call, dict):
                self._call(call.get("index", at), call.get("function"))
        self._call(0, message.get("function_call"))
        if isinstance(finish_reason, str):
            self.finish_reason = finish_reason

    def _call(self, at: Any, function: Any) -> None:
        if isinstance(at, int) and isinstance(function, dict):
            pieces = self.calls.setdefault(at, [""])
            pieces[0] += "".join(_texts(function.get("name")))
            pieces += _texts(function.get("arguments"))


@dataclass(slots=True)
class Completion:
    """What a reply said, however it came."""

    choices: dict[int, Choice] = field(default_factory=dict)
    usage: dict[str, Any] | None = None
    """Tokens as the server counts them. In a stream they come last, with or without a choice beside them."""

    def take(self, doc: Any) -> Invalid | None:
        """Add a whole reply, or one event of a stream."""
        failed = document.failure(doc)
        if failed is not None:
            return failed
        if not isinstance(doc, dict) or not isinstance(doc.get("choices"), list):
            return Invalid("shape", "the reply has no `choices`")
        choices: list[Any] = doc["choices"]
        for at, said in enumerate(choices):
            index = said.get("index", at) if isinstance(said, dict) else None
            if not isinstance(index, int):
                return Invalid("shape", f"choice {at} is no object with an index")
            message = said.get("delta") or said.get("message") or {"content": said.get("text")}
            if not isinstance(message, dict):
                return Invalid("shape", f"choice {at} has no message")
            self.choices.setdefault(index, Choice()).take(message, said.get("finish_reason"))
        if isinstance(doc.get("usage"), dict):
            self.usage = doc["usage"]
        return None


class OpenaiChat(Json):
    """`choices`, of `/v1/chat/completions` and of `/v1/completions`."""

    name = "openai-chat"
    streams = True

    def prediction(self, headers: Headers, body: bytes) -> Prediction | Invalid:
        """Text, refusal, finish reason and tool calls of each choice, by path. Never raises."""
        found = completion(headers, body)
        if isinstance(found, Invalid):
            return found
        if not found.choices:
            return Invalid("shape", "the reply has no choice")
        fields: dict[str, Any] = {}
        for index, choice in sorted(found.choices.items()):
            here = f"$.choices[{index}]"
            fields[f"{here}.content"] = normal("".join(choice.text))
            fields[f"{here}.finish_reason"] = choice.finish_reason
            if choice.refusal:
                fields[f"{here}.refusal"] = normal("".join(choice.refusal))
            if choice.calls:
                fields[f"{here}.tool_calls"] = [
                    {"name": name, "arguments": _arguments("".join(arguments))}
                    for _, (name, *arguments) in sorted(choice.calls.items())
                ]
        return Prediction(fields)


def completion(headers: Headers, body: bytes) -> Completion | Invalid:
    """What a reply said, or why it is unusable. Never raises."""
    data = document.plain(headers, body)
    if isinstance(data, Invalid):
        return data
    found = Completion()
    if headers.get("content-type", "").strip().lower().startswith(STREAM):
        return _streamed(data, found)
    doc = document.load(data)
    return doc if isinstance(doc, Invalid) else found.take(doc) or found


def _streamed(data: bytes, found: Completion) -> Completion | Invalid:
    """A stream is whole when it says `[DONE]`, or ends after every choice has said why it finished."""
    for event in events(data):
        if event.strip() == _DONE:
            return found
        doc = document.load(event)
        if isinstance(doc, dict) and "choices" not in doc and not document.failure(doc):
            continue  # a sign of life, or an extension of the server's
        wrong = doc if isinstance(doc, Invalid) else found.take(doc)
        if wrong is not None:
            return wrong
    if not found.choices:
        return Invalid("broken", "the stream ended without a choice")
    if not all(choice.finish_reason for choice in found.choices.values()):
        return Invalid("broken", "the stream ended without a finish_reason, nor [DONE]")
    return found


def events(data: bytes) -> Iterator[bytes]:
    """The data of each server-sent event; comments, names, ids and what no blank line ends are left out."""
    lines: list[bytes] = []
    for line in _LINE_ENDS.split(data.removeprefix(b"\xef\xbb\xbf")):
        if not line:
            if lines:
                yield b"\n".join(lines)
                lines = []
        elif line.startswith(b"data:"):
            lines.append(line[5:].removeprefix(b" "))
    if lines:
        # Servers exist that end their last event by closing; half an event is no JSON and says so.
        yield b"\n".join(lines)


def normal(text: str) -> str:
    """A text as it is compared: Unicode composed, runs of white space one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _texts(content: Any) -> list[str]:
    """The text in a content: itself, or its text parts."""
    if isinstance(content, str):
        return [content]
    if isinstance(content, list):
        return [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
    return []


def _arguments(text: str) -> Any:
    """A tool's arguments, which a model writes as JSON most of the time."""
    found = document.load(text.encode(errors="surrogatepass"))
    return normal(text) if isinstance(found, Invalid) else found
