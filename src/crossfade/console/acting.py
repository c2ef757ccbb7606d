"""Pages on which a person acts: what follows from it, a reason, a token; and signing in. Plain forms, no script."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from crossfade.console.access import Access, Caller
from crossfade.console.acts import ACTS, Act, done, possible
from crossfade.console.frame import page
from crossfade.console.guard import check_origin
from crossfade.console.markup import Markup, coded, el
from crossfade.console.problems import Refused
from crossfade.console.sessions import LASTS, Session, cookie
from crossfade.rim.standing import standing
from crossfade.rim.store import Store
from crossfade.rim.tokens import READ

Record = Mapping[str, Any]

MOST_FIELDS = 20


def router(store: Store, access: Access) -> APIRouter:
    """The pages."""
    routes = APIRouter(include_in_schema=False)
    _add_acts(routes, store, access)
    _add_signing(routes, access)
    return routes


def _add_acts(routes: APIRouter, store: Store, access: Access) -> None:
    @routes.get("/rollouts/{name}/act/{word}", response_class=HTMLResponse)
    def asked(request: Request, name: str, word: str) -> HTMLResponse:
        act, now = _act(word), time.time()
        record = standing(store, name, now)
        given = {key: request.query_params.get(key, "") for key in ("field", "segment")}
        return HTMLResponse(act_page(record, act, access.who(request), given, now))

    @routes.post("/rollouts/{name}/act/{word}", response_class=HTMLResponse)
    async def acted(request: Request, name: str, word: str) -> Response:
        check_origin(request.headers, ambient=True)
        given = await form_of(request)
        if access.asks(request.headers):
            # Where it is refused, the form comes back with what it says of the rollout.
            shown = access.secret(request) or given.get("token", "").strip()
            await run_in_threadpool(access.check, shown or None, READ)
        return await run_in_threadpool(_acted, store, access, request, name, _act(word), given)


def _act(word: str) -> Act:
    if word not in ACTS:
        raise Refused(404, f"nothing that can be done is called {word}", f"choose from: {', '.join(ACTS)}")
    return ACTS[word]


def _acted(
    store: Store, access: Access, request: Request, name: str, act: Act, given: Mapping[str, str]
) -> Response:  # fmt: skip
    now = time.time()
    record = standing(store, name, now)
    session, begun = access.session(request), None
    try:
        secret = given.get("token", "").strip() or (session.secret if session else None)
        if secret is None:
            raise Refused(401, "a token is missing: it says who you are and what you may do", "enter yours")
        caller = access.check(secret, act.needs)
        name_given = given.get("actor", "").strip()
        actor = caller.actor(name_given or (session.said if session else ""), bool(name_given))
        about = given.get(act.about, "").strip() if act.about else ""
        done(
            store,
            name,
            act,
            caller=caller,
            actor=actor,
            reason=given.get("reason", ""),
            about=about,
            shown=given.get("shown") or None,
            at=now,
        )
        if given.get("stay") and given.get("token"):
            begun = access.sessions.begin(secret, actor, now)
    except Refused as refused:
        html = act_page(record, act, access.who(request), given, now, refused)
        return HTMLResponse(html, refused.status)
    below = "/differences" if act.about == "field" else ""
    answer = RedirectResponse(f"/rollouts/{quote(name, safe='')}{below}", 303)
    if begun is not None:
        _remember(answer, request, begun)
    return answer


def act_page(
    record: Record,
    act: Act,
    who: tuple[Session, Caller] | None,
    given: Mapping[str, str],
    now: float,
    refused: Refused | None = None,
) -> str:
    """What follows from it, and the form; or why it cannot be done now."""
    name = record["name"]
    link = f"/rollouts/{quote(name, safe='')}"
    top = [
        el("p", el("a", name, href=link)),
        el("h1", f"{act.label}: {name}", class_="red" if act.grave else None),
        el("p", act.does),
        el("p", "Now: ", record["sentence"], class_="quiet"),
    ]
    if refused is None and not possible(act, record):
        phase = record["phase"].replace("_", " ")
        told = el("p", f"? This cannot be done now: the rollout is {phase}.", class_="warning")
        return page(f"{act.label} {name}", el("section", top, told, class_="sentence"), now)
    form = el(
        "form",
        _about(act, record, given),
        _field("reason", "Why; others will read it in the ledger", given, rows=3),
        _digest(record) if act.word == "approve" else None,
        _identity(who, given),
        el("p", el("button", act.label, type="submit", class_="grave" if act.grave else None), " ",
           el("a", "Cancel", href=link)),
        method="post",
        action=f"{link}/act/{act.word}",
    )  # fmt: skip
    return page(f"{act.label} {name}", el("section", top, _wrong(refused), form, class_="sentence"), now)


def _digest(record: Record) -> Markup | None:
    """What evidence they look at who approve: where it has changed meanwhile, they look again."""
    shown = (record.get("approval") or {}).get("shown")
    return el("input", type="hidden", name="shown", value=shown) if shown else None


def _about(act: Act, record: Record, given: Mapping[str, str]) -> Markup | None:
    """What is to be muted or excluded, with what there is to choose from."""
    if act.word == "include":
        known = list(record.get("excluded") or ())
    elif act.word == "exclude":
        known = list(dict.fromkeys(line["segment"] for line in record["evidence"] if line["segment"]))
    else:
        known = list(record.get("muted") or ())
    match act.about:
        case "field":
            label = "The field, such as $.took_ms or $.items[*].score"
        case "segment":
            label = "The segment, such as header:x-country=DE"
        case _:
            return None
    offered = el("datalist", [el("option", value=one) for one in known], id="known") if known else None
    return el("div", _field(act.about, label, given, suggested="known" if known else None), offered)


def _identity(who: tuple[Session, Caller] | None, given: Mapping[str, str]) -> Markup:
    if who is not None:
        session, caller = who
        name = caller.name or session.said
        return el("p", f"As {name}, {_roles(caller)}. ", el("a", "Somebody else?", href="/sign-in"), class_="quiet")
    return el(
        "fieldset",
        el("legend", "Who you are"),
        _field("token", "Your token (`crossfade token add`, or that in DATA/run/token)", {}, kind="password"),
        _field("actor", "Your name, where the token has none", given, required=False),
        _stay(),
    )


def _stay() -> Markup:
    box = el("input", type="checkbox", name="stay", value="yes")
    return el("label", box, f" Stay signed in for {LASTS / 3600:g} hours in this browser", class_="box")


def _field(
    name: str,
    label: str,
    given: Mapping[str, str],
    *,
    rows: int = 0,
    kind: str = "text",
    required: bool = True,
    suggested: str | None = None,
) -> Markup:
    needed = "" if required else None
    value = given.get(name, "")
    if rows:
        box = el("textarea", value, name=name, rows=rows, required=needed, maxlength=2000)
    else:
        more = {"list": suggested, "value": value or None, "required": needed}
        box = el("input", type=kind, name=name, maxlength=500, autocomplete="off", spellcheck="false", **more)
    return el("label", el("span", coded(label)), box)


def _roles(caller: Caller) -> str:
    roles = caller.by.get("roles")
    return " and ".join(roles) if roles else "with this data folder's own token"


def _wrong(refused: Refused | None) -> Markup | None:
    if refused is None:
        return None
    return el("p", f"✖ {_sentence(refused.error)} {_sentence(refused.what_to_do)}", class_="wrong", role="alert")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _add_signing(routes: APIRouter, access: Access) -> None:
    @routes.get("/sign-in", response_class=HTMLResponse)
    def form(request: Request) -> HTMLResponse:
        return HTMLResponse(_sign_page(access.who(request), _local(request.query_params.get("next", "/"))))

    @routes.post("/sign-in", response_class=HTMLResponse)
    async def sign_in(request: Request) -> Response:
        check_origin(request.headers, ambient=True)
        given, now = await form_of(request), time.time()
        following = _local(given.get("next", "/"))
        try:
            secret = given.get("token", "").strip()
            caller = await run_in_threadpool(access.check, secret, READ)
            said = caller.name or given.get("actor", "").strip()
            if not said:
                raise Refused(422, "this token has no name", "give yours, so that the ledger can tell who acts")
        except Refused as refused:
            return HTMLResponse(_sign_page(None, following, refused), refused.status)
        answer = RedirectResponse(following, 303)
        _remember(answer, request, access.sessions.begin(secret, said, now))
        return answer

    @routes.post("/sign-out")
    async def sign_out(request: Request) -> Response:
        check_origin(request.headers, ambient=True)
        access.sessions.end(request.cookies.get(cookie(request.headers)))
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(cookie(request.headers), httponly=True, samesite="strict")
        return answer


def _sign_page(who: tuple[Session, Caller] | None, following: str, refused: Refused | None = None) -> str:
    if who is not None:
        session, caller = who
        told = f"You act as {caller.name or session.said}, {_roles(caller)}."
        out = el("form", el("button", "Sign out", type="submit"), method="post", action="/sign-out")
        body = el("section", el("h1", told), out, class_="sentence")
        return page("Signed in", body, time.time())
    form = el(
        "form",
        _field("token", "Your token (`crossfade token add`, or that in DATA/run/token)", {}, kind="password"),
        _field("actor", "Your name, where the token has none", {}, required=False),
        el("input", type="hidden", name="next", value=following),
        el("p", el("button", "Sign in", type="submit")),
        method="post",
        action="/sign-in",
    )
    note = (
        f"Looking needs no token on this machine; acting does. It is forgotten after {LASTS / 3600:g} hours, and when"
    )
    told = el("p", f"{note} the control port is started anew.", class_="quiet")
    return page(
        "Sign in", el("section", el("h1", "Sign in"), told, _wrong(refused), form, class_="sentence"), time.time()
    )


def _remember(answer: Response, request: Request, name: str) -> None:
    # Before us there may be a proxy that speaks TLS; who says so falsely loses the cookie, and nothing else.
    secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
    answer.set_cookie(cookie(request.headers), name, httponly=True, samesite="strict", secure=secure)


def _local(place: str) -> str:
    """A place on this port; the list for anything else, so that nobody is sent elsewhere."""
    parts = urlsplit(place)
    ours = place.startswith("/") and not place.startswith(("//", "/\\")) and not parts.netloc and place.isprintable()
    return place if ours else "/"


async def form_of(request: Request) -> dict[str, str]:
    """What a plain form says. Raises Refused."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refused(415, f"the content type is {kind or 'missing'}, not that of a form", "send it from the page")
    try:
        told = parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise Refused(400, "the form cannot be read", "send it from the page") from error
    return {key: values[-1] for key, values in told.items()}
