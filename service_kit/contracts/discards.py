"""What was deleted here and is still kept elsewhere (`/api/discards`).

A row is made by the database itself when a provider-side thread's row goes or changes its thread, or a
user is deleted, whoever did it and however. assistant reads the rows, tells the provider (or forgets
the conversation it keeps), and deletes them.
"""

from pydantic import Field

from service_kit.contracts.base import Choice, Resource


class DiscardKind(Choice):
    """What `reference` names."""

    THREAD = "thread"
    """A conversation kept at a provider: its thread_id."""
    USER = "user"
    """A user who is no more: their former id."""


class DiscardRead(Resource):
    """One thing to forget."""

    id: int = Field(description="The number of the row.", examples=[1])
    # not the enum: an older reader skips a kind it does not know
    kind: str = Field(description="`thread` or `user`.", examples=["thread"])
    reference: str = Field(description="The thread's id, or the user's.", examples=["conv_abc"])
