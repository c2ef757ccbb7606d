"""Tests of `crossfade.client`."""
