"""Tests of `crossfade.cli`."""
