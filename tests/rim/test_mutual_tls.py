"""Certificates on both sides: who shows none that we trust is not served, and models are shown ours."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from crossfade.rim import upstream
from crossfade.rim.control_options import ControlOptions
from crossfade.rim.options import Options, OptionsError, decode

from .gateway_kit import Client, ask, gate, post, route
from .test_gateway_http_tls import Authority
from .toy_server import ToyServer, says


@pytest.fixture
def authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Authority, Authority]:
    """Ours, and one that nobody here has reason to trust."""
    monkeypatch.setattr(upstream, "_trusted", None)
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    return Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")


async def answered(port: int, server: Authority, shown: Authority | None) -> bytes:
    """What a client with this certificate gets; nothing where it is not served."""
    context = ssl.create_default_context(cafile=server.ca)
    if shown is not None:
        context.load_cert_chain(shown.cert, shown.key)
    try:
        client = Client(*await asyncio.open_connection("127.0.0.1", port, ssl=context))
        client.send(post(b"hello"))
        return (await client.answer(10)).body
    except (OSError, EOFError, IndexError):
        return b""


async def test_the_data_port_serves_those_alone_whom_its_authority_vouches_for(
    authorities: tuple[Authority, Authority],
) -> None:
    ours, theirs = authorities
    options = Options(tls_cert=ours.cert, tls_key=ours.key, tls_client_ca=ours.ca)
    async with ToyServer(says(b"1")) as model, gate(route(model.url, ""), options=options) as gw:
        assert [await answered(gw.port, ours, shown) for shown in (ours, None, theirs, ours)] == [b"1", b"", b"", b"1"]
        assert len(model.requests) == 2, "nobody else's request has reached the model"


async def test_models_are_shown_our_certificate(authorities: tuple[Authority, Authority]) -> None:
    ours, theirs = authorities
    met = ours.server()
    met.load_verify_locations(ours.ca)
    met.verify_mode = ssl.CERT_REQUIRED

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsafe")
        await writer.drain()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=met)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for shown, status in ((None, 502), (theirs, 502), (ours, 200)):
        own = {"upstream_cert": shown.cert, "upstream_key": shown.key} if shown else {}
        async with gate(route(url, ""), options=Options(upstream_ca=ours.ca, **own)) as gw:
            assert (await ask(gw.port, post())).status == status
    server.close()


def test_files_that_cannot_be_used_are_named_with_their_option(authorities: tuple[Authority, Authority]) -> None:
    ours, theirs = authorities
    pair = {"tls_cert": ours.cert, "tls_key": ours.key}
    for options, said in (
        (Options(**pair, tls_client_ca=ours.key), "--tls-client-ca .* PEM file of one or more certificates"),
        (Options(tls_client_ca=ours.ca), "--tls-client-ca is given without --tls-cert"),
        (Options(upstream_key=ours.key), "--upstream-key is given without --upstream-cert"),
        (Options(upstream_cert=ours.cert, upstream_key=theirs.key), "--upstream-cert .* key that belongs to it"),
        (Options(upstream_cert="/nowhere.pem"), "--upstream-cert /nowhere.pem .* no such file"),
        (ControlOptions(tls_key=ours.key), "--control-tls-key is given without --control-tls-cert"),
        (ControlOptions(**pair, tls_client_ca="/nowhere.pem"), "--control-tls-client-ca /nowhere.pem .* no such file"),
        (ControlOptions(tls_cert=ours.cert, tls_key=theirs.key), "--control-tls-cert .* key that belongs to it"),
        (ControlOptions(outcome_rate=-1.0), "--outcome-rate is -1"),
    ):
        with pytest.raises(OptionsError, match=said):
            options.check()
    good = Options(**pair, tls_client_ca=ours.ca, upstream_cert=ours.cert, upstream_key=ours.key)
    good.check()
    assert decode(good.encoded()) == good
