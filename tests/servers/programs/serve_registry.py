"""An MLflow tracking server with a registered model of two versions: PORT."""

from __future__ import annotations

import subprocess
import sys

port = sys.argv[1]
subprocess.run(
    [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--backend-store-uri",
     "sqlite:///mlflow.db", "--workers", "1"], check=True)  # fmt: skip
