"""What holds for every test: a busy machine is not a broken promise, so properties carry no deadline."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("crossfade", deadline=None)
settings.load_profile("crossfade")
