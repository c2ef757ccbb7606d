"""One file a wire protocol: what a reply predicts, which list it ranks, how a merged list is written back."""

from __future__ import annotations

from collections.abc import Mapping

from crossfade.live.protocols.base import Headers, Invalid, Prediction, Tensor, Wire
from crossfade.live.protocols.json import Json
from crossfade.live.protocols.mlflow import Mlflow
from crossfade.live.protocols.open_inference import OpenInference
from crossfade.live.protocols.openai_chat import OpenaiChat
from crossfade.live.protocols.predict_v1 import PredictV1
from crossfade.spec.model import Protocol

__all__ = ["WIRES", "Headers", "Invalid", "Prediction", "Tensor", "Wire", "wire"]

WIRES: Mapping[Protocol, Wire] = {
    Protocol.OPEN_INFERENCE: OpenInference(),
    Protocol.MLFLOW: Mlflow(),
    Protocol.PREDICT_V1: PredictV1(),
    Protocol.OPENAI_CHAT: OpenaiChat(),
    Protocol.JSON: Json(),
}
"""Every protocol's reader, one stateless object each."""


def wire(protocol: Protocol) -> Wire:
    """The reader of a protocol."""
    return WIRES[protocol]
