"""What the operator says about the data port, once for all workers: limits, TLS, logs."""

from __future__ import annotations

import logging
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path

import msgspec

from crossfade.rim.limits import Limits
from crossfade.rim.tls import OptionsError, Tls, authorities, own

__all__ = ["PLAIN", "Options", "OptionsError", "decode", "path", "size"]

log = logging.getLogger("crossfade.gateway")

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([kmgt]i?)?b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


OTHER_FILES = 256
"""Open files that a worker keeps for copies to shadows, its journal, its logs and the libraries."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How the data port is served. Paths are absolute, because workers may run elsewhere."""

    limits: Limits = msgspec.field(default_factory=Limits)
    tls_cert: str = ""
    """PEM file of the certificate and its chain; '' for plain HTTP."""
    tls_key: str = ""
    """PEM file of its key; '' where the certificate's file holds it."""
    tls_client_ca: str = ""
    """PEM file of the authorities whose clients alone are served; '' serves everybody."""
    upstream_ca: str = ""
    """PEM file of the authorities that vouch for https models; '' for those of the system."""
    upstream_cert: str = ""
    """PEM file of the certificate that https models are shown; '' for none."""
    upstream_key: str = ""
    access_log: bool = False
    trace: bool = False
    """Send spans to an OpenTelemetry collector, also where no environment variable says so."""

    def encoded(self) -> str:
        """As one command line argument."""
        return msgspec.json.encode(self).decode()

    def tls(self) -> ssl.SSLContext | None:
        """What clients are met with. Raises OptionsError."""
        return self.met.context()

    @property
    def met(self) -> Tls:
        """How the port meets its clients."""
        return Tls(option="--tls", cert=self.tls_cert, key=self.tls_key, client_ca=self.tls_client_ca)

    def upstream(self) -> ssl.SSLContext | None:
        """How https models are met; None for as the system has it. Raises OptionsError."""
        if not self.upstream_cert and self.upstream_key:
            raise OptionsError("--upstream-key is given without --upstream-cert; name both, or neither")
        if not (self.upstream_ca or self.upstream_cert):
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.upstream_ca:
            authorities(context, "--upstream-ca", self.upstream_ca)
        else:
            context.load_default_certs()
        if self.upstream_cert:
            own(context, "--upstream-cert", self.upstream_cert, "--upstream-key", self.upstream_key)
        return context

    def tracing(self, environment: Mapping[str, str]) -> bool:
        """Whether to trace, by `--trace` or by the usual variables of OpenTelemetry. Raises OptionsError where traces
        were asked for by `--trace` and cannot be had."""
        if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return False
        exporter = environment.get("OTEL_TRACES_EXPORTER", "").strip()
        named = exporter == "otlp" or any(environment.get(name) for name in _COLLECTOR)
        if not self.trace and (exporter == "none" or not named):
            return False
        spoken = next((environment[name] for name in _SPOKEN if environment.get(name)), "http/protobuf")
        wrong = ""
        if not _installed():
            from crossfade.rim.extras import install

            wrong = f"OpenTelemetry is not installed; do so with: {install('otel')}"
        elif spoken != "http/protobuf":
            wrong = f"OTEL_EXPORTER_OTLP_PROTOCOL is {spoken}; only http/protobuf is spoken, usually at port 4318"
        if wrong and self.trace:
            raise OptionsError(f"--trace: {wrong}")
        if wrong:
            log.warning("nothing is traced: %s", wrong)
        return not wrong

    def within(self, files: int) -> tuple[Options, str]:
        """The options that a worker with so many open files can keep, and a word on what had to be lowered; '' for
        nothing. A client holds one file, and a second one while a model answers it."""
        room = max((files - OTHER_FILES) // 2, 1) if files > 0 else self.limits.connections
        if self.limits.connections <= room:
            return self, ""
        told = (
            f"--max-connections {self.limits.connections} is lowered to {room} a worker: only {files} files may be"
            " open; raise the limit (ulimit -n, or LimitNOFILE= of systemd) or ask for fewer connections"
        )
        limits = replace(self.limits, connections=room)
        return msgspec.structs.replace(self, limits=limits), told

    def check(self) -> None:
        """Raise OptionsError for what would fail once the workers have started."""
        self.tls()
        self.tracing(os.environ)
        self.upstream()
        for one in fields(self.limits):
            value = getattr(self.limits, one.name)
            if value <= 0:
                raise OptionsError(f"the limit {one.name} is {value}; it must be more than 0")


_COLLECTOR = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_SPOKEN = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def _installed() -> bool:
    try:
        return all(
            find_spec(name) is not None for name in ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
        )
    except ModuleNotFoundError:
        return False


PLAIN = Options()
"""HTTP without TLS, under the usual limits."""


def decode(text: str) -> Options:
    """The options that `encoded` wrote."""
    return msgspec.json.decode(text, type=Options)


def size(text: str) -> int:
    """Bytes, from '65536', '64KiB' or '10MB'. Raises OptionsError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise OptionsError(f"{text!r} is not a size; write bytes like 65536, or with a unit like 64KiB, 10MB or 1GiB")
    return int(float(found[1]) * _UNITS[(found[2] or "").lower()])


def path(given: Path | None) -> str:
    """A path that means the same everywhere; '' for none."""
    return str(given.expanduser().resolve()) if given is not None else ""
