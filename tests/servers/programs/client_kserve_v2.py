"""KServe's client against any server of the Open Inference Protocol: client_kserve_v2.py BASE_URL MODEL."""

import asyncio
import json
import sys

from kserve import InferInput, InferRequest
from kserve.inference_client import InferenceRESTClient, RESTConfig

base, model = sys.argv[1:]
ROWS = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]


async def said(asking: object) -> object:
    try:
        return await asking
    except Exception as error:
        return type(error).__name__


async def main() -> None:
    client = InferenceRESTClient(RESTConfig(protocol="v2", retries=0))
    told = {
        "live": await said(client.is_server_live(base)),
        "ready": await said(client.is_server_ready(base)),
        "model ready": await said(client.is_model_ready(base, model)),
    }
    tensor = InferInput("rows", [2, 4], "FP64", data=ROWS)
    request = InferRequest(model_name=model, request_id="same", infer_inputs=[tensor])
    answer = await client.infer(base, request, model_name=model, headers={"x-user-id": "ana"})
    told["answer"] = answer.to_dict()
    await client.close()
    print(json.dumps(told, default=str))


asyncio.run(main())
