"""The shapes that cross a process border: queue messages and REST bodies.

The pure layer: it imports nothing but pydantic, so that producer and consumer, server and client
parse the same classes and nothing else comes along.
"""
