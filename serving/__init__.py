"""The endpoint: Ray Serve replicas that load a registered bundle and answer over HTTP."""
