"""Which method of `crossfade.judge` is held against which independent implementation: the table of the documentation.

`python -m judge.infer.oracles` (from `tests/`) writes it; a test says when it is stale, or a method is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "theory" / "oracles.md"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method."""

    method: str
    functions: tuple[str, ...]
    oracle: str
    within: str
    tests: tuple[str, ...]


HERE = "judge/infer/test_oracles.py"

ROWS = (
    Row(
        method="rates, settled: label betting on every unit",
        functions=("infer_rate", "infer_rates", "trials_log_e"),
        oracle="no library has it: the factor written out unit by unit, as a likelihood ratio (Turner, Ly and "
        "Grünwald); ville's `BettingABTest` for the width of the interval",
        within="1e-9; width within a quarter",
        tests=(
            "judge/infer/test_labels.py::test_settled_bets_are_those_written_out_unit_by_unit",
            "judge/infer/test_labels.py::test_a_bet_is_the_likelihood_ratio_of_the_odds_ratio_it_stands_for",
            f"{HERE}::test_the_interval_of_a_rate_is_about_that_of_another_way_of_betting",
        ),
    ),
    Row(
        method="rates, first events",
        functions=("events_log_e",),
        oracle="none: that no bet gains anything at the margin, for any rates",
        within="1e-12",
        tests=("judge/infer/test_labels.py::test_an_event_bet_with_its_payment_gains_nothing_at_the_margin",),
    ),
    Row(
        method="the boundary of asymptotic confidence sequences",
        functions=("one_sided_log_e", "one_sided_log_es"),
        oracle="published half-widths (those of gbstats and of Waudby-Smith et al.); ville's `normal_mixture`, "
        "`AsymptoticCS`",
        within="5 digits; two-sided 1e-9; one-sided outside theirs by 6 % at most",
        tests=(
            "judge/infer/test_boundary.py::test_two_sided_half_widths",
            "judge/infer/test_boundary.py::test_an_independent_implementation_has_the_same_width",
            f"{HERE}::test_the_one_sided_boundary_is_never_inside_villes_and_hardly_outside",
        ),
    ),
    Row(
        method="means and counts",
        functions=("infer_mean", "infer_means"),
        oracle="tea-tasting's `Mean` for estimates; SciPy's Student and Welch for the spread; ville's "
        "`AsymptoticABTest` for the interval at even arms",
        within="estimates 1e-9; spread 1 %; interval 3 %",
        tests=(
            "rim/analyze/test_analyze.py::test_the_same_estimates_as_tea_tasting",
            f"{HERE}::test_the_spread_of_a_difference_of_means_is_the_larger_of_students_and_welchs",
            f"{HERE}::test_means_at_even_arms_have_the_interval_of_villes_test",
        ),
    ),
    Row(
        method="means of next to nothing, under a cap",
        functions=("below_log_e",),
        oracle="none: that it never wins more than the bet on the values themselves, which gains nothing at the margin",
        within="1e-9",
        tests=("judge/infer/test_nothing.py::test_it_never_wins_more_than_the_bet_on_the_values_themselves",),
    ),
    Row(
        method="means with a covariate (CUPED)",
        functions=(),
        oracle="tea-tasting's `Mean` with a covariate; the adjustment of each unit written out",
        within="1e-9",
        tests=(
            "rim/analyze/test_analyze.py::test_the_same_adjusted_estimate_as_tea_tasting",
            "judge/infer/test_means.py::test_a_covariate_is_the_same_as_adjusting_each_unit",
        ),
    ),
    Row(
        method="ratios",
        functions=("infer_ratio", "infer_ratios"),
        oracle="tea-tasting's `RatioOfMeans`; the delta method written out",
        within="1e-9",
        tests=(
            "rim/analyze/test_analyze.py::test_the_same_estimates_as_tea_tasting",
            "judge/infer/test_ratios.py::test_estimate_and_width_are_those_of_the_delta_method",
        ),
    ),
    Row(
        method="quantiles",
        functions=("infer_quantile", "infer_quantiles"),
        oracle="none that installs (confseq does not build): each bet written out; NumPy's quantile for values",
        within="1e-9; values within a bin, 1.9 %",
        tests=(
            "judge/infer/test_laid.py::test_quantiles_of_many_lines_are_those_of_each_bet_by_bet",
            "judge/infer/test_quantiles.py::test_the_running_quantile_is_the_edge_of_its_bin",
        ),
    ),
    Row(
        method="quantiles in blocks of time",
        functions=("infer_in_blocks",),
        oracle="none: the effect it was given, and false verdicts simulated where hosts wander by themselves",
        within="its alpha",
        tests=(
            "judge/infer/test_blocks.py::test_what_stays_slow_is_found_and_the_interval_says_by_how_much",
            "guarantees/test_hosts.py::test_the_same_model_is_seldom_called_slow_however_its_latency_hangs_together",
        ),
    ),
    Row(
        method="paired differences of −1, 0 and +1",
        functions=("infer_paired", "infer_paireds", "mean_log_e", "mean_log_es"),
        oracle="none: the wealth of each bet played pair by pair",
        within="1e-9",
        tests=("judge/infer/test_paired.py::test_the_mixture_is_the_average_of_wealths_played_pair_by_pair",),
    ),
    Row(
        method="paired means (cost, latency of the same requests)",
        functions=("infer_differences",),
        oracle="none beyond the boundary's; false verdicts simulated at the margin",
        within="its alpha",
        tests=("judge/infer/test_differences.py::test_a_challenger_at_its_margin_is_seldom_called_either",),
    ),
    Row(
        method="preference, whole votes",
        functions=("infer_preference", "infer_preferences", "two_sided_log_e", "share_log_e", "share_log_es"),
        oracle="ville's `BernoulliTest`; a published value (130 wins, 90 losses: 6.897); the prior integrated by SciPy",
        within="1e-9",
        tests=(
            f"{HERE}::test_the_mixture_over_preferences_is_villes",
            "judge/infer/test_preference.py::test_the_known_value",
            "judge/infer/test_preference.py::test_the_one_sided_value_is_the_cut_prior_integrated",
        ),
    ),
    Row(
        method="preference, graded votes",
        functions=("graded_log_e", "graded_log_es"),
        oracle="none: the inequality of Fan, Grama and Liu, on votes of every size",
        within="1e-12",
        tests=(f"{HERE}::test_a_graded_vote_gains_nothing_on_average",),
    ),
    Row(
        method="sample ratio",
        functions=("log_e", "infer_sample_ratio"),
        oracle="ville's `BernoulliTest` for two arms; published values ((5300, 5000), k = 100: 2.00327)",
        within="1e-8",
        tests=(
            f"{HERE}::test_the_sample_ratio_of_two_arms_is_villes",
            "judge/infer/test_mismatch.py::test_published_values",
        ),
    ),
    Row(
        method="scores of labelled predictions",
        functions=("infer_scored",),
        oracle="scikit-learn's accuracy, Brier score, log-loss, AUC, RMSE, MAE and NDCG; DeLong's variance written out",
        within="1e-12",
        tests=(
            f"{HERE}::test_scores_of_predictions_are_those_of_scikit_learn",
            f"{HERE}::test_ndcg_is_that_of_scikit_learn",
            f"{HERE}::test_what_each_pair_adds_to_an_auc_is_delongs_placement",
        ),
    ),
    Row(
        method="calibration",
        functions=("calibration",),
        oracle="scikit-learn's `calibration_curve`",
        within="1e-12",
        tests=(f"{HERE}::test_the_curve_of_calibration_is_that_of_scikit_learn",),
    ),
    Row(
        method="changes that begin late",
        functions=("tape",),
        oracle="the detector's own recursion (Shin, Ramdas and Rinaldo), slice by slice",
        within="1e-6",
        tests=("guarantees/test_burns.py::test_what_is_told_of_every_slice_is_told_of_the_last",),
    ),
    Row(
        method="discoveries of a search",
        functions=(),
        oracle="ville's and online-fdr's e-BH; a published example, and the definition by enumeration for the closed "
        "form",
        within="the same sets",
        tests=(
            f"{HERE}::test_e_bh_rejects_what_two_others_reject",
            "judge/search/test_discovery.py::test_the_published_example",
        ),
    ),
    Row(
        method="sizes of drift",
        functions=(),
        oracle="SciPy's Kolmogorov–Smirnov, Wasserstein and Jensen–Shannon",
        within="1e-9",
        tests=(
            "judge/drift/test_effects.py::test_distances_of_numbers_are_scipys",
            "judge/drift/test_effects.py::test_divergence_is_scipys",
        ),
    ),
    Row(
        method="risk of ruin",
        functions=(),
        oracle="three published values",
        within="5 digits",
        tests=("judge/decide/test_ruin.py::test_the_published_values",),
    ),
)


def page() -> str:
    """The table as Markdown."""
    lines = [
        "# Methods and their oracles",
        "",
        "Every method is held against an implementation that somebody else wrote, a published number, or, where",
        "neither exists, against its definition written out slowly. This page is written by",
        "`python -m judge.infer.oracles` in `tests/`; a test fails when it is stale or a method has no row.",
        "",
        "| method | held against | within | test |",
        "| --- | --- | --- | --- |",
    ]
    for row in ROWS:
        tests = "<br>".join(f"`{place.partition('::')[2]}`" for place in row.tests)
        lines.append(f"| {row.method} | {row.oracle} | {row.within} | {tests} |")
    lines += [
        "",
        "Not used: gbstats (needs NumPy below 2), savvi (needs a solver for convex programmes) and confseq (does not",
        "build on Python 3.11): their published values stand in for them.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
