"""The migration is left out only where it is known to change nothing."""

from pathlib import Path

import pytest

from ops import embedded
from ops.local_layout import Layout
from ops.local_migration import MigrationNote
from ops.project import Project


@pytest.fixture
def layout(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    monkeypatch.setattr(embedded, "server_account", lambda: None)
    (tmp_path / "rest_service" / "alembic" / "versions").mkdir(parents=True)
    layout = Layout(project)
    layout.make()
    data = project.local / "data" / "postgres"
    data.mkdir()
    (data / "initialised").touch()
    MigrationNote(layout).write()
    return layout


def test_where_nothing_has_changed_nothing_is_migrated(layout: Layout):
    assert MigrationNote(layout).is_current()


def test_a_new_migration_is_applied(layout: Layout):
    (layout.project.root / "rest_service" / "alembic" / "versions" / "0002.py").write_text("new")
    assert not MigrationNote(layout).is_current()


def test_another_database_is_migrated(layout: Layout):
    other = Project(layout.project.root, {**layout.project.values, "POSTGRES_DB": "other"})
    assert not MigrationNote(Layout(other)).is_current()


def test_a_database_made_anew_is_migrated(layout: Layout):
    mark = layout.project.local / "data" / "postgres" / "initialised"
    mark.rename(mark.with_name("old"))
    mark.touch()
    assert not MigrationNote(layout).is_current()


def test_after_a_failed_start_the_database_is_migrated(layout: Layout):
    MigrationNote(layout).forget()
    MigrationNote(layout).forget()
    assert not MigrationNote(layout).is_current()
