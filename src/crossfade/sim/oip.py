"""The Open Inference Protocol v2 as a model's side speaks it: request bytes → tensors, outputs → reply bytes.

Pure: the sockets, latency and faults around it live in `model_server`. Both the JSON form (flat or nested
data) and the binary-tensor extension are understood.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crossfade.sim.models import Floats, Model, Ranker

_DTYPES: dict[str, str] = {"FP64": "<f8", "FP32": "<f4", "INT64": "<i8", "INT32": "<i4"}
INPUT = "features"
LENGTH_HEADER = "inference-header-content-length"


class BadRequest(ValueError):
    """The request cannot be answered; the message goes to the client as `{"error": …}`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InferRequest:
    """What a client asked for."""

    id: str
    rows: Floats
    """(n, width)."""
    binary: frozenset[str] | None
    """Names of the outputs wanted as binary tensors; None for all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output tensor."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, extra headers and body of one reply."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)


def parse_infer(body: bytes, headers: Mapping[str, str], width: int) -> InferRequest:
    """The request in `body`; raises BadRequest with a sentence for the client."""
    json_length = headers.get(LENGTH_HEADER)
    head, tail = (body, b"") if json_length is None else (body[: int(json_length)], body[int(json_length) :])
    try:
        document = json.loads(head)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None
    inputs = document.get("inputs") if isinstance(document, dict) else None
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise BadRequest("'inputs' must be a list with exactly one tensor")
    return InferRequest(
        id=str(document.get("id", "")),
        rows=_rows(inputs[0], tail, width),
        binary=_binary_outputs(document),
    )


def _rows(tensor: Mapping[str, Any], tail: bytes, width: int) -> Floats:
    dtype = _DTYPES.get(str(tensor.get("datatype")))
    if dtype is None:
        raise BadRequest(f"datatype {tensor.get('datatype')!r} is not one of {', '.join(_DTYPES)}")
    size = _parameters(tensor).get("binary_data_size")
    try:
        flat = (
            np.frombuffer(tail[: int(size)], dtype=dtype)
            if size is not None
            else np.asarray(tensor.get("data"), dtype=np.float64).reshape(-1)
        )
        rows = flat.astype(np.float64, copy=False).reshape([int(n) for n in tensor.get("shape", ())])
    except (TypeError, ValueError) as error:
        raise BadRequest(f"data and shape of input {tensor.get('name')!r} do not fit: {error}") from None
    if rows.ndim != 2 or rows.shape[1] != width or not len(rows):
        raise BadRequest(f"input {tensor.get('name')!r} has shape {list(rows.shape)}; expected [n, {width}]")
    return rows


def _parameters(owner: Mapping[str, Any]) -> Mapping[str, Any]:
    found = owner.get("parameters")
    return found if isinstance(found, dict) else {}


def _binary_outputs(document: Mapping[str, Any]) -> frozenset[str] | None:
    wanted = document.get("outputs")
    if not wanted:
        return None if _parameters(document).get("binary_data_output") else frozenset()
    if not isinstance(wanted, list) or not all(isinstance(output, dict) for output in wanted):
        raise BadRequest("'outputs' must be a list of objects")
    return frozenset(str(output.get("name")) for output in wanted if _parameters(output).get("binary_data"))


def run(model: Model, rows: Floats) -> Output:
    """What the model answers: labels for a classifier, the ids of the nearest documents for a ranker."""
    if isinstance(model, Ranker):
        found = [item for row in rows for item in model.search(row)]
        return Output(name="items", datatype="BYTES", shape=(len(found),), data=found)
    labels = model.predict(rows)
    return Output(name="predict", datatype="INT64", shape=(len(labels),), data=labels.tolist())


def build_infer(request: InferRequest, output: Output, *, model: str, version: str) -> Reply:
    """The reply for one request, as binary tensor where the client asked for it."""
    tensor: dict[str, Any] = {"name": output.name, "datatype": output.datatype, "shape": list(output.shape)}
    document: dict[str, Any] = {"model_name": model, "model_version": version}
    if request.id:
        document["id"] = request.id
    document["outputs"] = [tensor]
    if request.binary is None or output.name in request.binary:
        raw = _binary(output)
        tensor["parameters"] = {"binary_data_size": len(raw)}
        head = json.dumps(document, separators=(",", ":")).encode()
        return Reply(
            200,
            head + raw,
            (("content-type", "application/octet-stream"), (LENGTH_HEADER, str(len(head)))),
        )
    tensor["data"] = list(output.data)
    return Reply(200, json.dumps(document, separators=(",", ":")).encode())


def _binary(output: Output) -> bytes:
    if output.datatype == "BYTES":
        encoded = [str(item).encode() for item in output.data]
        return b"".join(struct.pack("<I", len(item)) + item for item in encoded)
    return np.asarray(output.data, dtype=_DTYPES[output.datatype]).tobytes()


def error(status: int, message: str) -> Reply:
    """An error as the protocol words it."""
    return Reply(status, json.dumps({"error": message}).encode())


def describe(path: str, *, model: str, version: str, width: int, ranks: bool) -> Reply:
    """The answer to a GET: server and model metadata, liveness and readiness."""
    base = f"/v2/models/{model}"
    bases = (base, f"{base}/versions/{version}")
    match path.rstrip("/"):
        case "/v2":
            document: dict[str, Any] = {
                "name": "crossfade-demo",
                "version": "1",
                "extensions": ["binary_tensor_data"],
            }
        case "/v2/health/live":
            document = {"live": True}
        case "/v2/health/ready":
            document = {"ready": True}
        case ready if ready in tuple(f"{b}/ready" for b in bases):
            document = {"name": model, "ready": True}
        case bare if bare in bases:
            document = {
                "name": model,
                "versions": [version],
                "platform": "crossfade_numpy",
                "inputs": [{"name": INPUT, "datatype": "FP64", "shape": [-1, width]}],
                "outputs": [
                    {"name": "items", "datatype": "BYTES", "shape": [-1]}
                    if ranks
                    else {"name": "predict", "datatype": "INT64", "shape": [-1]}
                ],
            }
        case other:
            return error(404, f"nothing at {other or '/'}; this server has the model {model!r}, version {version!r}")
    return Reply(200, json.dumps(document, separators=(",", ":")).encode())
