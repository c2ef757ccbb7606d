"""A peer: hash the unit, pick an arm, forward with aiohttp, keep one record a request in memory. Run on its own."""

import hashlib
import sys
import time

from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

PORT, CHAMPION = int(sys.argv[1]), sys.argv[2]
HOP = {"connection", "transfer-encoding", "content-length", "host", "keep-alive", "te", "upgrade", "trailer"}
records: list[tuple[str, float, int]] = []


async def session(app: web.Application):
    async with ClientSession(
        connector=TCPConnector(limit=0), timeout=ClientTimeout(total=10), auto_decompress=False
    ) as made:
        app["session"] = made
        yield


async def forward(request: web.Request) -> web.Response:
    began = time.monotonic()
    unit = request.headers.get("x-user-id", "")
    int.from_bytes(hashlib.blake2b(f"bench:{unit}".encode(), digest_size=8).digest())  # which arm
    headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
    body = await request.read()
    async with request.app["session"].request(
        request.method, CHAMPION + request.path_qs, headers=headers, data=body
    ) as reply:
        answer = await reply.read()
        if len(records) > 100_000:
            records.clear()
        records.append((unit, time.monotonic() - began, reply.status))
        kept = {name: value for name, value in reply.headers.items() if name.lower() not in HOP}
        return web.Response(status=reply.status, body=answer, headers=kept)


app = web.Application(client_max_size=2**25)
app.cleanup_ctx.append(session)
app.router.add_route("*", "/{path:.*}", forward)
web.run_app(app, host="127.0.0.1", port=PORT, access_log=None, print=None)
