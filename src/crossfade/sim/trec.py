"""Reading relevance judgments and runs in the formats of TREC; what is wrong is told with its file and line."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from pathlib import Path

Qrels = dict[str, dict[str, int]]
"""By topic the grade of each judged document."""

Run = dict[str, list[str]]
"""By topic the documents, best first."""


class TrecError(Exception):
    """A file that cannot be used, with its name and line, and what helps."""

    def __init__(self, error: str, what_to_do: str) -> None:
        super().__init__(error)
        self.error = error
        self.what_to_do = what_to_do


QRELS_LINE = "each line is `topic iteration document grade`, such as `101 0 doc-7 2`"
RUN_LINE = "each line is `topic Q0 document rank score tag`, such as `101 Q0 doc-7 1 14.3 bm25`"


def read_qrels(path: Path) -> Qrels:
    """The judgments in a file. Grades below 0 (as some collections give to spam) are kept as they are."""
    found: Qrels = {}
    for place, fields in _lines(path, 4, QRELS_LINE):
        topic, _, document, grade = fields
        try:
            judged = int(grade)
        except ValueError:
            raise TrecError(f"{place}: found the grade {grade!r}; expected a whole number", QRELS_LINE) from None
        if document in found.setdefault(topic, {}):
            raise TrecError(f"{place}: topic {topic} judges {document} a second time", "keep one of the two lines")
        found[topic][document] = judged
    if not found:
        raise TrecError(f"{path}: found no judgments", QRELS_LINE)
    return found


def read_run(path: Path) -> Run:
    """The rankings in a file: by falling score, ties by falling document name, as trec_eval reads them."""
    scored: dict[str, dict[str, float]] = {}
    for place, fields in _lines(path, 6, RUN_LINE):
        topic, _, document, _, text, _ = fields
        try:
            score = float(text)
        except ValueError:
            score = float("nan")
        if not isfinite(score):
            raise TrecError(f"{place}: found the score {text!r}; expected a finite number", RUN_LINE)
        if document in scored.setdefault(topic, {}):
            raise TrecError(f"{place}: topic {topic} ranks {document} a second time", "keep one of the two lines")
        scored[topic][document] = score
    if not scored:
        raise TrecError(f"{path}: found no ranking", RUN_LINE)
    return {
        topic: sorted(documents, key=lambda document: (documents[document], document), reverse=True)
        for topic, documents in scored.items()
    }


def _lines(path: Path, fields: int, shape: str) -> Iterator[tuple[str, list[str]]]:
    """(file:line, fields) of every line that is not blank."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise TrecError(f"there is no file {path}", "name a file in the format of TREC") from None
    except IsADirectoryError:
        raise TrecError(f"{path} is a directory", "name the file inside it") from None
    except OSError as error:
        raise TrecError(f"cannot read {path}: {error.strerror or error}", "see to it that it can be read") from None
    for number, line in enumerate(raw.split(b"\n"), 1):
        place = f"{path}:{number}"
        try:
            found = line.decode("utf-8-sig" if number == 1 else "utf-8").split()
        except UnicodeDecodeError as error:
            byte = line[error.start]
            raise TrecError(f"{place}: found the byte 0x{byte:02X}", "save the file as text in UTF-8") from None
        if not found:
            continue
        if len(found) != fields:
            raise TrecError(f"{place}: found {len(found)} fields; expected {fields}", shape)
        yield place, found
