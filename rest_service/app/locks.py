"""Numbers of PostgreSQL's advisory locks that this service takes; they must differ."""

SCHEMA = 7_301_000
"""Migrations and default rows: one process at a time."""
ASSISTANT_GRAPH = 7_301_001
"""Which assistant asks which: one change at a time."""
SECRETARIES = 7_301_002
"""Which secretary is the default: one change at a time."""
BOTS = 7_301_003
"""The current bot: one change at a time."""
