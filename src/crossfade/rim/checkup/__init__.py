"""Whether a machine, a data folder and the models of a spec are fit for a rollout, found out before users are."""
