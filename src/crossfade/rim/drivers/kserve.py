"""KServe as the router: the share of an InferenceService's requests that its latest revision gets."""

from __future__ import annotations

import copy

from crossfade.rim.drivers.cluster import Json, cluster_of, note, noted
from crossfade.rim.drivers.port import Carried, Misplaced, Order, Unable, unable
from crossfade.spec.model import Rollout

KEY = "canaryTrafficPercent"


class KServe:
    """One InferenceService, whose latest revision is the challenger and whose last good one is the champion."""

    def __init__(self, rollout: Rollout) -> None:
        assert rollout.router is not None
        self._rollout = rollout
        self._cluster = cluster_of(rollout.router)
        name = rollout.router.one("inference_service")
        self._what = f"InferenceService {self._cluster.namespace}/{name}"
        self._path = f"/apis/serving.kserve.io/v1beta1/namespaces/{self._cluster.namespace}/inferenceservices/{name}"

    def read(self) -> Carried:
        """What the status says that revisions get, which is what is in force."""
        found = self._cluster.read(self._path, self._what)
        self._predictor(found)
        status = found.get("status", {})
        traffic = status.get("components", {}).get("predictor", {}).get("traffic")
        if not traffic:
            raise Misplaced(
                f"the status of {self._what} does not say what its revisions get: shares need KServe's serverless mode "
                "(Knative), and an InferenceService that has been ready once"
            )
        latest = sum(int(one.get("percent") or 0) for one in traffic if one.get("latestRevision")) / 100.0
        # Its `observedGeneration` is another object's, so that what is in force is told by what was asked for alone.
        waiting = found["spec"]["predictor"].get(KEY) != round(latest * 100)
        return Carried(
            shares={self._rollout.champion.name: 1.0 - latest, self._rollout.challenger.name: latest},
            mark=None if waiting else noted(found, self._rollout.name),
            said=f"generation {found['metadata'].get('generation')}{', not in force yet' if waiting else ''}",
        )

    def carry(self, order: Order) -> None:
        """Set the percentage of the latest revision."""
        if cannot := unable(order):
            raise Unable(cannot)

        def changed(found: Json) -> Json:
            after = copy.deepcopy(found)
            share = order.shares.get(self._rollout.challenger.name, 0.0)
            self._predictor(after)[KEY] = int(share * 100 + 0.5)
            note(after, order, self._what)
            return after

        self._cluster.write(self._path, self._what, changed)

    def close(self) -> None:
        """Nothing is open."""

    def _predictor(self, found: Json) -> Json:
        predictor = found.get("spec", {}).get("predictor")
        if not isinstance(predictor, dict):
            raise Misplaced(f"{self._what} has no predictor")
        return predictor
