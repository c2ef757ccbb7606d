"""Texts: how much of their words, phrases and length two of them share."""

from __future__ import annotations

import re
import unicodedata

from crossfade.live.compare.rankings import shared
from crossfade.live.protocols.openai_chat import normal

__all__ = ["length_ratio", "normal", "phrase_overlap", "word_overlap", "words"]

PHRASE = 3
"""Words in one phrase (n-gram)."""

_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """The words of a text, in one case."""
    return _WORD.findall(unicodedata.normalize("NFC", text).casefold())


def word_overlap(a: str, b: str) -> float:
    """The share of words that both hold, in 0–1, repetitions counted, order not."""
    return shared(words(a), words(b))


def phrase_overlap(a: str, b: str) -> float:
    """The share of phrases of three words that both hold; of shorter texts, of the texts as a whole."""
    return shared(_phrases(words(a)), _phrases(words(b)))


def length_ratio(a: str, b: str) -> float:
    """The shorter length as a share of the longer, in characters as compared; 1 for two empty texts."""
    short, long = sorted((len(normal(a)), len(normal(b))))
    return short / long if long else 1.0


def _phrases(of: list[str]) -> list[tuple[str, ...]]:
    if len(of) < PHRASE:
        return [tuple(of)] if of else []
    return [tuple(of[at : at + PHRASE]) for at in range(len(of) - PHRASE + 1)]
