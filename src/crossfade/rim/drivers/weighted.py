"""What drivers of Kubernetes objects share that give arms their weights in a list of one rule.

The rule is found by the arms that it names, weights and mirrors are set in one write, and nothing else in the object
is touched.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from crossfade.rim.drivers.cluster import Json, cluster_of, note, noted
from crossfade.rim.drivers.port import Carried, Misplaced, Order, Unable, unable
from crossfade.spec.model import Rollout


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of object, and the words of its parts."""

    noun: str
    api: str
    plural: str
    setting: str
    """Which of the router's settings names the object."""
    rules: str
    """Where in `spec` its rules are."""
    rule: str
    """What people call one of them."""
    named: str
    """Which setting names a rule where several would do."""
    members: str
    """Where in a rule the list is."""
    destinations: str
    """What people call what is in it."""
    whole: int
    """What the weights of a rule add up to."""


class Weighted(ABC):
    """One rollout's rule of one object."""

    kind: ClassVar[Kind]

    def __init__(self, rollout: Rollout) -> None:
        assert rollout.router is not None
        self._rollout, self._router = rollout, rollout.router
        self._cluster = cluster_of(rollout.router)
        namespace, name = self._cluster.namespace, rollout.router.one(self.kind.setting)
        self._what = f"{self.kind.noun} {namespace}/{name}"
        self._path = f"/apis/{self.kind.api}/namespaces/{namespace}/{self.kind.plural}/{name}"
        self._arms = {rollout.router.called(arm.name): arm.name for arm in (rollout.champion, *rollout.challengers)}

    def read(self) -> Carried:
        """What the rule says; without its order while somebody has not taken it. Raises Refused where one will not."""
        found = self._cluster.read(self._path, self._what)
        rule = self._rule(found)
        members = rule[self.kind.members]
        weights = Counter[str]()
        for one in members:
            weights[self._name(one)] += self._weight(one, alone=len(members) == 1)
        whole, waiting = weights.total(), self._waiting(found)
        return Carried(
            shares={self._arms.get(name, name): weight / whole if whole else 0.0 for name, weight in weights.items()},
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
            members = rule[self.kind.members]
            if not order.back:
                # Whoever goes back takes its challengers out first; who else is there is told by what is read.
                self._check_strangers(members)
            given = {arm: int(share * self.kind.whole + 0.5) for arm, share in order.shares.items()}
            others = sum(weight for arm, weight in given.items() if arm != order.champion.name)
            given[order.champion.name] = self.kind.whole - others
            for one in members:
                if self._name(one) in self._arms:
                    one["weight"] = given.get(self._arms[self._name(one)], 0)
            self._mirror(rule, order)
            note(after, order, self._what)
            return after

        self._cluster.write(self._path, self._what, changed)

    def close(self) -> None:  # noqa: B027
        """Nothing is open."""

    @abstractmethod
    def _name(self, member: Json) -> str:
        """How specs name a member of the list."""

    @abstractmethod
    def _weight(self, member: Json, *, alone: bool) -> int:
        """Its weight, also where none is written; `alone`: there is no other."""

    @abstractmethod
    def _mirrors(self, rule: Json) -> Iterator[tuple[str, float]]:
        """Arms to which requests are copied, with their shares."""

    @abstractmethod
    def _mirror(self, rule: Json, order: Order) -> None:
        """Take out the rollout's own mirrors, and put in those of the order; those of others stay as they are."""

    @abstractmethod
    def _waiting(self, found: Json) -> str:
        """Who has not taken the object as it is now; '' where nobody is known to. Raises Refused where one will not."""

    def _rule(self, found: Json) -> Json:
        """The rollout's rule: that of the name, else the only one that names every arm, each once."""
        kind, named = self.kind, self._router.one(self.kind.named)
        wanted: list[tuple[Json, Counter[str]]] = []
        for rule in found.get("spec", {}).get(kind.rules, []):
            names = Counter(self._name(one) for one in rule.get(kind.members, []))
            if (not named or rule.get("name") == named) and self._arms.keys() <= names.keys():
                wanted.append((rule, names))
        if len(wanted) != 1:
            how = f"{len(wanted)} {kind.rule}s" if wanted else f"no {kind.rule}"
            called = f" named {named}" if named else ""
            raise Misplaced(
                f"{self._what} has {how}{called} with the {kind.destinations} {', '.join(self._arms)}; one has to name "
                "them all, those that serve nobody yet with weight 0 (docs/how-to/kubernetes.md)"
            )
        ((rule, names),) = wanted
        twice = [name for name in self._arms if names[name] > 1]
        if twice:
            raise Misplaced(
                f"{self._what} names {', '.join(twice)} more than once in one {kind.rule}, so that its share would not "
                "be what is asked for; name each arm once"
            )
        return rule

    def _check_strangers(self, members: list[Json]) -> None:
        alone = len(members) == 1
        strangers = [
            self._name(one) for one in members if self._name(one) not in self._arms and self._weight(one, alone=alone)
        ]
        if strangers:
            raise Misplaced(
                f"{self._what} also sends requests of this {self.kind.rule} to {', '.join(strangers)}, which is no arm "
                "of the rollout; take it out, or give it weight 0"
            )
