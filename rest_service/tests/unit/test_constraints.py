from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint

from rest_service.app.errors.constraints import RULES
from rest_service.app.models import metadata


def test_every_constraint_has_its_sentence_and_none_is_left_over():
    named = {
        str(constraint.name)
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint | ForeignKeyConstraint | UniqueConstraint)
    }
    named |= {str(i.name) for table in metadata.tables.values() for i in table.indexes if i.unique}
    assert named == set(RULES)


def test_every_field_named_is_a_column():
    for name, rule in RULES.items():
        table = max((t for t in metadata.tables if f"_{t}_" in name), key=len)
        assert rule.field is not None
        assert rule.field in metadata.tables[table].columns
