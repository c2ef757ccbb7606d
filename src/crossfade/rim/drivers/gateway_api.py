"""The Kubernetes Gateway API as the router: weights and mirrors of one rule of an HTTPRoute, and nothing else in it."""

from __future__ import annotations

from collections.abc import Iterator

from crossfade.rim.drivers.cluster import Json, observed
from crossfade.rim.drivers.port import Order, Refused
from crossfade.rim.drivers.weighted import Kind, Weighted

WHOLE = 1_000_000
"""The largest weight that the API allows, and so how finely shares are told apart."""


class GatewayApi(Weighted):
    """One rollout's rule of one HTTPRoute."""

    kind = Kind(
        noun="HTTPRoute",
        api="gateway.networking.k8s.io/v1",
        plural="httproutes",
        setting="route",
        rules="rules",
        rule="rule",
        named="rule",
        members="backendRefs",
        destinations="backends",
        whole=WHOLE,
    )

    def _name(self, member: Json) -> str:
        return str(member["name"])

    def _weight(self, member: Json, *, alone: bool) -> int:
        return int(member.get("weight", 1))

    def _mirrors(self, rule: Json) -> Iterator[tuple[str, float]]:
        for one in rule.get("filters", []):
            name = one.get("requestMirror", {}).get("backendRef", {}).get("name")
            if one.get("type") == "RequestMirror" and name in self._arms:
                told = one["requestMirror"]
                fraction = told.get("fraction")
                share = fraction["numerator"] / fraction.get("denominator", 100) if fraction else None
                yield self._arms[name], share if share is not None else told.get("percent", 100) / 100.0

    def _mirror(self, rule: Json, order: Order) -> None:
        ours = [arm for arm, _ in self._mirrors(rule)]
        if not ours and not order.mirrors:
            return
        kept = [
            one
            for one in rule.get("filters", [])
            if one.get("requestMirror", {}).get("backendRef", {}).get("name") not in self._arms
        ]
        for arm, share in order.mirrors.items():
            ref = next(one for one in rule["backendRefs"] if self._arms.get(one["name"]) == arm)
            told: Json = {"backendRef": {key: ref[key] for key in ref if key not in ("weight", "filters")}}
            if round(share * 100, 6) != 100:
                whole = round(share * 100, 6) == round(share * 100)
                exactly = {"numerator": round(share * WHOLE), "denominator": WHOLE}
                told |= {"percent": round(share * 100)} if whole else {"fraction": exactly}
            kept.append({"type": "RequestMirror", "requestMirror": told})
        if kept:
            rule["filters"] = kept
        else:
            rule.pop("filters", None)

    def _waiting(self, found: Json) -> str:
        parents = found.get("status", {}).get("parents", [])
        for parent in parents:
            who = f"{parent.get('parentRef', {}).get('name')} ({parent.get('controllerName')})"
            conditions = {one["type"]: one for one in parent.get("conditions", [])}
            for kind in ("Accepted", "ResolvedRefs"):
                one = conditions.get(kind)
                if one is None or not observed(found, one):
                    return f", which {who} has not looked at yet"
                if one["status"] != "True":
                    raise Refused(
                        f"{who} does not take {self._what}: {kind} is {one['status']}, {one.get('reason', '')} "
                        f"{one.get('message', '')}".rstrip()
                    )
        return "" if parents else ", which no gateway has looked at yet"
