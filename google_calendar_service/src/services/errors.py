"""What this service itself can refuse.

CalendarError
└── NotConfiguredError    no OAuth client: the operator must act
"""


class CalendarError(Exception):
    """Root of this service's errors."""


class NotConfiguredError(CalendarError):
    """GOOGLE_CLIENT_ID or GOOGLE_CLIENT_SECRET is not set."""

    def __init__(self) -> None:
        super().__init__(
            "Google Calendar is not set up: put GOOGLE_CLIENT_ID and GOOGLE_CLIENT_SECRET of an OAuth client "
            "of type 'Web application' into .env and restart google_calendar_service."
        )
