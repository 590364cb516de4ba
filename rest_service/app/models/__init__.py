"""The tables. Importing this package makes all of them known to `metadata`."""

from .assistant import Assistant, AssistantToolLink, Tool, UserAssistantThread
from .base import BaseModel, table
from .bot import TelegramBot
from .calendar import CalendarCredentials
from .cron import CronJob, CronJobRecord
from .discard import Discard
from .usage import UsageRecord
from .user import TelegramUser

metadata = BaseModel.metadata

assistants = table(Assistant)
tools = table(Tool)
links = table(AssistantToolLink)
threads = table(UserAssistantThread)
bots = table(TelegramBot)
users = table(TelegramUser)
calendar_credentials = table(CalendarCredentials)
cron_jobs = table(CronJob)
firings = table(CronJobRecord)
usage_records = table(UsageRecord)
discards = table(Discard)

__all__ = [
    "Assistant",
    "AssistantToolLink",
    "BaseModel",
    "CalendarCredentials",
    "CronJob",
    "CronJobRecord",
    "Discard",
    "TelegramBot",
    "TelegramUser",
    "Tool",
    "UsageRecord",
    "UserAssistantThread",
    "assistants",
    "bots",
    "calendar_credentials",
    "cron_jobs",
    "discards",
    "firings",
    "links",
    "metadata",
    "threads",
    "tools",
    "usage_records",
    "users",
]
