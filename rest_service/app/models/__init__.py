"""The tables. Importing this package makes all of them known to `metadata`."""

from .assistant import Assistant, AssistantToolLink, Tool, UserAssistantThread
from .base import BaseModel, table
from .calendar import CalendarCredentials
from .cron import CronJob, CronJobRecord
from .user import TelegramUser

metadata = BaseModel.metadata

assistants = table(Assistant)
tools = table(Tool)
links = table(AssistantToolLink)
threads = table(UserAssistantThread)
users = table(TelegramUser)
calendar_credentials = table(CalendarCredentials)
cron_jobs = table(CronJob)
cron_job_records = table(CronJobRecord)

__all__ = [
    "Assistant",
    "AssistantToolLink",
    "BaseModel",
    "CalendarCredentials",
    "CronJob",
    "CronJobRecord",
    "TelegramUser",
    "Tool",
    "UserAssistantThread",
    "assistants",
    "calendar_credentials",
    "cron_job_records",
    "cron_jobs",
    "links",
    "metadata",
    "threads",
    "tools",
    "users",
]
