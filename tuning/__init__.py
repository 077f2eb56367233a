"""A sweep: Ray Tune runs trials that Optuna proposes; the run directory holds all that happened."""
