"""OpenAI's own client: client_openai.py BASE_URL MODEL USERS KEY [RETRIES]; prints what it was told as JSON."""

import json
import sys

from openai import OpenAI, OpenAIError

base, model, users, key, *retries = sys.argv[1:]
client = OpenAI(base_url=base, api_key=key, max_retries=int(retries[0]) if retries else 0)


def said(user: str) -> dict[str, object]:
    ask = {"model": model, "messages": [{"role": "user", "content": "Hello?"}], "extra_headers": {"x-user-id": user}}
    try:
        whole = client.chat.completions.create(**ask)
        chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}))
    except OpenAIError as error:
        return {"error": [type(error).__name__, getattr(error, "status_code", None)]}
    return {
        "model": whole.model,
        "whole": [[one.index, one.message.content, one.finish_reason] for one in whole.choices],
        "usage": whole.usage.total_tokens,
        "models streamed": sorted({chunk.model for chunk in chunks}),
        "streamed": [
            [one.index, one.delta.role, one.delta.content, one.finish_reason]
            for chunk in chunks
            for one in chunk.choices
        ],
        "streamed usage": [chunk.usage.total_tokens for chunk in chunks if chunk.usage],
    }


print(json.dumps({user: said(user) for user in users.split(",")}))
