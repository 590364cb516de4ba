"""The reliable queue on Redis lists. `base` says what handlers, producers and consumers are."""
