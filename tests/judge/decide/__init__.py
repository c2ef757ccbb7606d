"""Tests of crossfade.judge.decide."""
