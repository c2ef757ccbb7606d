"""What must hold between the keys of who is told and of the registry; part of `spec.check`."""

from __future__ import annotations

from crossfade.spec.document import Document
from crossfade.spec.document_notify import EmailDocument, chosen
from crossfade.spec.partial import arms, known


def check_notify(document: Document) -> None:
    """Report what does not fit together to the nodes of `document`."""
    for told in document.notify if known(document.notify) else ():
        if not known(told):
            continue
        ways = [name for name in ("webhook", "slack", "email") if told.wrote(name)]
        if len(ways) != 1:
            found = " and ".join(ways) or "none of them"
            told.place.report(
                f"found {found}; each entry tells in one way: expected one of webhook, slack and email",
                allowed="one of webhook, slack, email",
            )
        for _, way in chosen(told):
            if isinstance(way, EmailDocument) and way.wrote("user") != way.wrote("password"):
                way.place.report(
                    "a user and a password belong together; write both, or neither", allowed="user and password"
                )
    _registry(document)


def _registry(document: Document) -> None:
    registry = document.registry
    if registry is None or not known(registry) or not known(registry.versions):
        return
    names = [arm.name for arm in arms(document) if known(arm.name)]
    node = registry.at("versions")
    for name in names:
        if name not in registry.versions:
            node.report(f"it does not say which version {name} is; write one for each arm", allowed=", ".join(names))
    for name in registry.versions:
        if name not in names:
            node.value[name].report_key(
                f"no arm is named {name}; there are {', '.join(names)}", allowed=", ".join(names)
            )
    if known(document.champion) and document.challengers is not None:
        registry.place.report_key(
            "with several challengers it is not settled whose version an alias should name; remove it"
        )
