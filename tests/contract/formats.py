"""For schemathesis: texts of the formats that the document names and JSON Schema does not know."""

import json
from datetime import MAXYEAR, MINYEAR, UTC, datetime

import schemathesis
from hypothesis import strategies as st

from service_kit.contracts.base import zone_names
from service_kit.contracts.tools import ToolType


def _field(low: int, high: int) -> st.SearchStrategy[str]:
    numbers = st.integers(low, high)
    ranges = st.tuples(numbers, numbers).map(sorted).map(lambda pair: f"{pair[0]}-{pair[1]}")
    steps = st.integers(1, high).map(lambda step: f"*/{step}")
    return st.just("*") | numbers.map(str) | ranges | steps


CRON = st.tuples(_field(0, 59), _field(0, 23), _field(1, 28), _field(1, 12), _field(0, 6)).map(" ".join)
PROPERTY = st.sampled_from([{"type": "string"}, {"type": "integer", "minimum": 0}, {"enum": ["a", "b"]}])
SCHEMA = st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), PROPERTY, max_size=3).map(
    lambda properties: json.dumps({"type": "object", "properties": properties})
)

MOMENT = st.datetimes(
    datetime(MINYEAR + 1, 1, 1),  # noqa: DTZ001 - hypothesis wants them so
    datetime(MAXYEAR - 1, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
).map(datetime.isoformat)

schemathesis.openapi.format("date-time", MOMENT)
schemathesis.openapi.format("iana-time-zone", st.sampled_from(sorted(zone_names())))
schemathesis.openapi.format("cron", CRON)
schemathesis.openapi.format("tool-type", st.sampled_from([kind.value for kind in ToolType]))
schemathesis.openapi.format("json-schema", SCHEMA)
