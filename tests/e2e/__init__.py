"""Whole runs: a real Prefect server, real HTTP, a real database, against the simulated shop."""
