"""Searching the facts for groups that come to harm: reading them, looking now and then, and keeping what was found."""
