"""The config as it is shown: whole, and without anything that opens a door."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncagent.config import PagesTable, parse
from syncagent.config.masked import HIDDEN, masked_toml
from tests.unit.test_config import EXAMPLE, SMALL, problems_of


def test_the_example_is_shown_as_it_is():
    raw = parse(EXAMPLE.read_text(), EXAMPLE.parent).raw
    assert tomllib.loads(masked_toml(raw)) == raw


@pytest.mark.parametrize(
    "raw",
    [
        {"sources": {"x": {"secret": {"env": "s3cr3t-itself"}}}},
        {"sources": {"x": {"secrets": [{"env": "s3cr3t!"}, {"command": ["pass", "s3cr3t"]}]}}},
        {"sources": {"x": {"client_secret": "s3cr3t"}}},
        {"sources": {"x": {"api_key": "s3cr3t", "apikey": "s3cr3t", "passwd": "s3cr3t"}}},
        {"sources": {"x": {"base_url": "https://user:s3cr3t@example.com/a"}}},
        {"sources": {"x": {"base_url": "https://example.com/a?token=s3cr3t"}}},
        {"sources": {"x": {"base_url": "https://example.com/a#s3cr3t"}}},
        {"sources": {"x": {"deep": [{"er": {"token": ["s3cr3t"]}}]}}},
        {"pages": {"token": "s3cr3t"}},
        {"alerts": {"sinks": {"m": {"password": {"command": "s3cr3t"}}}}},
    ],
)
def test_no_secret_is_shown(raw):
    text = masked_toml(raw)
    assert "s3cr3t" not in text
    assert HIDDEN in text
    tomllib.loads(text)


def test_where_a_secret_is_kept_is_shown():
    raw = {"crm": {"a": {"env": "SF_KEY"}, "b": {"file": "/run/secrets/x"}, "c": {"command": ["pass", "more"]}}}
    assert tomllib.loads(masked_toml(raw)) == {
        "crm": {"a": {"env": "SF_KEY"}, "b": {"file": "/run/secrets/x"}, "c": {"command": ["pass", HIDDEN]}}
    }


VALUES = st.none().flatmap(lambda _: st.text(max_size=8) | st.booleans() | st.integers(-99, 99))
KEYS = st.text(min_size=1, max_size=6)


@given(
    st.dictionaries(KEYS, st.recursive(VALUES, lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8))
)
def test_whatever_stands_in_a_config_is_shown_as_toml(raw):
    tables = {name: value for name, value in raw.items() if isinstance(value, dict)}
    tomllib.loads(masked_toml(tables))


class TestPagesTable:
    def test_by_default_the_pages_are_for_this_machine(self):
        assert parse(SMALL).pages == PagesTable()

    def test_all_of_it(self, tmp_path: Path):
        more = """
[pages]
read_only = true
token = { file = "token" }
hosts = ["agent.example.com"]
[pages.proxy]
header = "X-Forwarded-User"
trusted = ["10.0.0.5", "10.1.0.0/16", "::1"]
"""
        pages = parse(SMALL + more, tmp_path).pages
        assert pages.read_only
        assert pages.token is not None
        assert pages.token.file == str(tmp_path / "token")
        assert pages.proxy is not None
        assert pages.proxy.trusted == ("10.0.0.5", "10.1.0.0/16", "::1")

    @pytest.mark.parametrize(
        ("table", "path", "says"),
        [
            ('token = "s3cr3t"', "pages.token", "A secret never stands"),
            ("tokens = 1", "pages.tokens", "token"),
            ('[pages.proxy]\nheader = "X"\ntrusted = []', "pages.proxy.trusted", "anybody"),
            ('[pages.proxy]\nheader = ""\ntrusted = ["10.0.0.1"]', "pages.proxy.header", "header"),
            ('[pages.proxy]\nheader = "X"\ntrusted = ["proxy"]', "pages.proxy.trusted[1]", "neither"),
            ('[pages.proxy]\nheader = "X"', "pages.proxy.trusted", "Name the addresses"),
        ],
    )
    def test_what_is_wrong_is_told_by_its_path(self, table, path, says):
        told = problems_of(f"{SMALL}\n[pages]\n{table}\n")
        assert says in told[path], told
        assert "s3cr3t" not in str(told)
