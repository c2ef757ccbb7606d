"""Exposures that others tell us of: routers by their access logs, serving platforms by their events."""
