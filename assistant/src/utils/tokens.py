"""A size for texts before a provider has counted them.

UTF-8 bytes divided by 4: about right for English (4 letters a token), on the safe side for Russian
(2 letters a token counted, 2.5 to 3 measured with today's vocabularies) and for Chinese. Exact counts
differ from model to model and would need each one's vocabulary; a budget does not need them.
"""

MESSAGE_OVERHEAD = 4
"""Tokens that a message costs besides its text."""


def estimate_tokens(text: str) -> int:
    """Roughly how many tokens `text` is; never less than 1."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return size // 4 + 1
