from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from cron_service.app.texts import mark_late

DUE = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", "⏰ (late, was due 2026-11-22 09:00 Europe/Berlin)\nVitamins"),
        ("ru-RU", "⏰ (с опозданием, было назначено на 2026-11-22 09:00 Europe/Berlin)\nVitamins"),
        ("de", "⏰ (late, was due 2026-11-22 09:00 Europe/Berlin)\nVitamins"),
        (None, "⏰ (late, was due 2026-11-22 09:00 Europe/Berlin)\nVitamins"),
    ],
)
def test_a_late_message_tells_when_it_was_due_on_the_users_clock(language, expected):
    assert mark_late("Vitamins", DUE, ZoneInfo("Europe/Berlin"), language) == expected
