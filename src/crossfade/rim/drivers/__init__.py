"""Routers that carry the traffic where Crossfade's own gateway does not: Crossfade decides, they serve."""
