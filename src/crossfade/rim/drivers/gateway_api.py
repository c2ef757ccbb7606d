"""The Kubernetes Gateway API as the router: weights and mirrors of one rule of an HTTPRoute, and nothing else in it."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from crossfade.rim.drivers.cluster import Json, cluster_of, note, noted, observed
from crossfade.rim.drivers.port import Carried, Misplaced, Order, Refused, Unable, unable
from crossfade.spec.model import Rollout

WHOLE = 1_000_000
"""The largest weight that the API allows, and so how finely shares are told apart."""


class GatewayApi:
    """One rollout's rule of one HTTPRoute."""

    def __init__(self, rollout: Rollout) -> None:
        assert rollout.router is not None
        self._rollout, self._router = rollout, rollout.router
        self._cluster = cluster_of(rollout.router)
        name = rollout.router.one("route")
        self._what = f"HTTPRoute {self._cluster.namespace}/{name}"
        self._path = f"/apis/gateway.networking.k8s.io/v1/namespaces/{self._cluster.namespace}/httproutes/{name}"
        self._arms = {rollout.router.called(arm.name): arm.name for arm in (rollout.champion, *rollout.challengers)}

    def read(self) -> Carried:
        """What the rule says; without its order while a gateway has not taken it. Raises Refused where one will not."""
        found = self._cluster.read(self._path, self._what)
        rule = self._rule(found)
        weights = {ref["name"]: int(ref.get("weight", 1)) for ref in rule["backendRefs"]}
        whole = sum(weights.values())
        shares = {self._arms.get(name, name): weight / whole if whole else 0.0 for name, weight in weights.items()}
        waiting = self._waiting(found)
        return Carried(
            shares=shares,
            mirrors=dict(self._mirrors(rule)),
            mark=None if waiting else noted(found, self._rollout.name),
            said=f"generation {found['metadata'].get('generation')}{waiting}",
        )

    def carry(self, order: Order) -> None:
        """Set weights and mirrors in one write."""
        if cannot := unable(order):
            raise Unable(cannot)

        def changed(found: Json) -> Json:
            after = copy.deepcopy(found)
            rule = self._rule(after)
            strangers = [
                ref["name"] for ref in rule["backendRefs"] if ref["name"] not in self._arms and ref.get("weight", 1)
            ]
            if strangers:
                raise Misplaced(
                    f"{self._what} also sends requests of this rule to {', '.join(strangers)}, which is no arm of the "
                    "rollout; take it out, or give it weight 0"
                )
            given = {arm: int(share * WHOLE + 0.5) for arm, share in order.shares.items()}
            given[order.champion.name] = WHOLE - sum(n for arm, n in given.items() if arm != order.champion.name)
            for ref in rule["backendRefs"]:
                if ref["name"] in self._arms:
                    ref["weight"] = given.get(self._arms[ref["name"]], 0)
            self._mirror(rule, order)
            note(after, order, self._what)
            return after

        self._cluster.write(self._path, self._what, changed)

    def close(self) -> None:
        """Nothing is open."""

    def _rule(self, found: Json) -> Json:
        """The rollout's rule: that of the name, else the only one that has every arm among its backends."""
        named = self._router.one("rule")
        rules = found.get("spec", {}).get("rules", [])
        wanted = [
            rule
            for rule in rules
            if (not named or rule.get("name") == named)
            and self._arms.keys() <= {ref["name"] for ref in rule.get("backendRefs", [])}
        ]
        if len(wanted) != 1:
            how = f"{len(wanted)} rules" if wanted else "no rule"
            called = f" named {named}" if named else ""
            raise Misplaced(
                f"{self._what} has {how}{called} with the backends {', '.join(self._arms)}; one has to name them all, "
                "those that serve nobody yet with weight 0 (docs/how-to/kubernetes.md)"
            )
        rule: Json = wanted[0]
        return rule

    def _mirrors(self, rule: Json) -> Iterator[tuple[str, float]]:
        for one in rule.get("filters", []):
            name = one.get("requestMirror", {}).get("backendRef", {}).get("name")
            if one.get("type") == "RequestMirror" and name in self._arms:
                told = one["requestMirror"]
                fraction = told.get("fraction")
                share = fraction["numerator"] / fraction.get("denominator", 100) if fraction else None
                yield self._arms[name], share if share is not None else told.get("percent", 100) / 100.0

    def _mirror(self, rule: Json, order: Order) -> None:
        """Take out the rollout's own mirrors, and put in those of the order; filters of others stay where they are."""
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
        """Which gateway has not taken the route as it is now; '' where all have. Raises Refused where one will not."""
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
