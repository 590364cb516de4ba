"""The assistant that users talk to."""

from .llm_chat import LLMChat


class SecretaryLLMChat(LLMChat):
    """Main assistant over a chat model; its answer goes to the user."""
