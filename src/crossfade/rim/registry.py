"""A model registry's alias follows what serves everyone: moved when a rollout is promoted, and back when it is not."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

from crossfade.rim.channels import Undelivered, endpoint, post
from crossfade.rim.secrets import secret
from crossfade.rim.store import Store, Stored
from crossfade.spec.model import Registry, Rollout
from crossfade.state import Phase

RULE_NAME = "registry"
"""The rule under which ledgers have it."""

ACTOR = "crossfade"

_PATH = "/api/2.0/mlflow/registered-models/alias"


def wanted(rollout: Rollout, phase: Phase) -> int | None:
    """The version that the alias should name; None while nothing is settled."""
    registry = rollout.registry
    if registry is None:
        return None
    arm = {
        Phase.PROMOTED: rollout.challenger.name,
        Phase.FINISHED: rollout.challenger.name,
        Phase.ROLLED_BACK: rollout.champion.name,
    }.get(phase)
    return dict(registry.versions).get(arm or "")


def follow(store: Store, stored: Stored, now: float) -> None:
    """Move the alias to where it should be, and tell the ledger once. Does nothing that is done already.

    Raises Undelivered, SecretError or StoreError.
    """
    registry = stored.rollout.registry
    version = wanted(stored.rollout, stored.position.phase)
    if registry is None or version is None:
        return
    if current(registry) != version:
        body = json.dumps({"name": registry.model, "alias": registry.alias, "version": str(version)}).encode()
        post(_base(registry) + _PATH, body, {"content-type": "application/json", **_who(registry)})
        found = current(registry)
        if found != version:
            raise Undelivered(
                f"the alias {registry.alias} of {registry.model} is {found} after it was set to {version}"
            )
    sentence = f"The alias {registry.alias} of {registry.model} names version {version} in the model registry."
    last = next((entry for entry in reversed(store.entries(stored.name)) if entry.rule == RULE_NAME), None)
    if last is None or last.sentence != sentence:
        store.note(
            stored.name,
            actor=ACTOR,
            rule=RULE_NAME,
            sentence=sentence,
            at=now,
            change=lambda _, position: position,
        )


def current(registry: Registry) -> int | None:
    """The version that the alias names now; None where there is no such alias. Raises Undelivered, SecretError."""
    asked = f"?name={quote(registry.model, safe='')}&alias={quote(registry.alias, safe='')}"
    try:
        _, told = post(_base(registry) + _PATH + asked, b"", _who(registry), method="GET")
    except Undelivered as error:
        # An alias that was never set is answered like this, and so is a model that is not there; setting it tells.
        if "RESOURCE_DOES_NOT_EXIST" in str(error) or "INVALID_PARAMETER_VALUE" in str(error):
            return None
        raise
    try:
        return int(told["model_version"]["version"])
    except (KeyError, TypeError, ValueError) as error:
        raise Undelivered("the registry answered what is no version of a model; is it an MLflow server?") from error


def _base(registry: Registry) -> str:
    return endpoint(registry.mlflow).rstrip("/")


def _who(registry: Registry) -> dict[str, str]:
    if not registry.token:
        return {}
    token = secret(registry.token)
    if ":" in token:
        return {"authorization": f"Basic {base64.b64encode(token.encode()).decode()}"}
    return {"authorization": f"Bearer {token}"}
