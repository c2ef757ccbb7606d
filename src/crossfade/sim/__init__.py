"""Worlds to try a rollout in: bundled models, model servers with faults, named units, late outcomes."""
