"""MLflow's deployments and scoring clients: client_mlflow.py BASE_URL; prints what they were told as JSON."""

import json
import sys

from mlflow.deployments import get_deploy_client
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

base = sys.argv[1]
host, _, port = base.removeprefix("http://").partition(":")
rows = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]
told = {}
scoring = ScoringServerClient(host, int(port))
scoring.ping()
told["invoke"] = scoring.invoke(rows).get_predictions().values.tolist()
deployments = get_deploy_client(base)
for inputs in ({"inputs": rows}, {"instances": rows}, {"dataframe_split": {"columns": list("abcd"), "data": rows}}):
    told[next(iter(inputs))] = deployments.predict(endpoint="iris", inputs=inputs)
try:
    deployments.predict(endpoint="iris", inputs={"inputs": [[1.0]]})
except Exception as error:
    told["wrong width"] = [type(error).__name__, str(error).replace(base, "BASE")[:200]]
print(json.dumps(told))
