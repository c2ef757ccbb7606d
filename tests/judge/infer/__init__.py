"""Tests of crossfade.judge.infer."""
