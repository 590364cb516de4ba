"""Which providers of models the assistant service knows: it says so in Redis, rest_service warns by it."""

from pydantic import BaseModel, ConfigDict

MODEL_PROVIDERS_KEY = "model_providers"
"""A string in Redis: `ModelProviders` as JSON, written by each assistant service when it starts."""

DEFAULT_MODEL = "default"
"""The model's name that stands for the operator's default model."""


class ModelProviders(BaseModel):
    """The providers by name, and what a model's name means among them. Holds no key and no address."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    default: str
    """The provider that a bare model name means."""
    default_model: str
    """What `default` stands for."""
    usable: tuple[str, ...]
    lacking: dict[str, str] = {}
    """The known ones that cannot be used, with what the operator must do, such as `set GROQ_API_KEY`."""

    def parts(self, name: str) -> tuple[str, str]:
        """Provider and the provider's own name of the model; only the first slash parts."""
        wanted = self.default_model if name == DEFAULT_MODEL else name
        provider, slash, model = wanted.partition("/")
        return (provider, model) if slash else (self.default, wanted)

    def complaint(self, name: str) -> str | None:
        """Why nobody can answer as the model of this name; None where somebody may."""
        provider, model = self.parts(name)
        if provider in self.usable and model:
            return None
        wanted = self.default_model if name == DEFAULT_MODEL else name
        if not model:
            return f"model {wanted!r} names no model"
        if provider in self.lacking:
            return f"model {wanted!r}: provider {provider!r} is not set up: {self.lacking[provider]}"
        return (
            f"model {wanted!r}: there is no provider {provider!r}; known: {', '.join(sorted(self.usable))}. "
            f"A model of {self.default!r} with a slash in its name is written '{self.default}/{wanted}'"
        )
