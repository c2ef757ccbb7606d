"""Routers that carry the traffic where the gateway does not; the first driver is our own gateway's route table."""
