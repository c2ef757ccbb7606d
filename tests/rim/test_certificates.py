"""Renewed certificates and authorities are used without a restart, and broken ones are not."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from crossfade.rim import upstream
from crossfade.rim.options import Options

from .gateway_kit import Client, ask, gate, post, route
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


async def test_renewed_authorities_are_trusted_broken_ones_are_not_and_withdrawn_ones_no_longer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "_trusted", None)
    caplog.set_level(logging.INFO, "crossfade.gateway")
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    one, two = map(Authority, folders)
    trusted = tmp_path / "trusted.pem"
    shutil.copy(one.ca, trusted)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n2")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=two.server())
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with gate(route(url, ""), options=Options(upstream_ca=str(trusted))) as gw:

            async def told(text: str, status: int) -> None:
                async with asyncio.timeout(10):
                    while text not in caplog.text:
                        await asyncio.sleep(0.05)
                caplog.clear()
                assert (await ask(gw.port, post())).status == status

            assert (await ask(gw.port, post())).status == 502
            shutil.copy(two.ca, trusted)
            await told("now in", 200)
            trusted.write_text("nothing")
            await told("cannot be used", 200)
            shutil.copy(one.ca, trusted)
            await told("now in", 502)


END = "-----END CERTIFICATE-----\n"
