"""The API server of a Kubernetes cluster: one object read, and written only where nobody wrote it since."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from crossfade.rim.drivers.asking import Here
from crossfade.rim.drivers.port import PATIENCE, Fenced, Mark, Misplaced, Order, Refused, Unreachable
from crossfade.spec.router import Router

Json = dict[str, Any]

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds who it is."""

LARGEST = 16_000_000
"""Bytes of an answer."""

ATTEMPTS = 5
"""How often an object that somebody else writes at the same time is read anew and written."""

NOTE = "crossfade-order."
"""Begins the annotation that holds the order which an object obeys; the rollout's name follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """How the API server is reached."""

    server: str
    namespace: str
    token: Callable[[], str]
    """The bearer token as it is now, since it is renewed; '' where a certificate says who we are."""
    tls: ssl.SSLContext | None

    def read(self, path: str, what: str) -> Json:
        """The object at `path`. Raises Unreachable, Refused, Misplaced."""
        return self._ask("GET", path, what, None)

    def write(self, path: str, what: str, changed: Callable[[Json], Json | None]) -> None:
        """Put what `changed` makes of the object there; nothing where that is None.

        Where somebody else has written it meanwhile (409), it is read again and changed again, so that nothing of
        theirs is lost. Raises Unreachable, Refused, Misplaced.
        """
        for attempt in range(ATTEMPTS):
            wanted = changed(self.read(path, what))
            if wanted is None:
                return
            try:
                self._ask("PUT", path, what, wanted)
                return
            except Conflict:
                time.sleep(0.02 * 2**attempt)
        raise Unreachable(f"{what} is written by somebody else all the time; nothing was changed")

    def _ask(self, method: str, path: str, what: str, body: Json | None) -> Json:
        headers = {"accept": "application/json", "user-agent": "crossfade"}
        try:
            token = self.token()
        except (OSError, ValueError) as error:
            raise Unreachable(f"the token for the API server at {self.server} cannot be read: {error}") from error
        if token:
            headers["authorization"] = f"Bearer {token}"
        data = None
        if body is not None:
            headers["content-type"] = "application/json"
            data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        asked = urllib.request.Request(f"{self.server}{path}", data=data, headers=headers, method=method)
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), Here()]
        if self.tls is not None:
            handlers.append(urllib.request.HTTPSHandler(context=self.tls))
        try:
            with urllib.request.build_opener(*handlers).open(asked, timeout=PATIENCE) as reply:
                answer = reply.read(LARGEST + 1)
        except urllib.error.HTTPError as error:
            with error:
                raise _no(error.code, method, what, _message(error)) from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise Unreachable(f"the API server at {self.server} cannot be asked: {reason}") from error
        except ValueError:
            # What the library says of it would hold the token.
            said = "its address or the token holds signs that HTTP does not allow, such as the end of a line"
            raise Unreachable(f"the API server at {self.server} cannot be asked: {said}") from None
        if len(answer) > LARGEST:
            raise Refused(f"{self.server} answered for {what} with more than {LARGEST} bytes")
        try:
            found = json.loads(answer)
        except ValueError as error:
            raise Refused(f"{self.server} answered with what is no JSON: is it an API server?") from error
        if not isinstance(found, dict):
            raise Refused(f"{self.server} answered for {what} with what is no object")
        return found


class Conflict(Refused):
    """Somebody else has written the object since it was read."""


def _no(status: int, method: str, what: str, said: str) -> Exception:
    """What a status of the API server means to a driver."""
    verb = {"GET": "get", "PUT": "update"}[method]
    match status:
        case 401:
            return Refused(f"the API server does not know who asks for {what} (401): is the token still good? {said}")
        case 403:
            return Refused(
                f"nobody lets Crossfade {verb} {what} (403): its role needs the verbs get and update. {said}"
            )
        case 404:
            return Misplaced(f"there is no {what} (404), or the cluster does not know its kind. {said}")
        case 409:
            return Conflict(f"{what} was written by somebody else (409). {said}")
        case 410 | 429:
            return Unreachable(f"the API server asks to come again later ({status}) for {what}. {said}")
        case _ if status >= 500:
            return Unreachable(f"the API server failed ({status}) at {what}. {said}")
        case _:
            return Refused(f"the API server refused to {verb} {what} ({status}): {said}")


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(100_000))["message"])[:500]
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def cluster_of(router: Router) -> Cluster:
    """The cluster that a spec's router names: that of a kubeconfig, else the one that this pod runs in."""
    named = router.one("kubeconfig")
    return _configured(Path(named), router) if named else _inside(router)


def _inside(router: Router) -> Cluster:
    import os

    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host or not (ACCOUNT / "token").is_file():
        raise Misplaced(
            "this process runs in no pod with a service account; name a kubeconfig in the spec, or let the pod "
            "have its token (automountServiceAccountToken)"
        )
    host = f"[{host}]" if ":" in host else host
    try:
        namespace = router.one("namespace") or (ACCOUNT / "namespace").read_text().strip()
        tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    except OSError as error:
        raise Misplaced(f"this pod's account in {ACCOUNT} cannot be used: {error}") from error
    return Cluster(
        server=f"https://{host}:{port}",
        namespace=namespace,
        token=lambda: (ACCOUNT / "token").read_text().strip(),
        tls=tls,
    )


def _configured(file: Path, router: Router) -> Cluster:
    try:
        said = yaml.safe_load(file.read_text())
        context = router.one("context") or said["current-context"]
        chosen = _of(said, "contexts", context)["context"]
        cluster = _of(said, "clusters", chosen["cluster"])["cluster"]
        user = _of(said, "users", chosen["user"])["user"] or {}
        server = str(cluster["server"]).rstrip("/")
    except KeyError as error:
        raise Misplaced(f"the kubeconfig {file} cannot be used: it has no {error.args[0]}") from error
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise Misplaced(f"the kubeconfig {file} cannot be used: {error}") from error
    if "exec" in user or "auth-provider" in user:
        raise Misplaced(
            f"the kubeconfig {file} asks a program for its token, which Crossfade does not run; give a token, a token "
            "file or a client certificate"
        )
    if cluster.get("insecure-skip-tls-verify"):
        raise Misplaced(f"the kubeconfig {file} does not check who the API server is; name its authority instead")
    try:
        tls = _tls(cluster, user, file.parent) if server.startswith("https:") else None
    except (OSError, ValueError) as error:
        raise Misplaced(f"the certificates of the kubeconfig {file} cannot be used: {error}") from error
    tokens = _beside(file.parent, user.get("tokenFile"))
    return Cluster(
        server=server,
        namespace=router.one("namespace") or chosen.get("namespace") or "default",
        token=(lambda: Path(tokens).read_text().strip()) if tokens else (lambda: str(user.get("token") or "")),
        tls=tls,
    )


def _of(said: Mapping[str, Any], kind: str, name: str) -> Json:
    """Raises KeyError for what is not there."""
    found: Json | None = next((one for one in said[kind] if one["name"] == name), None)
    if found is None:
        raise KeyError(f"{kind.rstrip('s')} named {name!r}")
    return found


def _beside(folder: Path, named: str | None) -> str | None:
    """A file that a kubeconfig names: from where the kubeconfig is, whoever reads it."""
    return str(folder / named) if named else None


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any], folder: Path) -> ssl.SSLContext:
    """Raises OSError or ValueError."""
    inline = cluster.get("certificate-authority-data")
    authorities = base64.b64decode(inline).decode() if inline else None
    context = ssl.create_default_context(
        cafile=_beside(folder, cluster.get("certificate-authority")), cadata=authorities
    )
    names = ("client-certificate", "client-key")
    if not any(f"{name}{end}" in user for name in names for end in ("", "-data")):
        return context
    # The library takes files alone; those made here are gone once they have been read.
    with tempfile.TemporaryDirectory() as made:
        files: list[Path] = []
        for name in names:
            if f"{name}-data" in user:
                files.append(Path(made) / name)
                files[-1].write_bytes(base64.b64decode(user[f"{name}-data"]))
            elif name in user:
                files.append(folder / str(user[name]))
        context.load_cert_chain(files[0], files[1] if len(files) > 1 else None)
    return context


def noted(found: Json, rollout: str) -> Mark | None:
    """The order that an object obeys."""
    return Mark.read((found["metadata"].get("annotations") or {}).get(NOTE + rollout, ""))


def note(found: Json, order: Order, what: str) -> None:
    """Put the order's mark on an object. Raises Fenced where a later leadership has."""
    mark = noted(found, order.mark.rollout)
    if mark is not None and mark.outranks(order.mark):
        raise Fenced(
            f"{what} has an order for {mark.rollout} of a later leadership (term {mark.term}, this one is "
            f"{order.mark.term})"
        )
    found["metadata"].setdefault("annotations", {})[NOTE + order.mark.rollout] = str(order.mark)


def observed(found: Json, status: Mapping[str, Any]) -> bool:
    """Whether whoever wrote this status had seen the object as it is now."""
    return int(status.get("observedGeneration", 0)) >= int(found["metadata"].get("generation", 0))
