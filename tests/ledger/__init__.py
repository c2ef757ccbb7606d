"""The two chains."""
