"""Tests of `crossfade.console`."""
