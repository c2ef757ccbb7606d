"""How people write who is told of what happens, and which registry's alias follows; part of `spec.document`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from crossfade.spec import measures, words
from crossfade.spec.model import TOLD
from crossfade.spec.words import Name
from crossfade.spec.written import Written

ENDPOINT = words.text(
    "a URL such as https://hooks.example.org/x, or where it is kept: env:NAME or file:/PATH",
    r"https?://[^\s\x00-\x1f\x7f]{1,500}|env:[A-Za-z_][A-Za-z0-9_]{0,100}|file:/[^\x00-\x1f\x7f]{1,300}",
    most=520,
)
MAIL_SERVER = words.text(
    "a mail server such as smtp://mail:25, smtp+starttls://mail:587 or smtps://mail:465",
    r"(?:smtp|smtp\+starttls|smtps)://[A-Za-z0-9.-]{1,200}(?::[0-9]{1,5})?",
    most=250,
)
ADDRESS = words.text("an e-mail address such as ana@example.org", r"[^\s@<>\x00-\x1f\x7f]+@[^\s@<>\x00-\x1f\x7f]+")


class WebhookDocument(Written):
    """A program that is told by HTTP."""

    what: ClassVar[str] = "a webhook such as {url: https://ops.example.org/crossfade, key: env:HOOK_KEY}"

    url: Annotated[str, ENDPOINT]
    """Where CloudEvents (JSON) are posted."""
    key: Annotated[str, words.SECRET]
    """Where the key is with which they are signed (HMAC-SHA-256): env:NAME or file:/PATH."""


class SlackDocument(Written):
    """A channel that is told through an incoming webhook of Slack or of what understands the same."""

    what: ClassVar[str] = "a channel such as {url: env:SLACK_URL}"

    url: Annotated[str, ENDPOINT]
    """The incoming webhook. It is a secret: better env:NAME or file:/PATH than the URL itself."""


class EmailDocument(Written):
    """People who are told by e-mail."""

    what: ClassVar[str] = (
        "an e-mail such as {server: smtp://mail:25, from: crossfade@example.org, to: [ana@example.org]}"
    )

    server: Annotated[str, MAIL_SERVER]
    """The mail server: smtp://HOST:25, smtp+starttls://HOST:587 or smtps://HOST:465."""
    sender: Annotated[str, ADDRESS] = Field(alias="from")
    """Whose name is on it."""
    to: Annotated[
        list[Annotated[str, ADDRESS]],
        words.items("a list of addresses such as [ana@example.org]", least=1),
        Field(json_schema_extra={"minItems": 1}),
    ]
    """Who gets it."""
    user: words.Text | None = None
    """The user at the mail server, where it wants one."""
    password: Annotated[str, words.SECRET] | None = None
    """Where the password is: env:NAME or file:/PATH."""


class NotifyDocument(Written):
    """Somebody who is told: one of webhook, slack and email."""

    what: ClassVar[str] = "somebody to tell such as {slack: {url: env:SLACK_URL}}"

    webhook: WebhookDocument | None = None
    """A program, by signed CloudEvents."""
    slack: SlackDocument | None = None
    """A channel."""
    email: EmailDocument | None = None
    """People."""
    on: (
        Annotated[
            list[Annotated[str, words.choice(TOLD)]],
            words.items("a list such as [hold, rollback, promote]", least=1),
        ]
        | None
    ) = None
    """Of what: moves by their names (start, advance, hold, resume, rollback, promote, finish), note (what people do
    besides), fault, and approval (somebody's is waited for). Of all unless written."""


class RegistryDocument(Written):
    """A model registry whose alias follows what serves."""

    what: ClassVar[str] = "a registry such as {mlflow: http://mlflow:5000, model: ranker, versions: {v1: 3, v2: 4}}"

    mlflow: Annotated[str, ENDPOINT]
    """The MLflow tracking server."""
    model: words.Text
    """The registered model's name."""
    alias: Name = "champion"
    """The alias that is moved. champion unless written."""
    versions: Annotated[
        dict[str, Annotated[int, measures.COUNT]],
        words.table("a mapping from arms to versions such as {v1: 3, v2: 4}", least=1),
    ]
    """Which version of the registered model each arm is."""
    token: Annotated[str, words.SECRET] | None = None
    """Where the bearer token is, or USER:PASSWORD: env:NAME or file:/PATH."""


def chosen(notify: NotifyDocument) -> list[tuple[str, Any]]:
    """The ways that one entry names."""
    found = (("webhook", notify.webhook), ("slack", notify.slack), ("email", notify.email))
    return [(name, way) for name, way in found if way is not None]
