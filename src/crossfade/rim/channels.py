"""How a notice gets to somebody: posted as a signed CloudEvent, to a Slack channel, or by e-mail. One try a call."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any
from urllib.parse import urlsplit

from crossfade.rim.notices import Notice
from crossfade.rim.secrets import secret
from crossfade.spec.model import Channel, Notify

TIMEOUT = 10.0
"""Seconds for one try."""

STANDARD = "whsec_"
"""In front of a key that is written in Base64, as others make them; any other key stands for its own characters."""


class Undelivered(Exception):
    """It was not taken; the message says why, and holds no secret."""


def deliver(notify: Notify, notice: Notice, *, now: float) -> None:
    """Tell somebody once. Raises Undelivered or SecretError."""
    match notify.channel:
        case Channel.WEBHOOK:
            body = json.dumps(notice.cloud_event(), ensure_ascii=False, separators=(",", ":")).encode()
            headers = {"content-type": "application/cloudevents+json; charset=utf-8"}
            post(endpoint(notify.url), body, headers | signed(secret(notify.key), notice.id, body, now))
        case Channel.SLACK:
            body = json.dumps({"text": f"*{_escaped(notice.rollout)}*: {_escaped(notice.sentence)}"}).encode()
            post(endpoint(notify.url), body, {"content-type": "application/json"})
        case Channel.EMAIL:
            _mail(notify, notice)


def signed(key: str, id_: str, body: bytes, now: float) -> dict[str, str]:
    """Headers by which the receiver knows who sent it and when (standardwebhooks.com): HMAC-SHA-256 over
    `id.timestamp.body`. Raises Undelivered."""
    try:
        raw = base64.b64decode(key.removeprefix(STANDARD)) if key.startswith(STANDARD) else key.encode()
    except ValueError as error:
        raise Undelivered(f"the key begins with {STANDARD} and is no Base64 behind it") from error
    at = str(int(now))
    digest = hmac.digest(raw, f"{id_}.{at}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": id_,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def endpoint(url: str) -> str:
    """A URL, from where it is kept if it is a secret. Raises SecretError, or Undelivered where it is none."""
    found = secret(url) if url.startswith(("env:", "file:")) else url
    try:
        parts = urlsplit(found)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not found.isascii() or not found.isprintable() or " " in found:
        raise Undelivered("what is kept there is no URL; it begins with https:// or http://, and holds no spaces")
    return found


def post(url: str, body: bytes, headers: Mapping[str, str], *, method: str = "POST") -> tuple[int, Any]:
    """Send once; status and decoded answer. Raises Undelivered unless it was taken (2xx)."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, body or None, {**headers, "user-agent": "crossfade"})
        reply = connection.getresponse()
        text = reply.read(65_536)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Undelivered(f"{parts.hostname} cannot be reached: {_said(error)}") from None
    finally:
        connection.close()
    if not 200 <= reply.status < 300:
        raise Undelivered(f"{parts.hostname} answered {reply.status}: {_shown(text)}")
    try:
        return reply.status, json.loads(text)
    except ValueError:
        return reply.status, None


def _mail(notify: Notify, notice: Notice) -> None:
    parts = urlsplit(notify.server)
    host, secure = parts.hostname or "", parts.scheme
    message = EmailMessage()
    message["Subject"] = f"[crossfade] {notice.title}"
    message["From"], message["To"] = notify.sender, ", ".join(notify.to)
    message["Date"] = formatdate(notice.at)
    # The same for each try, so that a mailbox shows it once.
    message["Message-ID"] = f"<{notice.id}@crossfade>"
    details = "\n".join(f"{name}: {value}" for name, value in notice.details.items() if value is not None)
    message.set_content(f"{notice.sentence}\n\n{details}\n")
    password = secret(notify.password) if notify.password else ""
    try:
        if secure == "smtps":
            context = ssl.create_default_context()
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT, context=context)
        else:
            server = smtplib.SMTP(host, parts.port or (587 if secure == "smtp+starttls" else 25), timeout=TIMEOUT)
        with server:
            if secure == "smtp+starttls":
                server.starttls(context=ssl.create_default_context())
            if notify.user:
                server.login(notify.user, password)
            server.send_message(message)
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise Undelivered(f"the mail server {host} did not take it: {_said(error)}") from error


def _escaped(text: str) -> str:
    """As Slack wants text that is no markup of ours."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _shown(text: bytes) -> str:
    """The beginning of what somebody answered, as one line that can be shown."""
    line = " ".join(text[:200].decode("utf-8", "replace").split())
    return "".join(char if char.isprintable() else "?" for char in line)


def _said(error: Exception) -> str:
    if isinstance(error, http.client.InvalidURL) or not isinstance(error, OSError | http.client.HTTPException):
        # The library would quote it, secret and all.
        return "its address, or a token for it, holds signs that HTTP does not allow, such as the end of a line"
    return (str(getattr(error, "strerror", None) or error) or type(error).__name__)[:200]
