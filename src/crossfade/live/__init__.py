"""The request path: pure and without numerics. Routes, assignment, comparison, interleaving, exchange."""
