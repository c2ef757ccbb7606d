"""KServe's InferenceRESTClient: client_kserve.py BASE_URL MODEL; prints what it was told as JSON."""

import asyncio
import json
import sys

from kserve import InferInput, InferRequest
from kserve.inference_client import InferenceRESTClient, RESTConfig

base, model = sys.argv[1:]
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]


async def main() -> None:
    told = {}
    for protocol in ("v2", "v1"):
        client = InferenceRESTClient(RESTConfig(protocol=protocol, retries=0))
        told[f"{protocol} live"] = await client.is_server_live(base)
        told[f"{protocol} model ready"] = await client.is_model_ready(base, model)
        if protocol == "v2":
            told["v2 ready"] = await client.is_server_ready(base)
        for user in ("ana", "bob", "eve", "zoe"):
            headers = {"x-user-id": user}
            if protocol == "v1":
                request = {"instances": ROWS}
            else:
                tensor = InferInput("rows", [2, 4], "FP64", data=ROWS)
                request = InferRequest(model_name=model, request_id=f"r-{user}", infer_inputs=[tensor])
            answer = await client.infer(base, request, model_name=model, headers=headers)
            told[f"{protocol} {user}"] = answer if isinstance(answer, dict) else answer.to_dict()
        try:
            await client.infer(base, {"instances": [[1.0]]}, model_name=model, headers={"x-user-id": "ana"})
        except Exception as error:
            told[f"{protocol} wrong width"] = str(error).replace(base, "BASE")
        await client.close()
    print(json.dumps(told, default=str))


asyncio.run(main())
