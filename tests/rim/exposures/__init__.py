"""Exposures that others tell of."""
