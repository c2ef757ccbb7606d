"""The spec that `crossfade init` writes: it passes `check` as it is and explains each key in plain words."""

from __future__ import annotations

import json

from crossfade.spec.model import Protocol
from crossfade.spec.source import load

ROUTES = {
    Protocol.OPEN_INFERENCE: "/v2/models/my-model/infer",
    Protocol.MLFLOW: "/invocations",
    Protocol.PREDICT_V1: "/v1/models/my-model:predict",
    Protocol.JSON: "/predict",
}
"""Where each protocol's requests usually go."""

CHAMPION = "http://127.0.0.1:8101"
CHALLENGER = "http://127.0.0.1:8102"


def template(
    *,
    name: str = "my-rollout",
    route: str | None = None,
    champion: str = CHAMPION,
    challenger: str = CHALLENGER,
    protocol: str = Protocol.OPEN_INFERENCE,
) -> str:
    """A commented spec with these values filled in; they are not checked here."""
    usual = ROUTES[Protocol(protocol)] if protocol in list(ROUTES) else "/"
    filled = _TEMPLATE
    for mark, value in (
        ("<name>", name),
        ("<route>", route if route is not None else usual),
        ("<protocol>", str(protocol)),
        ("<champion>", champion),
        ("<challenger>", challenger),
    ):
        filled = filled.replace(mark, written(value), 1)
    return filled


def written(text: str) -> str:
    """A text as YAML reads it back: bare where that is safe, else in quotes."""
    root, problems = load(f"x: {text}\n")
    if not problems and isinstance(root.value, dict) and "\n" not in text:
        child = root.value.get("x")
        if child is not None and len(root.value) == 1 and child.value == text:
            return text
    return json.dumps(text)


_TEMPLATE = """\
# A Crossfade rollout: how one new model (the challenger) takes over from the present one (the champion).
#
#   crossfade check FILE     says whether this file can be run, and every mistake with its line
#   crossfade serve FILE     runs it
#
# Shares are written 5% or 0.05, durations 30s, 10m, 24h or 3d. Lines that begin with '# ' show keys you may add;
# the value they show is the one that holds without them, unless they say otherwise.

# What this rollout is called in commands, records and pages.
name: <name>

# purpose: Ranks the shop's search results for visitors.   # for reviewers (nothing by default)

# Requests whose path begins like this are part of the rollout; all others pass through untouched.
route: <route>

# What the models speak: open-inference, json, mlflow, predict-v1 or openai-chat.
protocol: <protocol>

# Who is randomised. One unit always sees the same model. Take what stands for a person or a session:
#   header:NAME    a request header          cookie:NAME    a cookie
#   json:$.path    a value in the JSON body  request        every request by itself
# Requests without it are served by the champion and counted.
unit: header:x-user-id

# The model that serves now.
champion:
  name: v1
  url: <champion>
  # model: my-model        # its name at this URL, where it differs from the one in the route (nothing by default)
  # timeout: 30s           # how long it may take for one request
  # digest: sha256:…       # of the model's file, for the record (nothing by default)

# The model that wants to take over. For several at once write `challengers:` and a list of these.
challenger:
  name: v2
  url: <challenger>
  # probe: {path: /v2/health/ready, every: 5s}   # asks it whether it is well, apart from users' requests

# How often, at most, a wrong decision may be taken over the rollout's whole life, however often it is looked at.
alpha: 5%

# segments: [header:x-country]   # fields of the request by which groups of units are judged too (none by default)
# on_segment_harm: hold          # if one of these is harmed and the whole is not: hold, report, or exclude it
# explore: [json:$.age]          # more fields, in which groups that come to harm are searched for (none by default)
# salt: my-salt                  # what units are hashed with; the rollout's name by default
#   `model: chat` here, beside `protocol: openai-chat`: the name in lists of models where arms have names of their own
# reveal: false                  # true: replies say in x-crossfade-arm which model served them
# deadline: 30s                  # how long a request may take in all, the champion's help for a failed one included
# lease: 10s                     # how long gateways go on when the controller is silent; then the champion serves all
# keep_facts: 184d              # how long what was recorded is kept; while the rollout runs it is kept in any case
# ranking: {items: $.items, id: $.id}   # where replies carry a ranked list; needed by an interleave stage
#   query      `query: [query:q]`: what says in requests what is searched; all of a request but its page by default
#   pages      `pages: {offset: query:from, limit: query:size, size: 10, at_most: 100}`: how requests ask for a part of
#              the list; or `{page: query:p, first: 1, limit: query:n}` where pages are numbered
#                                # (pinned: $.ad inside it: items that are sold or placed by hand keep their slots)
# dry_run_header: x-dry-run      # marks mirrored copies with the value true, for models that write (none by default)

# How single fields of replies are compared in a shadow (by default numbers with a small tolerance, all else exactly):
#   as         number (relative: 1%, absolute: 0.5), label, probabilities, ranking (depth: 10, id: $.id), text, tensor,
#              set (id: $.id) or exact
#   by, within the measure of distance, such as by: words, and the largest distance that still counts as the same
#              (by: embedding with embedding: shop.texts:embed, your own function from texts to vectors)
#   mute       why differences of this field do not count
# compare: {$.score: {as: number, relative: 1%}, $.answer: {as: text, by: words, within: 20%}, $.took: {mute: a time}}

# Where replies carry what labels are set against (nothing by default); it is recorded of mirrored replies. One of:
#   probability (of 1, or one for each class), class, value (a number), items (a ranked list, with id: $.id)
# prediction: {probability: $.probability}

# Where replies say what they cost (nothing by default), recorded of mirrored replies; several places with their prices
# are added up, and a price may be one for each arm:
# cost: {json:$.usage.prompt_tokens: 0.0000025, json:$.usage.completion_tokens: {v1: 0.00001, v2: 0.000002}}

# Pairs of mirrored replies that differ are kept to look at (none by default), without the fields named here:
# examples: {share: 1%, most: 200}
# redact: [$.user.email]

# Inputs and predictions are counted (not at all by default), so that a changed world, a worse model and a broken feed
# can be told apart. Only counts are kept; texts as one of 64 hashes, or by name where `features` lists their field:
# drift: {sample: 5%, reference: 24h, features: [age, $.user.country]}

# Units are recorded as requests name them. With a key (`openssl rand -hex 32`) only a keyed hash of them is:
# pseudonyms: env:CROSSFADE_UNIT_KEY     # or file:/etc/crossfade/unit.key

# Who is told of what happens (nobody by default), by a signed webhook, in a channel, or by e-mail; `on` says of what:
#   start, advance, hold, resume, rollback, promote, finish, note (what people do besides), fault. Of all by default.
# notify:
#   - webhook: {url: https://ops.example.org/crossfade, key: env:HOOK_KEY}
#   - slack: {url: env:SLACK_URL}
#     on: [hold, rollback, promote, approval]
#   - email: {server: smtp://mail:25, from: crossfade@example.org, to: [ana@example.org]}   # user:, password: env:NAME
# A model registry's alias that follows what serves everyone (none by default):
# registry: {mlflow: http://mlflow:5000, model: ranker, alias: champion, versions: {v1: 3, v2: 4}}   # token: env:NAME

# Where another router than Crossfade's gateway carries the traffic (docs/how-to/envoy.md, docs/how-to/haproxy.md):
# router: {envoy: {routes: /etc/envoy/routes.yaml, admin: [http://127.0.0.1:9901]}}
#   clusters   `{v1: ranker-a}`: what Envoy calls the arms;  virtual_host  where in the file, if not the first
# router: {haproxy: {sockets: [unix:/run/haproxy/admin.sock], map: /etc/haproxy/crossfade.map}}
#   backends   `{v1: ranker-a}`: what HAProxy calls the arms
# router: {gateway_api: {route: ranker, backends: {v1: ranker-v1, v2: ranker-v2}}}   # docs/how-to/kubernetes.md
# router: {istio: {virtual_service: ranker, destinations: {v1: ranker/v1, v2: ranker/v2}}}
# router: {kserve: {inference_service: ranker}}
#   with `unit: request`;  rule, http  which one of the object;  namespace, kubeconfig, context  where it is

# What is measured, by names of your own. For each:
#   from       response: the reply itself;  outcome: what your application reports later;
#              prediction: what the reply predicted, set against the outcome that came true (both models, in shadow)
#              cost: what the reply cost, always a mean (both models, in shadow)
#   kind       rate: the share of units with an event (from response: a failed reply)
#              mean: the average over units (from response: latency in milliseconds)
#              count: the average number of events per unit (from response: of failed replies)
#              ratio: one outcome's total over another's, with per, such as per: visit
#              quantile: with q, such as q: 0.99 (from response: latency in milliseconds)
#              of predictions: accuracy, auc, log-loss, brier, rmse, mae, ndcg or score (your own function, as
#              score: shop.scores:profit, which gets what came true and what was predicted and returns a number)
#   better     lower or higher
#   window     only for outcomes: how long after a unit's first exposure they count; for predictions: how long after
#              the request its label counts; absent: 0 is the label of requests that none came for (else left out)
#   join       only for predictions: unit where labels name units and not requests; a unit's first prediction counts
#   arrives_within  only for outcomes: how long after it happened one may still arrive (1d for a daily import)
#   outcome    only for outcomes: the name they are reported under, where it is not the metric's own
#   per        only for ratios of outcomes: the outcome in the denominator
#   covariate  only for means and counts of outcomes: an outcome whose total before the first exposure is adjusted for,
#              or shadow:champion: what that model predicted for the unit's mirrored requests (needs prediction, below)
#   cap        only for means and counts: the most that counts of one unit (cap: 20); with it, that nothing happens in
#              either arm is evidence
#   only       only for outcomes: differing, where units count from their first request at which the arms' answers
#              differ, and others do not (needs counterfactual with of: both in every canary and ab stage, below)
#   guardrail  getting worse than the margin rolls the challenger back. A margin is
#              0.5pp (percentage points), 20% (of the champion's value) or a number in the metric's own units
#   goal       true where the challenger must be better for the ab stage to end well
# Every metric is a guardrail, a goal or both.
metrics:
  errors:
    from: response
    kind: rate
    better: lower
    guardrail: {margin: 0.5pp}
  latency:
    from: response
    kind: quantile
    q: 0.99
    better: lower
    # blocks: 30m                         # compared as one, where arms are slow by themselves for minutes (noisy hosts)
    guardrail: {margin: 20%}
  success:
    from: outcome
    kind: rate
    window: 24h
    better: higher
    goal: true
    # outcome: success

# What happens, in order. Leave out what you do not need; exposure only rises, and promote comes last.
# `until: {at_most: 14d}` gives a stage up when it takes too long: the champion stays.
stages:
  # Copies of requests go to the challenger; nobody sees its answers.
  - shadow:
      mirror: 100%                        # share of requests that are copied
      noise: 5%                           # share of those that the champion answers twice, to learn its own noise
      # at_once: 8                        # copies under way at one arm, shared by workers (by default 32 a worker)
      # per_day: {requests: 20000}        # what may be mirrored in a day (no bound by default); or {cost: 5}, see cost
      gates: {disagreement: {at_most: 5%}}   # how often both may answer differently, beyond that noise
      # another gate, catastrophic (NaN, wrong shapes, cut streams), is always there; {at_most: 0.1%} would allow some
      until: {requests: 1000}             # go on when so many were compared

  # A small share of units gets the challenger, step by step; the guardrails watch.
  - canary:
      steps: [1%, 5%, 20%]                # shares of units, each larger than the one before; or auto, see `plan`
      hold_for: 10m                       # how long each step is held at least
      budget: {errors: 50}                # the most harm it may do: here 50 more units with an error
      # prior: {mean: 0pp, sd: 2pp}       # for `steps: risk-of-ruin`: how much harm to one unit is credible
      # counterfactual: 10%               # units whose requests are copied to the challenger while the champion serves
      #                                   # them (none by default); {share: 10%, of: both, at_once: 8, per_day:
      #                                   # {requests: 20000}} copies to the champion, too. An ab stage takes it as well
      until: {at_most: 7d}

  # Only for ranked lists (needs `ranking` above): both models' lists in one, credit by clicks.
  # - interleave:
  #     weight: 20%                       # share of units that see such lists (has to be written)
  #     method: team-draft                # how the lists are merged; or balanced, probabilistic, optimized
  #     credit: click                     # the outcome, reported with an item, that gives credit; or several with
  #                                       # their weights, such as {click: 1, purchase: 5, dwell: 0.1 * value}
  #     until: {decided: true, at_most: 3d}

  # Units are split at random until the goal is decided and every guardrail is shown to hold.
  - ab:
      weight: 50%
      until: {decided: true, at_most: 14d}
      # approve: [ana, ben]               # one of them has to, before this stage is entered (nobody by default); or
      #                                   # {by: [ana, ben, cy], needed: 2}; any stage but the first takes it

  # The challenger serves everyone but a holdback, kept on the old champion so that slow harm can still be seen.
  - promote:
      holdback: 2%
      watch: 30d                          # how long the holdback is kept before the rollout is finished
"""
