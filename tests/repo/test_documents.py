"""The documents are true: links lead somewhere, every decision is indexed, every setting is documented."""

import importlib
import re
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from ops.services import SERVICES, SET_FOR_EACH_PROCESS

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    p for p in ROOT.rglob("*.md") if not any(part.startswith(".") for part in p.relative_to(ROOT).parts)
)
SETTINGS = {name: service.settings for name, service in SERVICES.items() if service.settings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path):
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    missing = [t for t in targets if not re.match(r"[a-z]+:", t) and not (document.parent / t).exists()]
    assert not missing


def test_every_decision_is_in_the_index():
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text()
    assert [page.name for page in sorted(folder.glob("0*.md")) if page.name not in index] == []


def documented() -> set[str]:
    return set(re.findall(r"^#?\s?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


@pytest.mark.parametrize("service", SETTINGS)
def test_every_setting_is_in_the_example(service: str):
    settings = importlib.import_module(SETTINGS[service]).Settings
    assert issubclass(settings, BaseSettings)
    names = {(field.validation_alias or name) for name, field in settings.model_fields.items()}
    assert {str(name).upper() for name in names} - {*SET_FOR_EACH_PROCESS} - documented() == set()


def test_every_setting_has_a_comment():
    lines = (ROOT / ".env.example").read_text().splitlines()
    bare = []
    for number, line in enumerate(lines):
        if re.match(r"#?\s?[A-Z][A-Z0-9_]+=", line):
            above = next(
                (s for s in reversed(lines[:number]) if not re.match(r"#?\s?[A-Z][A-Z0-9_]+=", s)), ""
            )
            if not above.startswith("# "):
                bare.append(line)
    assert bare == []


@pytest.mark.parametrize("folder", [*SETTINGS, "ops"])
def test_locked_requirements_have_hashes_and_no_addresses(folder: str):
    text = (ROOT / folder / "requirements.txt").read_text()
    assert "--hash=sha256:" in text
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)
