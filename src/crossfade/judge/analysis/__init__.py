"""The judge for experiments that ran elsewhere: tables of units or of totals in, the lines of a live rollout out."""
