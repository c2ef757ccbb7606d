"""The asymptotic confidence sequence's boundary: how far a mean may wander under the null, at every time at once.

After Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, *Time-uniform central limit theory* (2024).
"""

from __future__ import annotations

import math

import numpy as np

from crossfade.judge.moments import Floats

TARGET_UNITS = 5000.0
"""The effective number of units at which the interval is tuned to be tightest."""


def rho_squared(alpha: float, target: float = TARGET_UNITS) -> float:
    """The tuning that makes the boundary tightest at `target` units."""
    spent = -2.0 * math.log(alpha)
    return (spent + math.log1p(spent)) / target


def radius(n: float, alpha: float, *, two_sided: bool, tuned_alpha: float | None = None) -> float:
    """Half-width, in standard deviations of one unit, after `n` units."""
    rho2 = rho_squared(tuned_alpha if tuned_alpha is not None else alpha)
    scale = n * rho2 + 1.0
    spent = math.log(math.sqrt(scale) / alpha) if two_sided else math.log1p(math.sqrt(scale) / (2.0 * alpha))
    return math.sqrt(2.0 * scale / (n * n * rho2) * spent)


def one_sided_log_e(z: float, n: float, alpha: float) -> float:
    """The log e-value of a standardised difference `z` after `n` effective units.

    It is the inverse of `radius`: it reaches log(1/alpha) exactly where z / √n reaches the one-sided radius.
    """
    return float(one_sided_log_es(np.array([z]), np.array([n]), np.array([alpha]))[0])


def one_sided_radii(n: Floats, alpha: Floats) -> Floats:
    """`radius` of many at once, one-sided."""
    rho2 = _rho_squared(alpha)
    scale = n * rho2 + 1.0
    return np.asarray(np.sqrt(2.0 * scale / (n * n * rho2) * np.log1p(np.sqrt(scale) / (2.0 * alpha))))


def one_sided_log_es(z: Floats, n: Floats, alpha: Floats) -> Floats:
    """`one_sided_log_e` of many at once."""
    rho2 = _rho_squared(alpha)
    scale = n * rho2 + 1.0
    exponent = z * z * n * rho2 / (2.0 * scale)
    with np.errstate(divide="ignore"):
        grown = np.where(exponent > 30.0, exponent, np.log(np.expm1(np.minimum(exponent, 30.0))))
    return np.where(z > 0.0, math.log(2.0) - 0.5 * np.log(scale) + grown, -np.inf)


def _rho_squared(alpha: Floats) -> Floats:
    spent = -2.0 * np.log(alpha)
    return np.asarray((spent + np.log1p(spent)) / TARGET_UNITS)
