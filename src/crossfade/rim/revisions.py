"""Whether a changed spec may take over from the one a rollout has been running under."""

from __future__ import annotations

from crossfade.spec.model import Canary, Promote, Rollout, stage_name
from crossfade.state import Phase, Position, weight


class StoreError(Exception):
    """The store cannot do what was asked; the message says why and what to do."""


def check_revision(old: Rollout, new: Rollout, position: Position) -> None:
    """Raises StoreError when `new` cannot take over from `old` at this position."""
    if position.phase is Phase.PENDING:
        return
    advice = "give the changed spec a new name"
    identity = {
        "unit": (str(old.unit), str(new.unit)),
        "salt": (old.salt or old.name, new.salt or new.name),
        "champion": (old.champion.name, new.champion.name),
        "challengers": ([a.name for a in old.challengers], [a.name for a in new.challengers]),
        "router": (_carrier(old), _carrier(new)),
    }
    for what, (was, now) in identity.items():
        if was != now:
            raise StoreError(
                f"{new.name} is {position.phase} and cannot change its {what} from {was} to {now}: units would change"
                f" sides; {advice}"
            )
    _check_models(old, new, advice)
    if bool(old.pseudonyms) != bool(new.pseudonyms):
        was, now = ("pseudonyms", "names") if old.pseudonyms else ("names", "pseudonyms")
        raise StoreError(
            f"{new.name} is {position.phase} and cannot change from {was} of units to {now}: the same unit would be "
            f"counted twice; {advice}"
        )
    _check_questions(old, new, advice)
    for index in range(position.stage + 1):
        was = stage_name(old.stages[index])
        now = stage_name(new.stages[index]) if index < len(new.stages) else "nothing"
        if was != now:
            raise StoreError(
                f"{new.name} has reached stage {position.stage + 1}, and the changed spec has {now} where {was} was"
                f" (stage {index + 1}); stages already reached must stay, or {advice}"
            )
    stage = new.stages[position.stage]
    if isinstance(stage, Canary) and position.step >= len(stage.steps):
        raise StoreError(
            f"{new.name} is at step {position.step + 1} and the changed spec has {len(stage.steps)}; keep the steps"
            f" already reached, or {advice}"
        )
    was_share, now_share = weight(old, position), weight(new, position)
    if now_share < was_share:
        raise StoreError(
            f"{new.name} stands at {was_share:.4g} of its units and the changed spec has {now_share:.4g} there: units"
            f" would move back to {new.champion.name} unasked; keep the share, roll back, or {advice}"
        )
    was_last, now_last = isinstance(old.stages[-1], Promote), isinstance(new.stages[-1], Promote)
    if position.phase is Phase.PROMOTED and was_last != now_last:
        raise StoreError(f"{new.name} is promoted: its promote stage can neither be added nor removed; {advice}")


def _carrier(rollout: Rollout) -> str:
    """Who carries the traffic: each hashes units in a way of its own."""
    return "Crossfade's gateway" if rollout.router is None else rollout.router.driver


def _check_models(old: Rollout, new: Rollout, advice: str) -> None:
    """A digest may be told afterwards; another one is another model under the same name."""
    now = {arm.name: arm.digest for arm in (new.champion, *new.challengers)}
    for arm in (old.champion, *old.challengers):
        if arm.digest and now[arm.name] != arm.digest:
            said = f"{now[arm.name][:19]}…" if now[arm.name] else "none"
            raise StoreError(
                f"{new.name} has begun with {arm.name} of digest {arm.digest[:19]}… and the changed spec has {said}: "
                f"what was learnt is of another model; {advice}"
            )


def _check_questions(old: Rollout, new: Rollout, advice: str) -> None:
    """What is asked stays: a margin moved after the evidence was looked at would void the promised error rates."""
    reason = "what has been looked at would be judged by another rule"
    if old.alpha != new.alpha:
        raise StoreError(
            f"{new.name} has started and cannot change alpha from {old.alpha:g} to {new.alpha:g}: {reason}; {advice}"
        )
    before, after = ({metric.name: metric for metric in rollout.metrics} for rollout in (old, new))
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed:
        raise StoreError(
            f"{new.name} has started and cannot change its metrics ({', '.join(changed)}): {reason}; {advice}"
        )
