"""Tests of `crossfade.spec`."""
