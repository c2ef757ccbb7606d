"""Which part of the dossier speaks to which demand: the AI Act, and the NIST and ISO frameworks where that is clear."""

from __future__ import annotations

from collections.abc import Sequence

from crossfade.view.dossier.blocks import Part, table, text

ACT: Sequence[tuple[str, str, Sequence[str], str]] = (
    (
        "Art. 9",
        "risk management; tests against metrics and probabilistic thresholds set before (9(8))",
        ("plan", "evidence", "harm"),
        "the risks themselves, and what was done about those that no metric counts",
    ),
    ("Art. 10", "data and its governance", ("data", "segments"), "training data, and whether data represents people"),
    ("Art. 12", "record-keeping: events logged automatically", ("integrity", "evidence"), "events inside of models"),
    ("Art. 13", "information for deployers", ("method", "models"), "instructions for use"),
    ("Art. 14", "human oversight", ("people", "incidents"), "that those who oversee are able to"),
    (
        "Art. 15",
        "accuracy, robustness, cybersecurity",
        ("evidence", "calibration", "incidents", "drift"),
        "cybersecurity; accuracy on anything but the metrics named",
    ),
    ("Art. 19, 26(6)", "logs kept for at least six months", ("retention", "integrity"), "logs of the models"),
    (
        "Art. 60",
        "testing in real-world conditions",
        ("plan", "exposure", "harm", "people"),
        "the testing plan's approval, registration, and the consent of subjects (Art. 61)",
    ),
    ("Art. 72", "post-market monitoring", ("exposure", "drift"), "a monitoring plan over the system's life"),
    (
        "Annex IV",
        "technical documentation; of it testing (2(g)) and monitoring (3)",
        ("purpose", "models", "data", "plan", "evidence"),
        "everything but testing; test reports dated and signed by persons responsible",
    ),
)
"""Article, what it is about, the parts that speak to it, and what of it is outside of any rollout."""

OTHERS: Sequence[tuple[str, str, Sequence[str]]] = (
    ("NIST AI RMF, MEASURE 2.4", "behaviour monitored in production", ("exposure", "evidence", "drift")),
    ("NIST AI RMF, MEASURE 2.5", "demonstrated to be valid and reliable", ("evidence", "method")),
    ("NIST AI RMF, MANAGE 2.4", "mechanisms to disengage or deactivate", ("people", "incidents")),
    ("NIST AI RMF, MANAGE 4.1", "monitoring after deployment", ("exposure", "incidents")),
    ("ISO/IEC 42001, A.6.2.4", "verification and validation", ("plan", "evidence")),
    ("ISO/IEC 42001, A.6.2.5", "deployment", ("plan", "exposure")),
    ("ISO/IEC 42001, A.6.2.6", "operation and monitoring", ("incidents", "drift")),
    ("ISO/IEC 42001, A.6.2.8", "recording of event logs", ("integrity", "retention")),
)


def mapped(parts: Sequence[Part]) -> Part:
    """The table. It helps to find things, and says nothing of whether a law is met."""
    by_id = {part.id: part for part in parts}

    def rows(told: Sequence[tuple[str, str, Sequence[str]]]) -> list[tuple[str, str, str]]:
        return [
            (name, about, "; ".join(f"{by_id[each].title} ({by_id[each].state})" for each in ids))
            for name, about, ids in told
        ]

    act = [(*row, other) for row, (*_, other) in zip(rows([(a, b, c) for a, b, c, _ in ACT]), ACT, strict=True)]
    return Part(
        id="articles",
        title="Where to find what rules ask for",
        blocks=[
            text(
                "Regulation (EU) 2024/1689, the AI Act. This table helps to find things. It does not say that a duty "
                "applies, nor that it is met, and it is no legal advice; what stands under “not here” has to "
                "come from elsewhere."
            ),
            table(("AI Act", "about", "here", "not here"), act),
            table(("framework", "about", "here"), rows(OTHERS)),
        ],
    )
