"""MLflow's own scoring server, at the root and at /endpoints/iris where its deployments client asks: … FILE PORT."""

import sys
from pathlib import Path

import joblib
import mlflow.pyfunc
import mlflow.sklearn
import uvicorn
from fastapi import FastAPI
from mlflow.pyfunc import scoring_server

saved = Path(sys.argv[1]).with_suffix(".mlflow")
mlflow.sklearn.save_model(joblib.load(sys.argv[1]), saved, pip_requirements=[], serialization_format="cloudpickle")
model = mlflow.pyfunc.load_model(str(saved))
app = FastAPI()
app.mount("/endpoints/iris", scoring_server.init(model))
app.mount("/", scoring_server.init(model))
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
