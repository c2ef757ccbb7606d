"""What the operator says about the control port: TLS, and who may report how many outcomes."""

from __future__ import annotations

import msgspec

from crossfade.rim.tls import OptionsError, Tls


class ControlOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the control port is served. Paths are absolute."""

    tls_cert: str = ""
    tls_key: str = ""
    tls_client_ca: str = ""
    """Authorities whose clients alone reach the port; '' lets everybody knock."""
    outcome_rate: float = 0.0
    """Outcomes a second that each token may report, and each address that shows none; 0 for any number."""
    outcome_token: bool = False
    """Whether outcomes are taken only with a token that may report them."""

    @property
    def tls(self) -> Tls:
        """What clients are met with."""
        return Tls(option="--control-tls", cert=self.tls_cert, key=self.tls_key, client_ca=self.tls_client_ca)

    def check(self) -> None:
        """Raise OptionsError for what would fail once the process has started."""
        self.tls.context()
        if self.outcome_rate < 0:
            raise OptionsError(f"--outcome-rate is {self.outcome_rate:g}; it is outcomes a second, or 0 for any number")

    def encoded(self) -> str:
        """As one command line argument; it holds paths, never a secret."""
        return msgspec.json.encode(self).decode()


OPEN = ControlOptions()
"""HTTP without TLS, any number of outcomes from anybody."""


def decode(text: str) -> ControlOptions:
    """The options that `encoded` wrote."""
    return msgspec.json.decode(text, type=ControlOptions)
