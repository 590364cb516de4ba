"""Queries. One class a table; each takes the request's `UnitOfWork` and answers contract models."""
