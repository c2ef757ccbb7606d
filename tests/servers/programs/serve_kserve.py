"""KServe's own model server with two names for one model: serve_kserve.py FILE HTTP_PORT GRPC_PORT."""

import sys

import joblib
import kserve
import numpy as np


class Iris(kserve.Model):
    def load(self) -> bool:
        self.model = joblib.load(sys.argv[1])
        self.ready = True
        return True

    def predict(self, payload, headers=None, response_headers=None):
        if isinstance(payload, kserve.InferRequest):
            rows = payload.inputs[0].as_numpy()
            output = kserve.InferOutput("probabilities", [len(rows), 3], "FP64")
            output.set_data_from_numpy(self.model.predict_proba(rows), binary_data=False)
            return kserve.InferResponse(response_id=payload.id, model_name=self.name, infer_outputs=[output])
        return {"predictions": self.model.predict_proba(np.asarray(payload["instances"])).tolist()}


models = [Iris("iris"), Iris("iris-two")]
for model in models:
    model.load()
kserve.ModelServer(http_port=int(sys.argv[2]), grpc_port=int(sys.argv[3]), workers=1).start(models)
