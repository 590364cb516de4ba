"""The suite as processes, for the end-to-end tests and the load scripts."""
