"""Assistants, their tools, the links between them, and the provider-side threads of users.

Deleting: an assistant takes its own links and threads along; while a tool or a link leads to it, the
database refuses. A tool takes its links along.
"""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, Index, String, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from service_kit.contracts.assistants import AssistantType

from .base import TIMESTAMP, BaseModel, by_default, not_empty

TOOL_LEADS_SOMEWHERE = "sub_assistant_has_assistant"
MADE_BY_DATABASE = {"server_default": text("gen_random_uuid()")}


class Assistant(BaseModel, table=True):
    """One assistant: who it is, which model answers for it."""

    __tablename__ = "assistants"
    __table_args__ = (
        UniqueConstraint("name"),
        Index(None, "created_at", "id"),
        Index("ix_assistants_is_secretary", "is_secretary", postgresql_where=text("is_secretary")),
        not_empty("name"),
        not_empty("model"),
        not_empty("instructions"),
        CheckConstraint("jsonb_typeof(settings) = 'object'", name="settings_object"),
        CheckConstraint("NOT is_default OR (is_secretary AND is_active)", name="default_answers"),
        Index("uq_assistants_one_default", "is_default", unique=True, postgresql_where=text("is_default")),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True, sa_column_kwargs=MADE_BY_DATABASE)
    name: str = Field(sa_type=String(128))
    is_secretary: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    is_default: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    model: str = Field(sa_type=String(128))
    instructions: str = Field(sa_type=Text)
    assistant_type: str = Field(
        default=AssistantType.LLM, sa_type=String(32), sa_column_kwargs=by_default(AssistantType.LLM.value)
    )
    openai_assistant_id: str | None = Field(default=None, sa_type=String(128))
    settings: dict[str, Any] = Field(
        default_factory=dict,
        sa_type=JSONB,
        nullable=False,
        sa_column_kwargs={"server_default": text("'{}'::jsonb")},
    )
    is_active: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})


class Tool(BaseModel, table=True):
    """One tool as the model sees it; `tool_type` says which implementation runs."""

    __tablename__ = "tools"
    __table_args__ = (
        UniqueConstraint("name"),
        Index(None, "assistant_id"),
        CheckConstraint("name ~ '^[a-zA-Z0-9_-]{1,64}$'", name="name_callable"),
        not_empty("description"),
        CheckConstraint(
            "(tool_type = 'sub_assistant') = (assistant_id IS NOT NULL)", name=TOOL_LEADS_SOMEWHERE
        ),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True, sa_column_kwargs=MADE_BY_DATABASE)
    name: str = Field(sa_type=String(64))
    tool_type: str = Field(sa_type=String(32))
    description: str = Field(sa_type=Text)
    input_schema: str | None = Field(default=None, sa_type=Text)
    assistant_id: UUID | None = Field(default=None, foreign_key="assistants.id")
    is_active: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})


class AssistantToolLink(BaseModel, table=True):
    """An assistant may use a tool; `sub_assistant_id` overrides whom a `sub_assistant` tool asks."""

    __tablename__ = "assistant_tool_links"
    __table_args__ = (
        UniqueConstraint("assistant_id", "tool_id"),
        Index(None, "tool_id"),
        Index(None, "sub_assistant_id"),
        Index(None, "created_at", "id"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True, sa_column_kwargs=MADE_BY_DATABASE)
    assistant_id: UUID = Field(foreign_key="assistants.id", ondelete="CASCADE")
    tool_id: UUID = Field(foreign_key="tools.id", ondelete="CASCADE")
    sub_assistant_id: UUID | None = Field(default=None, foreign_key="assistants.id")
    is_active: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})


class UserAssistantThread(BaseModel, table=True):
    """The conversation at the provider of one user with one assistant."""

    __tablename__ = "user_assistant_threads"
    __table_args__ = (
        UniqueConstraint("user_id", "assistant_id"),
        Index(None, "assistant_id"),
        Index(None, "created_at", "id"),
        Index(None, "thread_id"),
        not_empty("thread_id"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True, sa_column_kwargs=MADE_BY_DATABASE)
    user_id: int = Field(foreign_key="telegram_users.id", ondelete="CASCADE")
    assistant_id: UUID = Field(foreign_key="assistants.id", ondelete="CASCADE")
    thread_id: str = Field(sa_type=String(256))
    last_used: datetime | None = Field(default=None, sa_type=TIMESTAMP)
