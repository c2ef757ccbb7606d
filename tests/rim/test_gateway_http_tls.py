"""TLS on both sides, and what the gateway says of itself: JSON lines, access lines, trace context untouched."""

from __future__ import annotations

import asyncio
import datetime
import io
import ipaddress
import json
import logging
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from crossfade.rim import logs, upstream
from crossfade.rim.limits import Limits
from crossfade.rim.options import Options, OptionsError, decode, size

from .gateway_kit import Client, ask, gate, post, route
from .toy_server import ToyServer, echoes, hangs, says

MIB = 1 << 20


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(folder: Path, name: str, key: ec.EllipticCurvePrivateKey, *certificates: x509.Certificate) -> tuple[str, str]:
    chain, secret = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(chain), str(secret)


class Authority:
    """A certificate authority of the tests' own, and one certificate for 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        begin = datetime.datetime(2020, 1, 1)  # noqa: DTZ001 — cryptography takes naive UTC
        end = datetime.datetime(2100, 1, 1)  # noqa: DTZ001
        root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

        def draft(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
            built = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name("test authority"))
            built = built.public_key(key.public_key()).serial_number(x509.random_serial_number())
            return built.not_valid_before(begin).not_valid_after(end)

        ca = draft("test authority", root).add_extension(x509.BasicConstraints(True, None), True)
        signed = ca.sign(root, hashes.SHA256())
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        server = draft("gateway", leaf).add_extension(names, False).sign(root, hashes.SHA256())
        self.ca, _ = _pem(folder, "ca", root, signed)
        self.cert, self.key = _pem(folder, "server", leaf, server, signed)

    def server(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def trusting(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    monkeypatch.setattr(upstream, "_trusted", None)
    return authority


async def secure(port: int, authority: Authority) -> Client:
    context = ssl.create_default_context(cafile=authority.ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return Client(*await asyncio.open_connection("127.0.0.1", port, ssl=context))


async def test_tls_before_the_gateway(authority: Authority) -> None:
    options = Options(tls_cert=authority.cert, tls_key=authority.key)
    async with ToyServer(echoes) as model, gate(route(model.url, ""), options=options) as gw:
        client = await secure(gw.port, authority)
        spoken = client.writer.get_extra_info("ssl_object")
        assert (spoken.selected_alpn_protocol(), spoken.version()) == ("http/1.1", "TLSv1.3")
        body = bytes(range(256)) * (3 * 4096)
        client.send(post(b"1") + post(body) + post(b"2"))
        assert [answer.body for answer in await client.answers(3, 20)] == [b"1", body, b"2"]
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")
        assert (await client.answer()).status == 400
        assert await client.closed() == b""
        plain = await Client.to(gw.port)
        plain.send(post())
        assert b"200" not in await plain.closed()
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        old.load_verify_locations(authority.ca)
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", gw.port, ssl=old)


async def test_a_client_that_leaves_through_tls_ends_the_call(authority: Authority) -> None:
    options = Options(tls_cert=authority.cert, tls_key=authority.key)
    async with ToyServer(hangs) as model, gate(route(model.url, ""), options=options) as gw:
        client = await secure(gw.port, authority)
        client.send(post())
        while not model.requests:
            await asyncio.sleep(0.005)
        client.close()
        assert (await gw.exposed())[0].reason == "client-left"


async def test_tls_to_a_model(trusting: Authority) -> None:
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                seen.append(await reader.readuntil(b"\r\n\r\n"))
                size = int(seen[-1].partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
                await reader.readexactly(size)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsafe")
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=trusting.server())
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with gate(route(url, "")) as gw:
        # The system's authorities do not know this one.
        assert (await ask(gw.port, post())).status == 502
        assert seen == []
    async with gate(route(url, ""), options=Options(upstream_ca=trusting.ca)) as gw:
        client = await Client.to(gw.port)
        client.send(post() + post(bytes(2 * MIB)) + post())
        assert [one.body for one in await client.answers(3, 20)] == [b"safe"] * 3
    async with gate(route(url.replace("127.0.0.1", "localhost"), "")) as gw:
        assert (await ask(gw.port, post())).status == 502, "the certificate is for another name"
    server.close()


def test_options_that_cannot_be_used(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path)
    for options, said in {
        Options(tls_cert="/nowhere.pem"): "/nowhere.pem",
        Options(tls_key=authority.key): "without --tls-cert",
        Options(tls_cert=authority.cert, tls_key=other.key): "belongs to it",
        Options(upstream_ca=authority.key): "--upstream-ca",
        Options(upstream_ca="/nowhere.pem"): "no such file",
    }.items():
        with pytest.raises(OptionsError, match=said):
            options.check()
    good = Options(tls_cert=authority.cert, tls_key=authority.key, upstream_ca=authority.ca, access_log=True)
    good.check()
    assert decode(good.encoded()) == good


@pytest.mark.parametrize(("text", "number"), [("65536", 65536), ("64KiB", 65536), ("1.5 MB", 1_500_000), ("2g", 2e9)])
def test_sizes(text: str, number: float) -> None:
    assert size(text) == number


@pytest.mark.parametrize("text", ["", "many", "-1", "1 banana", "1e9"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(OptionsError, match="not a size"):
        size(text)


async def test_trace_context_passes_untouched_and_access_is_noted(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent = b"X-User-Id: secret\r\ntraceparent: %b\r\ntracestate: a=b, c=d\r\nbaggage: e=f\r\n" % trace
    async with ToyServer(says(b"{}")) as model:
        async with gate(route(model.url, ""), options=Options(access_log=True), data=tmp_path) as gw:
            answer = await ask(gw.port, post(headers=sent))
            await ask(gw.port, b"GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n")
        seen = dict(model.requests[0].headers)
        assert (seen[b"traceparent"], seen[b"tracestate"], seen[b"baggage"]) == (trace, b"a=b, c=d", b"e=f")
        assert b"traceparent" not in {name for name, _ in model.requests[1].headers}
    text = (tmp_path / "logs" / "access-gateway-0.jsonl").read_text()
    first, second = (json.loads(line) for line in text.splitlines())
    assert first["decision"].encode() == answer.get(b"x-crossfade-decision")
    assert (first["method"], first["target"], first["status"]) == ("POST", "/predict", 200)
    assert first["traceparent"].encode() == trace
    assert 0 < first["ms"] < 5000
    assert (second["target"], second["decision"], second["traceparent"]) == ("/elsewhere", None, None)
    assert "secret" not in text


async def test_failures_and_refusals_are_told_once_a_second_with_a_decision(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "crossfade.gateway")
    async with gate(route("http://127.0.0.1:1", "")) as gw:
        answers = [await ask(gw.port, post()) for _ in range(5)]
        assert [(await ask(gw.port, b"NONSENSE\r\n\r\n")).status for _ in range(3)] == [400] * 3
        gw.running.gateway.tidy()
    told = [record.fields for record in caplog.records if hasattr(record, "fields")]
    (failed,) = [fields for fields in told if fields["event"] == "arm-failed"]
    assert (failed["rollout"], failed["arm"], failed["reason"], failed["count"]) == ("r", "v1", "refused", 5)
    assert failed["decision"].encode() in {answer.get(b"x-crossfade-decision") for answer in answers}
    (refused,) = [fields for fields in told if fields["event"] == "refused"]
    assert (refused["status"], refused["count"]) == (400, 3)


def test_a_log_line_is_one_json_object() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonLines("gateway-7"))
    log = logging.getLogger("crossfade.test-of-lines")
    log.addHandler(handler)
    log.propagate = False
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("it %s", "broke", extra={"fields": {"event": "exchange-broke", "decision": "d"}})
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert (told["worker"], told["level"], told["message"]) == ("gateway-7", "error", "it broke")
    assert (told["event"], told["decision"]) == ("exchange-broke", "d")
    assert "two\nlines" in told["traceback"]


async def test_a_worker_process_takes_the_options_it_is_given(authority: Authority, tmp_path: Path) -> None:
    limits = Limits(head_bytes=2000)
    options = Options(tls_cert=authority.cert, tls_key=authority.key, access_log=True, limits=limits)
    for place in ("run", "logs", "journal", "lake"):
        (tmp_path / place).mkdir()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(16)
        command = [sys.executable, "-m", "crossfade.rim.worker", "gateway", "--data", str(tmp_path)]
        command += ["--fd", str(sock.fileno()), "--options", options.encoded()]
        said = (tmp_path / "said").open("wb")
        process = subprocess.Popen(command, pass_fds=[sock.fileno()], stderr=said)
        try:
            client = await secure(sock.getsockname()[1], authority)
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.answer(20)).status == 503, "there is no rollout yet"
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 3000)
            assert (await client.answer()).status == 431
        finally:
            process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(process.wait, 20) == 0
            said.close()
    lines = [json.loads(line) for line in (tmp_path / "said").read_text().splitlines()]
    assert any(line.get("event") == "refused" and line["status"] == 431 for line in lines)
    assert {line["worker"] for line in lines} == {"gateway-0"}
    assert (tmp_path / "logs" / "access-gateway-0.jsonl").read_text().count('"status":503') == 1
