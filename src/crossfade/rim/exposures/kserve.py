"""What KServe's inference logger tells: which rollout, arm and unit an event of its is about.

It sends an event for a request and one for its reply, with one id; a reply only where its status was 200.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

from crossfade.facts import Exposed
from crossfade.live import units
from crossfade.rim.exposures.envelope import Event
from crossfade.rim.exposures.reading import Context, Item, read_items
from crossfade.spec.model import Field, From, Rollout

REQUEST = "org.kubeflow.serving.inference.request"
RESPONSE = "org.kubeflow.serving.inference.response"

ENDPOINTS = {"default": 0, "canary": 1}
"""What KServe calls the two revisions of one service; the first is the champion."""


def exposed(event: Event, context: Context, *, rollout: str = "", arm: str = "") -> Exposed | str:
    """The exposure that a request is, as if it had been answered well; or what is wrong. `rollout` and `arm`: as the
    address that it was sent to names them, in place of what the event says. Raises what `context.recorded` raises."""
    found = _placed(event, context.rollouts, rollout, arm)
    if isinstance(found, str):
        return found
    asked, served = found
    headers = _headers(event)
    body = partial(_document, event.data)

    def said(field: Field) -> str:
        value = units.read(field, headers, body)
        if not value and field.source is From.HEADER:
            # An extension's name has letters and digits alone.
            value = units.header(event.attributes.get(re.sub(r"[^a-z0-9]", "", field.name.lower()), ""))
        return value

    item = Item(
        decision_id=event.id,
        rollout=asked.name,
        unit=said(asked.unit),
        arm=served,
        at=event.at,
        segments={str(field): said(field) for field in asked.features},
    )
    read = read_items([item], context)
    return read.exposures[0] if read.exposures else str(read.rejected[0]["problem"])


def _placed(event: Event, rollouts: Mapping[str, Rollout], rollout: str, arm: str) -> tuple[Rollout, str] | str:
    service, endpoint = (event.attributes.get(name, "") for name in ("inferenceservicename", "endpoint"))
    names = {rollout} if rollout else {service, endpoint, event.attributes.get("component", "")}
    if rollout and rollout not in rollouts:
        return f"no rollout is named {rollout!r}, as the address says that it was sent to"
    meant = [one for one in rollouts.values() if one.name in names or (not rollout and _arm(one, service))]
    if len(meant) != 1:
        several = f"it may be of {' or '.join(one.name for one in meant)}" if meant else "it is of no rollout"
        return f"{several}, by its service {service!r}; name one in the address: ?rollout=NAME&arm=ARM"
    served = arm or _arm(meant[0], endpoint) or _arm(meant[0], service)
    if not served and endpoint in ENDPOINTS and len(meant[0].challengers) == 1:
        served = (meant[0].champion, meant[0].challenger)[ENDPOINTS[endpoint]].name
    if not served:
        said = f"neither its endpoint {endpoint!r} nor its service {service!r} is an arm of {meant[0].name}"
        return f"{said}; name one in the address: ?arm=ARM"
    return meant[0], served


def _arm(rollout: Rollout, called: str) -> str:
    """The arm that is called so: by its own name, by the router's, or by its model's."""
    if not called:
        return ""
    for arm in (rollout.champion, *rollout.challengers):
        if called in (arm.name, arm.model, rollout.router.called(arm.name) if rollout.router else None):
            return arm.name
    return ""


def _headers(event: Event) -> dict[str, str]:
    """The request's headers that the logger was told to send (`metadataHeaders`), by lower-case names."""
    try:
        said = json.loads(event.attributes.get("metadata") or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    return {
        str(name).lower(): str(values[0] if isinstance(values, list) else values)
        for name, values in said.items()
        if values
    }


def _document(data: bytes) -> Any:
    return json.loads(data)
