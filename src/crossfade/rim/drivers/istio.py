"""Istio as the router: weights and mirrors of one HTTP route of a VirtualService, and nothing else in it."""

from __future__ import annotations

import copy

from crossfade.rim.drivers.cluster import Json, cluster_of, note, noted, observed
from crossfade.rim.drivers.port import Carried, Misplaced, Order, Refused, Unable, unable
from crossfade.spec.model import Rollout


class Istio:
    """One rollout's HTTP route of one VirtualService."""

    def __init__(self, rollout: Rollout) -> None:
        assert rollout.router is not None
        self._rollout, self._router = rollout, rollout.router
        self._cluster = cluster_of(rollout.router)
        name = rollout.router.one("virtual_service")
        self._what = f"VirtualService {self._cluster.namespace}/{name}"
        self._path = f"/apis/networking.istio.io/v1/namespaces/{self._cluster.namespace}/virtualservices/{name}"
        self._arms = {rollout.router.called(arm.name): arm.name for arm in (rollout.champion, *rollout.challengers)}

    def read(self) -> Carried:
        """What the route says. Istio tells by default of nobody that has taken it: what it says is what is known."""
        found = self._cluster.read(self._path, self._what)
        route = self._route(found)
        weights = {_place(one["destination"]): int(one.get("weight", 0)) for one in route["route"]}
        if len(weights) == 1:
            weights = dict.fromkeys(weights, 100)
        whole = sum(weights.values())
        waiting = self._waiting(found)
        return Carried(
            shares={
                self._arms.get(place, place): weight / whole if whole else 0.0 for place, weight in weights.items()
            },
            mirrors={
                self._arms[_place(one["destination"])]: one.get("percentage", {}).get("value", 100.0) / 100.0
                for one in route.get("mirrors", [])
                if _place(one["destination"]) in self._arms
            },
            mark=None if waiting else noted(found, self._rollout.name),
            said=f"generation {found['metadata'].get('generation')}{waiting}",
        )

    def carry(self, order: Order) -> None:
        """Set weights and mirrors in one write."""
        if cannot := unable(order):
            raise Unable(cannot)

        def changed(found: Json) -> Json:
            after = copy.deepcopy(found)
            route = self._route(after)
            strangers = [
                _place(one["destination"])
                for one in route["route"]
                if _place(one["destination"]) not in self._arms and one.get("weight", 0)
            ]
            if strangers:
                raise Misplaced(
                    f"{self._what} also sends requests of this route to {', '.join(strangers)}, which is no arm of the "
                    "rollout; take it out, or give it weight 0"
                )
            given = {arm: int(share * 100 + 0.5) for arm, share in order.shares.items()}
            given[order.champion.name] = 100 - sum(n for arm, n in given.items() if arm != order.champion.name)
            for one in route["route"]:
                place = _place(one["destination"])
                if place in self._arms:
                    one["weight"] = given.get(self._arms[place], 0)
            self._mirror(route, order)
            note(after, order, self._what)
            return after

        self._cluster.write(self._path, self._what, changed)

    def close(self) -> None:
        """Nothing is open."""

    def _route(self, found: Json) -> Json:
        """The rollout's route: that of the name, else the only one that has every arm among its destinations."""
        named = self._router.one("http")
        wanted = [
            one
            for one in found.get("spec", {}).get("http", [])
            if (not named or one.get("name") == named)
            and self._arms.keys() <= {_place(to["destination"]) for to in one.get("route", [])}
        ]
        if len(wanted) != 1:
            how = f"{len(wanted)} HTTP routes" if wanted else "no HTTP route"
            called = f" named {named}" if named else ""
            raise Misplaced(
                f"{self._what} has {how}{called} with the destinations {', '.join(self._arms)}; one has to name them "
                "all, those that serve nobody yet with weight 0 (docs/how-to/kubernetes.md)"
            )
        route: Json = wanted[0]
        return route

    def _mirror(self, route: Json, order: Order) -> None:
        kept = [one for one in route.get("mirrors", []) if _place(one["destination"]) not in self._arms]
        for arm, share in order.mirrors.items():
            to = next(one["destination"] for one in route["route"] if self._arms.get(_place(one["destination"])) == arm)
            kept.append({"destination": dict(to), "percentage": {"value": round(share * 100.0, 4)}})
        if kept:
            route["mirrors"] = kept
        else:
            route.pop("mirrors", None)

    def _waiting(self, found: Json) -> str:
        """Why the route is not in force; '' where nothing says so. Raises Refused where Istio calls it wrong."""
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


def _place(destination: Json) -> str:
    """A destination as specs name it: HOST, or HOST/SUBSET."""
    subset = destination.get("subset")
    return f"{destination['host']}/{subset}" if subset else str(destination["host"])
