"""MLflow's scoring server: `predictions`, whatever the model returned; before MLflow 2 the bare list."""

from __future__ import annotations

from crossfade.live.protocols import document
from crossfade.live.protocols.base import Headers, Invalid, Prediction
from crossfade.live.protocols.predict_v1 import PredictV1


class Mlflow(PredictV1):
    """`{"predictions": …}` from `/invocations`."""

    name = "mlflow"
    fields = ("predictions",)

    def prediction(self, headers: Headers, body: bytes) -> Prediction | Invalid:
        """The predictions alone, by path. Never raises."""
        data = document.plain(headers, body)
        doc = data if isinstance(data, Invalid) else document.load(data)
        if isinstance(doc, list):
            return Prediction({"$": doc})
        return super().prediction(headers, body)
