"""Renewed certificates are used without a restart, and broken ones are not."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from crossfade.rim.options import Options

from .gateway_kit import Client, gate, post, route
from .test_gateway_http_tls import Authority
from .toy_server import ToyServer, says


async def met_with(port: int) -> bytes:
    """The certificate that a new connection gets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    assert isinstance(found, bytes)
    return found


async def until(met: Callable[[bytes], bool], port: int, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not met(await met_with(port)):
            await asyncio.sleep(0.05)


async def test_a_renewed_certificate_is_used_and_a_broken_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "crossfade.gateway")
    folders = [tmp_path / name for name in ("used", "next")]
    for folder in folders:
        folder.mkdir()
    used, following = map(Authority, folders)
    new = ssl.PEM_cert_to_DER_cert(Path(following.cert).read_text().partition("-----END CERTIFICATE-----")[0] + END)
    options = Options(tls_cert=used.cert, tls_key=used.key)
    async with ToyServer(says(b"1")) as model, gate(route(model.url, ""), options=options) as gw:
        context = ssl.create_default_context(cafile=used.ca)
        standing = Client(*await asyncio.open_connection("127.0.0.1", gw.port, ssl=context))
        first = await met_with(gw.port)
        assert first != new
        # The certificate comes before its key: for a moment they do not belong together.
        shutil.copy(following.cert, used.cert)
        async with asyncio.timeout(10):
            while "cannot be used" not in caplog.text:
                await asyncio.sleep(0.05)
        assert await met_with(gw.port) == first
        shutil.copy(following.key, used.key + ".new")
        os.replace(used.key + ".new", used.key)
        await until(lambda found: found == new, gw.port)
        Path(used.cert).unlink()
        gw.running.reread()
        assert await met_with(gw.port) == new
        standing.send(post())
        assert (await standing.answer()).body == b"1"
        standing.close()


END = "-----END CERTIFICATE-----\n"
