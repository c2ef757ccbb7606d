"""Tests of crossfade.rim.searching."""
