"""Tests of crossfade.judge.search."""
