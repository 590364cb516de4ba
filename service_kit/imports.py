"""`python -m service_kit.imports PACKAGE…`: import every module of the packages, tests excepted.

An image's build runs it with nothing installed but what the service's own `requirements.txt` locks, so
that a dependency which only the developers' environment has, a setting read or a connection made while
importing fails the build and not the first start.
"""

import importlib
import pkgutil
import sys

FOR_TESTS = {"tests", "testing"}
"""Folders that may need the developers' tools."""


def list_modules(package: str) -> list[str]:
    """The names of `package` and of all modules below it but those for tests."""
    paths = importlib.import_module(package).__path__
    found = [module.name for module in pkgutil.walk_packages(paths, f"{package}.")]
    return [package, *(name for name in found if FOR_TESTS.isdisjoint(name.split(".")))]


def main(packages: list[str]) -> None:
    """Import all; the first that fails ends the program with its traceback."""
    names = [name for package in packages for name in list_modules(package)]
    for name in names:
        importlib.import_module(name)
    print(f"{len(names)} modules imported")  # noqa: T201 - a program's output


if __name__ == "__main__":
    main(sys.argv[1:])
