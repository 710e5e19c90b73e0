"""The page on doors names every dialect, option and conversion there is; its examples are a config that is read."""

from pathlib import Path

import pytest

from syncagent.compose import read
from syncagent.connectors.mapping import Field, Table
from syncagent.connectors.webhook import Options
from tests.story.theatre import CONFIG

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "doors.md").read_text()


@pytest.mark.parametrize("name", [*Table.__struct_fields__, *Field.__struct_fields__])
def test_the_page_names_every_key_of_the_mapping(name: str) -> None:
    assert f"`{name}`" in PAGE or f"...{name}" in PAGE


@pytest.mark.parametrize("name", sorted(set(Options.__struct_fields__) - {"timezone", "poll"}))
def test_the_page_names_every_option(name: str) -> None:
    assert f"`{name}`" in PAGE or f"## The {name}" in PAGE


def test_the_page_names_every_dialect() -> None:
    for dialect in ("cloudevents", "github", "json", "mautic", "segment", "standard"):
        assert f"| `{dialect}` |" in PAGE


def test_the_examples_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBSITE_HOOK_SECRET", "a-token")
    monkeypatch.setenv("PHONE_HOOK_SECRET", "another")
    doors = (DOCS / "doors.toml").read_text()
    (tmp_path / "config.toml").write_text(CONFIG.replace("[crm]\n", f"{doors}\n[crm]\n", 1))
    assert [source.name for source in read(tmp_path / "config.toml").sources] == [
        "web",
        "website",
        "phone",
        "fair",
        "linkedin",
    ]
