"""KServe v1, TensorFlow Serving and TorchServe-like replies: `predictions` in rows, or `outputs` in columns."""

from __future__ import annotations

from crossfade.live.protocols import document
from crossfade.live.protocols.base import Headers, Invalid, Prediction
from crossfade.live.protocols.json import Json


class PredictV1(Json):
    """`{"predictions": …}`; what else the reply carries is not part of the prediction."""

    name = "predict-v1"
    fields: tuple[str, ...] = ("predictions", "outputs")

    def prediction(self, headers: Headers, body: bytes) -> Prediction | Invalid:
        """The predictions alone, by path. Never raises."""
        data = document.plain(headers, body)
        doc = data if isinstance(data, Invalid) else document.load(data)
        if isinstance(doc, Invalid):
            return doc
        failed = document.failure(doc)
        if failed is not None:
            return failed
        if isinstance(doc, dict):
            for name in self.fields:
                if name in doc:
                    return Prediction({f"$.{name}": doc[name]})
        return Invalid("shape", f"the reply has no `{self.fields[0]}`")
