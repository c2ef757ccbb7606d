"""What could be read of a document that may be broken in places, for rules that look at many values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crossfade.spec.document import ArmDocument, Document, MetricDocument
from crossfade.spec.document_stages import (
    AbDocument,
    CanaryDocument,
    InterleaveDocument,
    PromoteDocument,
    ShadowDocument,
    StageDocument,
)
from crossfade.spec.model import Field
from crossfade.spec.source import Unknown

AnyStage = ShadowDocument | CanaryDocument | InterleaveDocument | AbDocument | PromoteDocument


def known(*values: Any) -> bool:
    """Whether all values could be read."""
    return not any(isinstance(value, Unknown) for value in values)


def arms(document: Document) -> list[ArmDocument]:
    """The champion and every challenger that could be read."""
    found = [document.champion, document.challenger]
    if document.challengers is not None and known(document.challengers):
        found.extend(document.challengers)
    return [arm for arm in found if isinstance(arm, ArmDocument)]


def metrics(document: Document) -> dict[str, MetricDocument]:
    """The metrics that could be read."""
    if not known(document.metrics):
        return {}
    return {name: metric for name, metric in document.metrics.items() if known(metric)}


def stages(document: Document) -> Iterator[tuple[str, AnyStage]]:
    """The stages that could be read, with their names."""
    if not known(document.stages):
        return
    for entry in document.stages:
        if known(entry):
            for name in StageDocument.model_fields:
                stage = getattr(entry, name)
                if stage is not None and known(stage):
                    yield name, stage


def fields_recorded(document: Document) -> list[Field]:
    """The fields of requests, beside the unit, that every fact records."""
    lists = (document.segments, document.explore)
    return [field for fields in lists if known(fields) for field in fields if known(field)]


def said(seconds: float) -> str:
    """A duration as people write it."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0)):
        if seconds >= size and abs(seconds / size - round(seconds / size, 1)) < 1e-9:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"
