"""What the Swagger page shows of every field and parameter."""

import pytest

from rest_service.app.main import create_app
from rest_service.app.models import metadata
from rest_service.tests.support import make_settings
from service_kit.contracts.assistants import AssistantToolUpdate, AssistantUpdate
from service_kit.contracts.cron import CronJobUpdate
from service_kit.contracts.threads import UserThreadUpdate
from service_kit.contracts.tools import ToolUpdate
from service_kit.contracts.users import UserUpdate


@pytest.fixture(scope="module")
def document():
    return create_app(make_settings("postgresql://nobody@127.0.0.1:1/nothing")).openapi()


def test_every_field_is_described_and_has_an_example(document):
    bare = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, kind in schema.get("properties", {}).items()
        if "description" not in kind or not ("examples" in kind or "$ref" in str(kind))
    ]
    assert bare == []


def test_every_parameter_is_described(document):
    for path, operations in document["paths"].items():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                assert parameter["description"], (path, parameter["name"])


@pytest.mark.parametrize(
    ("patch", "table"),
    [
        (AssistantUpdate, "assistants"),
        (AssistantToolUpdate, "assistant_tool_links"),
        (CronJobUpdate, "cron_jobs"),
        (ToolUpdate, "tools"),
        (UserThreadUpdate, "user_assistant_threads"),
        (UserUpdate, "telegram_users"),
    ],
)
def test_null_is_taken_where_the_column_can_be_empty(patch, table):
    nullable = {c.name for c in metadata.tables[table].columns if c.nullable}
    assert patch.clearable == nullable & patch.model_fields.keys()
