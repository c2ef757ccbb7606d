"""What was asked: the rollout a person wrote down, parsed once and never edited in place."""
