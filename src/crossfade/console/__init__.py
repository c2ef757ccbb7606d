"""The control port: outcomes in, rollouts out, a person's moves."""
