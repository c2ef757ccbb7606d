"""What every mapping of a spec has in common: it knows its keys, its place, and which of its values are broken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, PrivateAttr, model_validator

from crossfade.spec.problems import nearest
from crossfade.spec.source import UNKNOWN, Node, Unknown, shown

Self = TypeVar("Self", bound="Written")


class Written(BaseModel):
    """A mapping of a spec. Remembers the node it was read from, so that a check can say where."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    what: ClassVar[str]
    """What stands here, with an example; to follow `expected`."""

    _node: Node | None = PrivateAttr(None)
    _broken: frozenset[str] = PrivateAttr(frozenset())

    @model_validator(mode="wrap")
    @classmethod
    def _read(cls: type[Self], value: Any, handler: Callable[[Any], Self]) -> Any:
        if isinstance(value, Unknown) or (isinstance(value, Node) and isinstance(value.value, Unknown)):
            return UNKNOWN
        if not isinstance(value, Node):
            return handler(value)
        if not isinstance(value.value, dict):
            value.wrong(cls.what)
            return UNKNOWN
        known = cls._known(value)
        instance = handler(known)
        instance._node = value
        instance._broken = frozenset(key for key, child in known.items() if isinstance(child, Unknown))
        return instance

    @classmethod
    def keys(cls) -> list[str]:
        """The keys as people write them."""
        return [field.alias or name for name, field in cls.model_fields.items()]

    @classmethod
    def _known(cls, node: Node) -> dict[str, Any]:
        """The children under known keys. A missing or misspelt key is reported and stands as `UNKNOWN`."""
        keys = cls.keys()
        known: dict[str, Any] = {key: child for key, child in node.value.items() if key in keys}
        for key, child in node.value.items():
            if key in keys:
                continue
            near = nearest(key, [name for name in keys if name not in node.value])
            child.report_key(
                f"unknown key {shown(key)}" + (f"; did you mean {near}?" if near else "") + f"; allowed: {_all(keys)}",
                allowed=_all(keys),
                near=near,
            )
            if near is not None:
                known[near] = UNKNOWN
        for name, field in cls.model_fields.items():
            key = field.alias or name
            if field.is_required() and key not in known:
                node.report_missing(key, f"the key '{key}' is missing: {_first_sentence(field.description)}")
                known[key] = UNKNOWN
        return known

    @property
    def place(self) -> Node:
        """The node of this mapping."""
        assert self._node is not None, "only what was read from a spec has a place"
        return self._node

    def at(self, key: str) -> Node:
        """The node of a key's value, or this mapping's own where the key is not written."""
        child = self.place.value.get(key)
        return child if isinstance(child, Node) else self.place

    def wrote(self, *keys: str) -> bool:
        """Whether any of the keys is written here, rightly or not."""
        return self._node is not None and any(key in self._node.value or key in self._broken for key in keys)


def _all(keys: Sequence[str]) -> str:
    return ", ".join(keys)


def _first_sentence(description: str | None) -> str:
    sentence = " ".join((description or "").split()).split(". ")[0].rstrip(".")
    return sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() else sentence
