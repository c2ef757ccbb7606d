"""The table `outcome` made of what was `reported`: corrections followed, and the values that count in their place."""

from __future__ import annotations

from crossfade.judge.measure import corrections
from crossfade.rim.engine.session import Session, compiled


def amend(session: Session) -> None:
    """Let questions of a session see each outcome with the value that counts at its look."""
    session.table("chains", compiled(("chains",), corrections.chains))
    if not session.rows("SELECT count(*) AS n FROM chains")["n"][0]:
        session.empty("replaced", corrections.REPLACED)
        session.run("CREATE OR REPLACE VIEW outcome AS SELECT * FROM reported WHERE coalesce(corrects, '') = ''")
        return
    left = _unfollowed(session)
    while left:
        session.table("followed", compiled(("hop",), corrections.hop))
        session.table("chains", "SELECT * FROM followed")
        before, left = left, _unfollowed(session)
        if left == before:
            # Those that still lead on turn in a circle: each hop brings any others nearer to their end.
            break
    session.table("replaced", compiled(("replaced",), corrections.replaced))
    session.run(f"CREATE OR REPLACE VIEW outcome AS {compiled(('outcomes',), corrections.outcomes)}")


def _unfollowed(session: Session) -> int:
    return int(session.rows(compiled(("unfollowed",), corrections.unfollowed))["open"][0])
