"""OpenAI's own client: client_openai_models.py BASE_URL KEY; lists the models and asks for each of them."""

import json
import sys

from openai import OpenAI

base, key = sys.argv[1:]
client = OpenAI(base_url=base, api_key=key, max_retries=0)
found = [client.models.retrieve(listed.id) for listed in client.models.list()]
print(json.dumps({one.id: [one.id, one.object] for one in found}))
