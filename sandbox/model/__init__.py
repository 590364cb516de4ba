"""The scripted model: a pure function of messages and tools, in English and Russian."""
