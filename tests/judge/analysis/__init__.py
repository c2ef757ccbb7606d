"""Mirrors src/crossfade/judge/analysis."""
