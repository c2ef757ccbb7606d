"""How a port meets its clients: its certificate, the key of it, and the authorities whose clients alone it lets in."""

from __future__ import annotations

import ssl
from dataclasses import dataclass


class OptionsError(ValueError):
    """An option that cannot be acted on; the message says which, why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """PEM files, '' for none, and what the options that name them begin with."""

    option: str
    cert: str = ""
    """The certificate and its chain; '' for a port without TLS."""
    key: str = ""
    """Its key; '' where the certificate's file holds it."""
    client_ca: str = ""
    """Authorities: who shows no certificate of theirs is not let in. '' lets everybody in."""

    def context(self) -> ssl.SSLContext | None:
        """What clients are met with; None for no TLS. Raises OptionsError."""
        if not self.cert:
            for name, given in (("key", self.key), ("client-ca", self.client_ca)):
                if given:
                    raise OptionsError(
                        f"{self.option}-{name} is given without {self.option}-cert; name both, or neither for plain "
                        "HTTP"
                    )
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        own(context, f"{self.option}-cert", self.cert, f"{self.option}-key", self.key)
        if self.client_ca:
            authorities(context, f"{self.option}-client-ca", self.client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def own(context: ssl.SSLContext, cert_option: str, cert: str, key_option: str, key: str) -> None:
    """Show this certificate from now on. Raises OptionsError, and changes nothing, where it cannot be used."""
    try:
        context.load_cert_chain(cert, key or None, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        if not key and not isinstance(error, FileNotFoundError):
            raise OptionsError(
                f"{cert_option} {cert} cannot be used without {key_option}, as it holds no unencrypted key itself: "
                f"{why(error)}; name the PEM file of the key that belongs to it"
            ) from error
        raise OptionsError(
            f"{cert_option} {cert} and {key_option} {key or '(none)'} cannot be used: {why(error)}; give PEM files "
            "of a certificate and the unencrypted key that belongs to it"
        ) from error


def authorities(context: ssl.SSLContext, option: str, path: str) -> None:
    """Believe those whom this file vouches for. Raises OptionsError."""
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise OptionsError(
            f"{option} {path} cannot be used: {why(error)}; give a PEM file of one or more certificates"
        ) from error


def why(error: Exception) -> str:
    """What is wrong with a file, in a few words."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)


def _no_password() -> str:
    raise OSError("the key is encrypted")
