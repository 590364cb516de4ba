"""Limits of our HTTP servers for requests whose sender is not known yet."""

MAX_HEAD = 64 * 1024
"""Bytes of a request's line and headers."""
MAX_BODY = 16 * 1024 * 1024
"""Bytes of a body; most routes accept less."""
RECEIVE_TIMEOUT = 30.0
"""Seconds from a connection, or a request's first byte, to the request's last byte."""
IDLE_TIMEOUT = 60.0
"""Seconds that a connection may wait for its next request."""
MAX_CONNECTIONS = 64
"""Connections that a health server answers at once, each in a thread."""
