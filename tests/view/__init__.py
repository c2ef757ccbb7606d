"""Tests of `crossfade.view`."""
