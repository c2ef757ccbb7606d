"""Moments in, evidence out: anytime-valid inference, one file a sample shape."""
