"""Drivers, each against the real router that it drives."""
