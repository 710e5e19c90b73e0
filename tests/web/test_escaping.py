"""What people, vendors and the config's authors wrote is text, on every page and in every report.

All routes are walked twice, over a state in which everything that anybody can write wants to be markup: as they are,
and with that markup put behind every text that any template is given, so that nothing rests on a filter alone.
"""

import json
import re
from functools import partial
from html import unescape

import pytest

from syncagent.config import parse
from syncagent.connectors import memory
from syncagent.model import Identity, Refused
from syncagent.reports.catalog import REPORTS, make
from syncagent.reports.formats.page import as_html
from syncagent.reports.report import Ask
from syncagent.reports.standing import REJECTIONS, SILENCE
from syncagent.web import pages, shown, views
from tests.markup import Read, strange
from tests.story.theatre import CONFIG
from tests.web.desk import browsing, story, theatre

OWNED = "\"'><x-owned x-owned onclick=alert(1)><script>alert(1)</script>{{ 7 * 7 }}\u202e]]>"
LONG = f"{OWNED}\x00\x1b[31m\u200b'; drop table person; --{'x' * 3000}"
LINK = "javascript:alert(1)//\"'><x-owned>"
NASTY = CONFIG.replace("\nInbound =", f"\n{json.dumps(OWNED)} =").replace('"Inbound"', json.dumps(OWNED))
for plain in ("Ana Silva", "all", "hour", "Recycled", "flow"):
    NASTY = NASTY.replace(f'"{plain}"', json.dumps(f"{plain} {OWNED}"))
NASTY += f"""
[stages.mql]
owner = {json.dumps(OWNED)}
tell = {json.dumps(f"Ana Silva {OWNED}")}
next = "sal"
"""

WALK = {
    "health": ("/", None),
    "promises": ("/board", None),
    "people": ("/people", None),
    "nobody": ("/people", {"who": OWNED}),
    "several": ("/people", {"who": "7"}),
    "person": ("/people/{number}", None),
    "no person": ("/people/999999", None),
    "parked": ("/outbox", None),
    "nothing chosen": ("/outbox", {"do": "retry"}),
    "give up": ("/outbox", {"do": "drop", "key": "{key}"}),
    "reports": ("/reports", None),
    **{f"report {name}": (f"/reports/{name}", None) for name in REPORTS},
    **{
        f"report {name} cut": (f"/reports/{name}?by={views.cuts(name)[0]}", None)
        for name in REPORTS
        if views.cuts(name)
    },
    "no report": (f"/reports/{OWNED.partition('>')[0]}%3Cx-owned%3E", None),
    "process": ("/process", None),
    "picture": ("/process.svg", None),
    "config": ("/config", None),
    "nowhere": ("/nowhere", None),
    "style": ("/static/pages.css", None),
    "icon": ("/favicon.ico", None),
    "login": ("/login", None),
    "wrong token": ("/login", {"token": OWNED}),
    "broken health": ("/", None),
}
"""Each way to a page: where, and what is sent there."""
ROLES = {
    "table": "table",
    "thead": "rowgroup",
    "tbody": "rowgroup",
    "tr": "row",
    "td": "cell",
    "th": "columnheader rowheader",
}
GUARDED = {"login", "wrong token"}
NO_PAGE = {"icon", "style"}


def walked(play, number, key, poison=None):
    """What every way leads to: status and page."""
    found = {}

    def broken(_at):
        raise ValueError(OWNED)

    with (
        browsing(play) as here,
        browsing(play, reveal=lambda: "token") as guarded,
        browsing(play, health=broken) as ill,
    ):
        here.get("/people"), guarded.get("/login")
        if poison:
            poison()
        for name, (path, form) in WALK.items():
            path = path.replace("{number}", str(number)).replace(" ", "%20")
            browser = guarded if name in GUARDED else ill if name == "broken health" else here
            sent = {field: text.format(key=key) if text == "{key}" else text for field, text in (form or {}).items()}
            found[name] = browser.get(path) if form is None else browser.post(path, sent)
        found["routes"] = {route.path for route in here.listener._pages.app._app.routes}
    return found


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    """A state in which everything that anybody can write wants to be markup."""
    with theatre(tmp_path_factory.mktemp("hostile")) as made, pytest.MonkeyPatch.context() as patch:
        real = memory.Memory.apply

        def refusing(self, batch):
            yield from ((one.key, Refused(OWNED)) for one in batch) if self.name == "crm" else real(self, batch)

        story(made, first_name=LONG, last_name=OWNED, company=LONG, title=f"director {OWNED}", website=LINK)
        made.config = parse(NASTY.replace("[agent]\n", '[agent]\nstate = "state.db"\n'), made.state.parent)
        made.restart()
        for name in ("mia", "cleo"):
            who = Identity("web", "lead", name)
            made.does(who, "page.visited", LINK)
            made.does(who, OWNED, LONG)
        patch.setattr(memory.Memory, "apply", refusing)
        for name in ("7", "ida"):
            made.does(
                made.person(name, first_name=OWNED, title=f"director {OWNED}", website=LINK, **{OWNED: LINK}),
                "form.submitted",
                f"demo-{OWNED}",
            )
        made.lead("7x", last_name=OWNED, company=OWNED, status=OWNED, owner=OWNED)
        made.crm.feed([])
        made.after(minutes=1)
        made.after(minutes=20)
        store = made.agent.store
        for name in (REJECTIONS, SILENCE):
            store.set_meta(name, json.dumps({"x": {"says": OWNED}}))
        until = made.clock.now().replace(year=2027).isoformat()
        store.set_meta("down/crm/writing", json.dumps({"until": until, "why": OWNED, "broken": False}))
        yield made


@pytest.fixture(scope="module")
def walk(play):
    number = play.agent.store.find("mia@example.com")[0]
    key = play.agent.store.outbox(views.STUCK)[0].command.key
    with pytest.MonkeyPatch.context() as patch:
        rendered = set()
        real = pages.render
        patch.setattr(pages, "render", lambda name, values: rendered.add(name) or real(name, values))
        plain = walked(play, number, key)
        owning = shown.environment().overlay(finalize=lambda one: f"{one}{OWNED}" if type(one) is str else one)
        owned = walked(play, number, key, partial(patch.setattr, shown, "environment", lambda: owning))
    return plain, owned, rendered


def test_every_route_and_every_template_is_walked(walk):
    plain, _, rendered = walk
    asked = {path.split("?")[0].replace("{number}", "{number:int}") for path, _ in WALK.values()}
    asked = {re.sub("/reports/.*", "/reports/{name:str}", path) for path in asked}
    assert plain["routes"] - asked == {"/logout"}  # it only leads to the login
    assert set(shown.environment().list_templates()) - rendered == {"base.html", "parts.html"}


@pytest.mark.parametrize("name", WALK)
def test_hostile_text_is_text(walk, name):
    status, page = walk[0][name]
    assert status in (200, 400, 401, 403, 404, 500)
    found = [one for one in strange(page) if name != "picture" or not one.endswith(" style>")]
    assert found == []
    assert not re.search("[\u202e\u200b\x00\x1b]", page)


def test_nothing_of_it_is_lost(walk):
    page = unescape(walk[0]["person"][1])
    for part in ("alert(1)", "{{ 7 * 7 }}", "drop table person", "javascript:alert(1)", "x" * 100):
        assert part in page


@pytest.mark.parametrize("name", [name for name in WALK if name not in NO_PAGE | {"picture"}])
def test_whatever_a_template_is_given_is_text(walk, name):
    page = walk[1][name][1]
    assert page.count("&lt;x-owned") > 1
    assert strange(page) == []


@pytest.mark.parametrize("name", ["health", "promises", "person", "process", "config"])
def test_a_table_that_becomes_cards_on_a_phone_says_that_it_is_a_table(walk, name):
    """Where a table is laid out as something else, some browsers tell whoever hears it of no table."""
    cards, roles = False, []
    for tag, attrs in Read(walk[0][name][1]).tags:
        cards = attrs.get("class") == "cards" if tag == "table" else cards
        if cards and tag in ROLES:
            roles.append((tag, attrs.get("role")))
    assert {tag for tag, _ in roles} == set(ROLES)
    assert [one for one in roles if one[1] not in ROLES[one[0]].split()] == []


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_as_a_file_is_text(play, name):
    for by in ("", *views.cuts(name)):
        ask = Ask(play.clock.now(), "UTC", by=by)
        page = as_html(make(name, play.agent.store, ask, play.agent.policy))
        assert strange(page) == []
        assert "\u202e" not in page
