"""Queries. One class a table; each takes the request's `Unit` and answers contract models."""
