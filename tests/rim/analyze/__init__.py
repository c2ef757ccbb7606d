"""Tests of crossfade.rim.analyze."""
