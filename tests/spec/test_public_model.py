"""The name by which clients know a model whose arms have names of their own."""

from __future__ import annotations

from crossfade.live.routes import routes
from crossfade.spec.parse import parse
from crossfade.state import Phase, Position
from spec.examples import DESIGN, problems

CHAT = DESIGN.replace("protocol: open-inference", "protocol: openai-chat").replace("header:x-user-id", "json:$.user")


def test_clients_know_it_by_the_name_that_is_written_or_by_the_rollouts() -> None:
    plain, named = parse(CHAT), parse(CHAT + "\nmodel: chat\n")
    started = Position(phase=Phase.RUNNING)
    assert (plain.model, routes(plain, started).public) == ("", plain.name)
    assert (named.model, routes(named, started).public) == ("chat", "chat")


def test_it_is_a_name_and_belongs_to_lists_of_models() -> None:
    (wrong,) = problems(CHAT + "\nmodel: a b\n")
    assert "a model's name, without spaces" in wrong.message
    (wrong,) = problems(DESIGN + "\nmodel: chat\n")
    assert "only openai-chat has lists of models" in wrong.message
