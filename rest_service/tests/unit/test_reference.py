"""The page in docs/ and the examples in the document hold what the code says."""

import pytest

from rest_service.app.models import metadata
from rest_service.app.reference import PAGE, application, page
from service_kit.contracts.assistants import AssistantToolUpdate, AssistantUpdate, ToolUpdate
from service_kit.contracts.cron import CronJobUpdate
from service_kit.contracts.threads import UserThreadUpdate
from service_kit.contracts.users import UserUpdate


@pytest.fixture(scope="module")
def document():
    return application().openapi()


def test_the_page_is_the_one_made_from_the_routes(document):
    assert PAGE.read_text() == page(document), "make it anew: python -m rest_service.app.reference"


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
