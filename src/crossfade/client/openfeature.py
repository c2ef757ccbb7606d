"""Rollouts as flags of OpenFeature: a provider for its SDK, with tracking as outcomes. Needs the extra `openfeature`.

The flag's key is the rollout's name, the targeting key is the unit, and the variant is the arm. Whatever is wrong on
Crossfade's side, the value is the champion's, and no evaluation ever waits for a disk or a network.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import (
    ErrorCode,
    FlagNotFoundError,
    GeneralError,
    ProviderNotReadyError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from crossfade.client.flags import Answer, Flags, NeedsReplies, News, UnknownFlag, Why
from crossfade.client.outcomes import Delivered, OutcomeClient

log = logging.getLogger("crossfade.openfeature")

REASONS: Mapping[Why, Reason] = {
    Why.SPLIT: Reason.SPLIT,
    Why.STATIC: Reason.STATIC,
    Why.SEGMENT: Reason.TARGETING_MATCH,
    Why.NO_UNIT: Reason.DEFAULT,
    Why.OFF: Reason.DISABLED,
    Why.STALE: Reason.STALE,
}

SETTLE = 0.5
"""Seconds after `initialize` in which nothing is emitted: the SDK says READY by itself once it has returned, and what
were said before that would be overruled."""

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """What became of tracking events."""

    delivered: Delivered
    """Of those handed over to the control port."""
    refused: int = 0
    """Events that no rollout under way asks for, or that could not be an outcome or find room."""
    problem: str = ""
    """Why the last of these was refused."""


class CrossfadeProvider(AbstractProvider):
    """Resolves flags from the rollouts of a data folder.

    `data` is the folder of `crossfade serve` (or of a `crossfade gateway` on this host). `control` is the URL of a
    control port, for tracking; without it tracking events are refused and counted. `wait`: seconds that initialising
    waits for the controller to be heard, after which champions serve. `patience`: seconds that tracking waits for room
    while the control port does not answer, after which the event is dropped and counted.
    `linger`: seconds that shutting down waits for what was tracked to be delivered.
    """

    def __init__(
        self,
        data: str | Path = "crossfade-data",
        *,
        control: str = "",
        wait: float = 5.0,
        patience: float = 0.0,
        linger: float = 5.0,
    ) -> None:
        super().__init__()
        self._data, self._control = Path(data), control
        self._wait, self._patience, self._linger = wait, patience, linger
        self._flags: Flags | None = None
        self._outcomes: OutcomeClient | None = None
        self._lock = threading.Lock()
        self._said: ProviderEvent = ProviderEvent.PROVIDER_READY
        self._begun = self._settled = False
        self._settling: threading.Timer | None = None
        self._refused, self._problem = 0, ""
        self._delivered = Delivered()

    # -- life ----------------------------------------------------------------------------------------------------------

    def get_metadata(self) -> Metadata:
        """Its name."""
        return Metadata(name="Crossfade")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Begin to follow the data folder. Raises ProviderNotReadyError where no rollouts can be read in time; it goes
        on looking all the same, and says when they can."""
        if self._control and self._outcomes is None:
            self._outcomes = OutcomeClient(self._control)
        if self._flags is None:
            self._flags = Flags(self._data, self._heard)
        heard = self._flags.wait(self._wait)
        self._begun = True
        if not self._flags.readable:
            self._said, self._settled = ProviderEvent.PROVIDER_ERROR, True
            raise ProviderNotReadyError(
                f"{self._data} holds no rollouts; give the folder that `crossfade serve` has by --data"
            )
        if not heard:
            log.warning("no controller was heard within %g s: champions serve until one is", self._wait)
        self._settling = threading.Timer(SETTLE, self._settle)
        self._settling.daemon = True
        self._settling.start()

    def shutdown(self) -> None:
        """Write exposures, deliver what was tracked, and let go of the folder."""
        if self._settling is not None:
            self._settling.cancel()
        flags, outcomes = self._flags, self._outcomes
        self._flags = self._outcomes = None
        if flags is not None:
            flags.close()
        if outcomes is not None:
            arrived = outcomes.close(timeout=self._linger)
            self._delivered = outcomes.delivered
            if not arrived:
                told = self._delivered
                log.error("%d tracked events were not delivered: %s", told.pending, told.failure)

    # -- flags ---------------------------------------------------------------------------------------------------------

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """The arm's name."""
        return self._resolve(flag_key, evaluation_context, lambda answer: answer.arm)

    def resolve_boolean_details(
        self, flag_key: str, default_value: bool, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[bool]:
        """Whether it is a challenger."""
        return self._resolve(flag_key, evaluation_context, lambda answer: answer.challenger)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """The arm as the spec has it: its name, whether it is a challenger, its URL and its model's name."""
        return self._resolve(flag_key, evaluation_context, _described)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """An arm is no number."""
        raise _no_number(flag_key, "integer")

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """An arm is no number."""
        raise _no_number(flag_key, "float")

    def _resolve(
        self, name: str, context: EvaluationContext | None, value: Callable[[Answer], Value]
    ) -> FlagResolutionDetails[Value]:
        flags = self._flags
        if flags is None:
            raise ProviderNotReadyError("the provider has not been initialised, or was shut down")
        unit = context.targeting_key if context is not None else None
        try:
            answer = flags.ask(name, unit or "", context.attributes if context is not None else {})
        except UnknownFlag as error:
            raise FlagNotFoundError(str(error)) from error
        except NeedsReplies as error:
            raise GeneralError(str(error)) from error
        return FlagResolutionDetails(
            value=value(answer),
            variant=answer.arm,
            reason=REASONS[answer.why],
            flag_metadata=_metadata(answer),
        )

    # -- tracking ------------------------------------------------------------------------------------------------------

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """Report an outcome of this name for the unit that is the targeting key, to each rollout under way that asks
        for it. Never raises: what cannot be reported is counted in `tracked`, and the log says why.

        Attributes with a meaning: `rollout` (only that one), `decision_id` (in place of the unit), `item`, `at`,
        `outcome_id` and `corrects`, as in outcomes posted otherwise.
        """
        unit = evaluation_context.targeting_key if evaluation_context is not None else None
        details = tracking_event_details or TrackingEventDetails()
        try:
            self._report(tracking_event_name, unit or "", details.value, details.attributes)
        except (ValueError, TypeError, TimeoutError, RuntimeError) as error:
            self._refuse(f"{tracking_event_name!r} was not reported: {error}")

    @property
    def tracked(self) -> Tracked:
        """What became of tracking events so far, also after shutting down."""
        outcomes = self._outcomes
        with self._lock:
            return Tracked(
                delivered=outcomes.delivered if outcomes is not None else self._delivered,
                refused=self._refused,
                problem=self._problem,
            )

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the control port has answered for everything tracked so far; False when that took longer."""
        outcomes = self._outcomes
        return outcomes is None or outcomes.flush(timeout)

    def _report(self, name: str, unit: str, value: float | None, attributes: Mapping[str, Any]) -> None:
        outcomes, flags = self._outcomes, self._flags
        if outcomes is None or flags is None:
            raise ValueError("the provider was given no control port (`control=`), or is not initialised")
        if value is not None and not math.isfinite(value):
            raise ValueError(f"its value is {value}; it must be a finite number")
        decision = _text(attributes, "decision_id")
        if not decision and not unit:
            raise ValueError("it has neither a targeting key nor a decision_id, so it belongs to nothing")
        only = _text(attributes, "rollout")
        rollouts = ("",) if decision else (only,) if only else flags.following(name)
        if not rollouts:
            raise ValueError("no rollout under way asks for an outcome of this name")
        given, corrects, at = _text(attributes, "outcome_id"), _text(attributes, "corrects"), attributes.get("at")
        for rollout in rollouts:
            # Ids are the control port's over all rollouts; the same event is one outcome for each.
            own = f"@{rollout}" if not only and not decision else ""
            outcomes.record(
                name,
                decision_id=decision or None,
                rollout=rollout or None,
                unit=None if decision else unit,
                value=value,
                item=_text(attributes, "item"),
                at=None if at is None else float(at),
                outcome_id=given + own if given else None,
                corrects=corrects + own if corrects else None,
                timeout=self._patience,
            )

    def _refuse(self, problem: str) -> None:
        with self._lock:
            self._refused += 1
            news = problem != self._problem
            self._problem = problem
        if news:
            log.error("%s", problem)

    # -- events --------------------------------------------------------------------------------------------------------

    def _heard(self, news: News) -> None:
        if news.flags and self._begun:
            self.emit_provider_configuration_changed(ProviderEventDetails(flags_changed=list(news.flags)))
        if self._settled:
            self._say(news.problem, stale=news.stale)

    def _settle(self) -> None:
        """Say what was not said while the SDK was about to say READY."""
        self._settled = True
        flags = self._flags
        if flags is not None:
            self._say(flags.problem, stale=not flags.heard)

    def _say(self, problem: str, *, stale: bool) -> None:
        flags = self._flags
        if flags is None or not flags.readable:
            return
        event = ProviderEvent.PROVIDER_READY
        if problem:
            event = ProviderEvent.PROVIDER_STALE if stale else ProviderEvent.PROVIDER_ERROR
        with self._lock:
            if event is self._said:
                return
            self._said = event
        failed = event is ProviderEvent.PROVIDER_ERROR
        self.emit(
            event, ProviderEventDetails(message=problem or None, error_code=ErrorCode.GENERAL if failed else None)
        )


def _metadata(answer: Answer) -> dict[str, bool | int | float | str]:
    position = answer.position
    found: dict[str, bool | int | float | str] = {
        "rollout": answer.rollout.name,
        "revision": answer.rollout.revision,
        "phase": str(position.phase),
        "mode": answer.mode,
        "stage": position.stage,
        "step": position.step,
        "weight": answer.weight,
    }
    if answer.decision_id:
        found["decision_id"] = answer.decision_id
    return found


def _described(answer: Answer) -> Mapping[str, FlagValueType]:
    arm = answer.rollout.arm(answer.arm)
    found: dict[str, FlagValueType] = {"arm": arm.name, "challenger": answer.challenger}
    if not answer.rollout.in_process:
        found["url"] = arm.url
    if arm.model:
        found["model"] = arm.model
    return found


def _no_number(flag: str, kind: str) -> TypeMismatchError:
    return TypeMismatchError(
        f"{flag} is an arm, and no {kind}: ask for a string (its name), a boolean (is it a challenger) or an object"
    )


def _text(attributes: Mapping[str, Any], name: str) -> str:
    value = attributes.get(name, "")
    if not isinstance(value, str):
        raise TypeError(f"its attribute {name} is {value!r}; it must be text")
    return value
