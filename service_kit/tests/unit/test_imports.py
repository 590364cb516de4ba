"""What an image's build imports to see that nothing is missing."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service_kit import imports


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "imported_by_a_test"
    for path in (folder, folder / "inner", folder / "tests"):
        path.mkdir()
        (path / "__init__.py").touch()
    (folder / "tests" / "broken.py").write_text("import a_tool_of_the_developers")
    (folder / "inner" / "module.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def test_every_module_but_the_tests_is_found(package: Path):
    assert imports.list_modules(package.name) == [
        "imported_by_a_test",
        "imported_by_a_test.inner",
        "imported_by_a_test.inner.module",
    ]


def test_a_missing_dependency_ends_the_program(package: Path):
    (package / "inner" / "module.py").write_text("import a_library_nobody_locked")
    with pytest.raises(ModuleNotFoundError, match="a_library_nobody_locked"):
        imports.main([package.name])
