"""Istio as the router: weights and mirrors of one HTTP route of a VirtualService, and nothing else in it."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.rim.drivers.cluster import Json, observed
from crossfade.rim.drivers.port import Order, Refused
from crossfade.rim.drivers.weighted import Kind, Weighted


class Istio(Weighted):
    """One rollout's HTTP route of one VirtualService."""

    kind = Kind(
        noun="VirtualService",
        api="networking.istio.io/v1",
        plural="virtualservices",
        setting="virtual_service",
        rules="http",
        rule="HTTP route",
        named="http",
        members="route",
        destinations="destinations",
        whole=100,
    )

    def _name(self, member: Json) -> str:
        """HOST, or HOST/SUBSET."""
        destination = member["destination"]
        subset = destination.get("subset")
        return f"{destination['host']}/{subset}" if subset else str(destination["host"])

    def _weight(self, member: Json, *, alone: bool) -> int:
        return 100 if alone else int(member.get("weight", 0))

    def _mirrors(self, rule: Json) -> Iterator[tuple[str, float]]:
        for one in rule.get("mirrors", []):
            if self._name(one) in self._arms:
                yield self._arms[self._name(one)], one.get("percentage", {}).get("value", 100.0) / 100.0

    def _mirror(self, rule: Json, order: Order) -> None:
        kept = [one for one in rule.get("mirrors", []) if self._name(one) not in self._arms]
        for arm, share in order.mirrors.items():
            to = next(one["destination"] for one in rule["route"] if self._arms.get(self._name(one)) == arm)
            kept.append({"destination": dict(to), "percentage": {"value": round(share * 100.0, 4)}})
        if kept:
            rule["mirrors"] = kept
        else:
            rule.pop("mirrors", None)

    def _waiting(self, found: Json) -> str:
        """Istio tells by default of nobody that has taken it: what the object says is what is known."""
        status = found.get("status", {})
        wrong = [one for one in status.get("validationMessages", []) if one.get("level") in ("ERROR", 3)]
        if wrong:
            told = "; ".join(str(one.get("type", {}).get("code") or one) for one in wrong)
            raise Refused(f"Istio calls {self._what} wrong: {told}")
        for one in status.get("conditions", []):
            if one.get("type") == "Reconciled" and one.get("status") != "True":
                return f", which {one.get('message') or 'not every proxy has taken'}"
        stale = "observedGeneration" in status and not observed(found, status)
        return ", which Istio has not looked at yet" if stale else ""
