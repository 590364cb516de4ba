"""The database's constraints in words: what a violation is answered with.

A test holds this table against the models, so that a new constraint without a sentence fails.
"""

from dataclasses import dataclass

from .api import ApiError, ConflictError, InvalidError

_ASSISTANT_GONE = "There is no assistant with this id. Take one from GET /api/assistants."
_USER_GONE = "There is no user with this id. Take one from GET /api/users."


@dataclass(frozen=True, slots=True)
class Rule:
    """How the violation of one constraint is answered."""

    error: type[ApiError]
    message: str
    field: str | None = None

    def to_error(self) -> ApiError:
        """The error to answer with."""
        return self.error(self.message, field=self.field)


def _missing(field: str, message: str) -> Rule:
    return Rule(InvalidError, message, field)


def _empty(field: str) -> Rule:
    return Rule(InvalidError, f"{field} must not be empty.", field)


def _unknown(field: str) -> Rule:
    return Rule(InvalidError, f"{field} is not one of the known values.", field)


RULES: dict[str, Rule] = {
    # assistants
    "uq_assistants_name": Rule(
        ConflictError, "An assistant with this name already exists. Choose another name.", "name"
    ),
    "ck_assistants_name_given": _empty("name"),
    "ck_assistants_model_given": _empty("model"),
    "ck_assistants_instructions_given": _empty("instructions"),
    "ck_assistants_default_answers": Rule(
        InvalidError,
        "Only an active secretary can be the default: send is_secretary and is_active as true along with it.",
        "is_default",
    ),
    "uq_assistants_one_default": Rule(
        ConflictError,
        "Another request has just changed the default secretary. Try again.",
        "is_default",
    ),
    "ck_assistants_settings_object": Rule(InvalidError, "settings must be an object.", "settings"),
    # tools
    "uq_tools_name": Rule(
        ConflictError, "A tool with this name already exists. Choose another name.", "name"
    ),
    "ck_tools_name_callable": Rule(
        InvalidError, "A tool's name has 1 to 64 letters, digits, '_' or '-'.", "name"
    ),
    "ck_tools_description_given": _empty("description"),
    "ck_tools_sub_assistant_has_assistant": Rule(
        InvalidError,
        "A tool of type sub_assistant needs assistant_id (whom it asks); the other types must not have one.",
        "assistant_id",
    ),
    "fk_tools_assistant_id": _missing("assistant_id", _ASSISTANT_GONE),
    # links
    "uq_assistant_tool_links_assistant_id_tool_id": Rule(
        ConflictError, "This assistant already has this tool. Change the existing link.", "tool_id"
    ),
    "fk_assistant_tool_links_assistant_id": _missing("assistant_id", _ASSISTANT_GONE),
    "fk_assistant_tool_links_tool_id": _missing(
        "tool_id", "There is no tool with this id. Take one from GET /api/tools."
    ),
    "fk_assistant_tool_links_sub_assistant_id": _missing("sub_assistant_id", _ASSISTANT_GONE),
    # users
    "uq_telegram_users_telegram_id_bot_id": Rule(
        ConflictError,
        "A user with this telegram_id already exists. Read it at /api/users/by-telegram-id/{telegram_id}.",
        "telegram_id",
    ),
    "uq_telegram_users_one_owner": Rule(
        ConflictError, "An owner already exists, and there can be only one.", "role"
    ),
    "uq_telegram_bots_one_current": Rule(
        ConflictError, "Another bot has just become the current one. Try again.", "is_current"
    ),
    "ck_telegram_users_role_known": _unknown("role"),
    # threads
    "uq_user_assistant_threads_user_id_assistant_id": Rule(
        ConflictError,
        "This user already has a thread with this assistant. Change that one.",
        "assistant_id",
    ),
    "ck_user_assistant_threads_thread_id_given": _empty("thread_id"),
    "fk_user_assistant_threads_user_id": _missing("user_id", _USER_GONE),
    "fk_user_assistant_threads_assistant_id": _missing("assistant_id", _ASSISTANT_GONE),
    # calendar
    "ck_calendar_credentials_status_known": _unknown("status"),
    "fk_calendar_credentials_user_id": _missing("user_id", _USER_GONE),
    # jobs
    "ck_cron_jobs_one_time": Rule(
        InvalidError,
        "A job has exactly one of cron_expression (recurring) and run_at (once). "
        "To change from one to the other, send the new one and null for the old one.",
        "cron_expression",
    ),
    "ck_cron_jobs_type_known": _unknown("type"),
    "ck_cron_jobs_priority_known": _unknown("priority"),
    "ck_cron_jobs_status_known": _unknown("status"),
    "ck_cron_jobs_name_given": _empty("name"),
    "ck_cron_jobs_message_given": _empty("message"),
    "fk_cron_jobs_user_id": _missing("user_id", _USER_GONE),
    "uq_cron_jobs_user_id_idempotency_key": Rule(
        ConflictError,
        "That user already has a job with this idempotency_key. Delete one of them.",
        "user_id",
    ),
    # firings
    "uq_cron_job_records_cron_job_id_scheduled_for": Rule(
        ConflictError, "This firing is already claimed.", "scheduled_for"
    ),
    "ck_cron_job_records_status_known": _unknown("status"),
    "fk_cron_job_records_cron_job_id": _missing(
        "cron_job_id", "There is no job with this id. Take one from GET /api/cron-jobs."
    ),
    # usage
    "ck_usage_records_kind_known": _unknown("kind"),
    "fk_usage_records_user_id": _missing("user_id", _USER_GONE),
    "fk_usage_records_assistant_id": _missing("assistant_id", _ASSISTANT_GONE),
    # discards
    "ck_discards_kind_known": _unknown("kind"),
}
