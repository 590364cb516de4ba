"""What all `openai_api` assistants share: the protocol that is spoken, the provider, the threads.

The protocols are spoken with the default provider alone (`OPENAI_BASE_URL`), for no other one keeps
conversations. A model of another provider answers over Chat Completions, from the history kept here; so
does the default provider where it turns out not to speak the protocol.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..core.errors import UnknownProviderError
from ..core.model import ModelBackend
from ..core.providers.provider import Provider
from ..core.responses import backend as responses
from ..core.responses import conversations
from ..core.responses.conversations import ConversationsBackend
from ..core.routing.responses_or_chat import ResponsesOrChat
from ..core.routing.retry import Retrying
from ..core.routing.router import ModelCooldowns, ModelResolver
from ..core.routing.tool_mode_backend import ToolModeBackend
from ..core.thread_backend import Identity, OpenAIProtocol, ThreadBackend
from ..core.threads import backend as runs
from ..core.threads.backend import RunsBackend
from ..core.threads.remote_assistants import RemoteAssistants
from ..core.threads.request import BETA
from ..core.tool_mode import ToolMode
from ..storage.provider_threads import ProviderThreads


@dataclass(frozen=True, slots=True)
class OpenAIServices:
    """Made once, in `main`."""

    protocol: OpenAIProtocol
    provider: Provider | None
    """The default provider; None: it has no key."""
    resolver: ModelResolver
    stateless: ModelBackend
    """Answers without a thread, and in the place of a provider that fails."""
    threads: ProviderThreads
    remote: RemoteAssistants
    retrying: Retrying
    run_timeout: float = 60.0
    """Seconds for a run of the classic protocol, between two rounds of tools."""
    cooldowns: ModelCooldowns = field(default_factory=ModelCooldowns)
    strict: bool = True
    """Whether the provider can hold a model to a tool's schema."""

    def thread_backend(self, provider: str, identity: Identity) -> ThreadBackend | None:
        """Where threads of this assistant are kept when its model is at `provider`; None: nowhere."""
        if self.provider is None or provider != self.provider.name:
            return None
        lacks = self.provider.unsupported_paths
        # asked at every run: a path may turn out to be unsupported at any time
        match self.protocol:
            case OpenAIProtocol.CONVERSATIONS if not lacks & {conversations.PATH, responses.PATH}:
                return ConversationsBackend(self.provider, strict=self.strict)
            case OpenAIProtocol.THREADS if runs.PATH not in lacks:
                return RunsBackend(self.provider, self.remote, identity, run_timeout=self.run_timeout)
            case _:
                return None

    def takes_no_tools(self, model: str) -> bool:
        """Whether this model of the default provider refused them a while ago."""
        return self.provider is not None and self.provider.tool_modes.of(model) is ToolMode.OMITTED

    async def delete_thread(self, thread_id: str) -> None:
        """Delete a thread at the provider, of whatever protocol it is.

        Raises:
            ModelError: the provider did not do it.
            UnknownProviderError: it has no key.
        """
        if self.provider is None:
            raise UnknownProviderError("the default provider is not set up")
        # the protocol may have been changed in the settings since the thread was made
        is_classic = thread_id.startswith(runs.PREFIX) or (
            self.protocol is OpenAIProtocol.THREADS and not thread_id.startswith(conversations.PREFIX)
        )
        if is_classic:
            await self.provider.delete(runs.PATH, thread_id, headers=BETA)
        else:
            await self.provider.delete(conversations.PATH, thread_id)


def stateless_backends(
    others: Mapping[str, ModelBackend], protocol: OpenAIProtocol, provider: Provider | None, *, strict: bool
) -> Mapping[str, ModelBackend]:
    """The backends by provider for answers without a thread: `others`, but Responses where it is spoken.

    `others` speak Chat Completions, that of `provider` among them.
    """
    if provider is None or protocol is OpenAIProtocol.THREADS:
        return others
    responses_or_chat = ResponsesOrChat(provider, others[provider.name], strict=strict)
    return {**others, provider.name: ToolModeBackend(provider, responses_or_chat)}
