"""An assistant that other assistants ask."""

from .llm_chat import LLMChat


class SubAssistantLLMChat(LLMChat):
    """Specialised assistant over a chat model; its answer goes to the assistant that asked.

    It keeps a conversation of its own with every user and does not see the one above it.
    """
