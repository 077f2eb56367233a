"""One validated configuration for a tuning job, composed from YAML groups and overrides."""
