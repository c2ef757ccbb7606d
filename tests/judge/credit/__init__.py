"""Tests of crossfade.judge.credit."""
