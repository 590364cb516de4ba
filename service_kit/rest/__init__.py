"""Typed access to rest_service: `endpoints` says what can be asked, `client` asks it."""
