"""The request that a checkup sends where nobody has given one: as plain as the protocol can describe it by itself."""

from __future__ import annotations

import json
from math import prod
from typing import Any

from crossfade.live import model_paths
from crossfade.rim.checkup.asking import ask
from crossfade.rim.traffic import Request
from crossfade.spec.model import Protocol, Rollout

MOST = 1_000_000
"""Numbers in a made-up tensor; a larger one has to be given."""

JSON = (("content-type", "application/json"),)

GIVE = 'give one with --request FILE: a line such as {"body": {...}, "headers": {"x-user-id": "42"}}'


def made_up(rollout: Rollout) -> Request | str:
    """A request for the champion's model, or why none can be made up."""
    match rollout.protocol:
        case Protocol.OPEN_INFERENCE:
            return _tensors(rollout)
        case Protocol.OPENAI_CHAT:
            said: dict[str, Any] = {"model": rollout.champion.model or rollout.name, "max_tokens": 8}
            said["messages"] = [{"role": "user", "content": "Answer with the word ready."}]
            return Request(id="1", method="POST", path=_chat(rollout.route), headers=JSON, body=_bytes(said))
        case _:
            return f"what {rollout.protocol} models take is not known without an example"


def _chat(route: str) -> str:
    return route if route.endswith("/completions") else f"{route.rstrip('/')}/chat/completions"


def _tensors(rollout: Rollout) -> Request | str:
    """Zeros in the shape that the model's own metadata asks for."""
    named = model_paths.find(rollout.route.encode())
    if named is None:
        return f"the route {rollout.route} does not name a model, so its inputs cannot be asked for"
    there = rollout.route[: named.end]
    answer = ask(rollout, rollout.champion, Request(id="0", method="GET", path=there, headers=(), body=b""))
    if answer.failure:
        return f"{rollout.champion.name} could not be asked what it takes"
    try:
        inputs = [_tensor(one) for one in json.loads(answer.body)["inputs"]]
    except (ValueError, KeyError, TypeError):
        inputs = []
    if answer.status != 200 or not inputs:
        return f"{rollout.champion.name} does not say what its inputs are (GET {there}: {answer.status})"
    path = rollout.route if rollout.route.endswith("/infer") else f"{there}/infer"
    return Request(id="1", method="POST", path=path, headers=JSON, body=_bytes({"inputs": inputs}))


def _tensor(told: Any) -> dict[str, Any]:
    shape = [max(int(size), 1) for size in told["shape"]]
    datatype = str(told["datatype"])
    if prod(shape) > MOST:
        raise ValueError("too large to be made up")
    value: Any = "" if datatype == "BYTES" else False if datatype == "BOOL" else 0.0 if "FP" in datatype else 0
    return {"name": str(told["name"]), "datatype": datatype, "shape": shape, "data": [value] * prod(shape)}


def _bytes(document: Any) -> bytes:
    return json.dumps(document).encode()
