"""What a company's row has counted is what a recount finds, whatever was told, merged, split and matched before."""

import contextlib
import sqlite3
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from syncagent.errors import UserError
from syncagent.model import Decision, Deleted, Merged
from syncagent.state import open_store
from syncagent.state.store import Settlement
from tests.state.conformance_accounts import company, contact
from tests.state.story_values import act, at, lead, mk, plan, sf, take

WHO = st.integers(1, 5)
COMPANY = st.sampled_from(["A1", "A2", ""])
STEP = st.one_of(
    st.tuples(st.just("contact"), WHO, COMPANY, st.sampled_from(["CFO", "CTO", ""]), st.booleans()),
    st.tuples(st.just("act"), WHO, st.sampled_from(["page.visited", "email.sent"])),
    st.tuples(st.just("lead"), WHO, st.sampled_from(["CFO", "Clerk"])),
    st.tuples(st.just("merge"), WHO, WHO),
    st.tuples(st.just("split"), WHO),
    st.tuples(st.just("match"), COMPANY),
    st.tuples(st.just("told"), st.sampled_from(["A1", "A2"]), st.sampled_from(["one.example", "two.example"])),
)


def do(store, step, minute):
    kind, *rest = step
    if kind == "contact":
        who, account, title, deleted = rest
        mail = (f"c{who}@{'one' if who % 2 else 'two'}.example",)
        take(store, contact(who, minute, account=account, title=title, deleted=deleted, emails=mail))
    elif kind == "act":
        take(store, act(rest[0], f"k{minute}", minute, kind=rest[1]))
    elif kind == "lead":
        take(store, lead(rest[0], minute, also=[sf(rest[0], "Contact")], title=rest[1]))
    elif kind == "merge" and rest[0] != rest[1]:
        take(store, Merged(mk(rest[0]), (mk(rest[1]),), at(minute)))
    elif kind == "split":
        for person in store.find(str(rest[0])):
            with contextlib.suppress(UserError):
                store.split(person, [mk(rest[0])], now=at(minute))
    elif kind == "match":
        found = store.unsettled(at(minute), 100)
        decisions = [Decision(account=rest[0] if one.account is None else "") for one in found.dossiers]
        made = zip(found.dossiers, decisions, strict=True)
        plans = [Settlement(one.person, one.revision, plan(decision=decision)) for one, decision in made]
        store.settle(plans, found.roster, now=at(minute), config="c")
    elif kind == "told":
        take(store, company(rest[0], minute, name=rest[0], website=rest[1]))


RECOUNTS = {
    "select id, people, engaged from company where people or engaged": (
        "select id, sum(not matched), sum(engaged) from member group by id having sum(not matched) or sum(engaged)"
    ),
    "select id, title, people from company_title": (
        "select id, title, count(*) from member where engaged and title <> '' group by id, title"
    ),
    "select key, id, people from company_key where people": (
        "select 'd:' || domains, id, count(*) from member where domains <> '' and not matched group by 1, 2"
    ),
    "select person, id from member where engaged": (
        "select person, id from member where exists (select 1 from activity where activity.id >> 32 = person"
        " and json_extract(body, '$[3]') <> 'email.sent')"
    ),
}


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_the_counts_are_those_of_a_recount(steps):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.db"
        store = open_store(path)
        try:
            for minute, step in enumerate(steps, 1):
                do(store, step, minute)
        finally:
            store.close()
        with contextlib.closing(sqlite3.connect(path)) as raw:
            for counted, recount in RECOUNTS.items():
                assert sorted(raw.execute(counted)) == sorted(raw.execute(recount)), counted
            stray = "select count(*) from company_key where told = 0 and people = 0"
            assert raw.execute(stray).fetchone() == (0,)
            assert not raw.execute(
                "select 1 from member join person on person.id = member.person where merged_into"
            ).fetchall()


def test_who_asked_to_be_forgotten_leaves_neither_clue_nor_title(tmp_path):
    store = open_store(tmp_path / "s.db")
    try:
        take(store, company("A1", name="Nordvind"), contact(1, title="CFO"), lead("L", company="Nordvind", title="CTO"))
        take(store, act("L", "a"))
        found = store.unsettled(at(1), 9)
        matched = [Decision(account="" if one.account else "A1") for one in found.dossiers]
        plans = [
            Settlement(d.person, d.revision, plan(decision=m)) for d, m in zip(found.dossiers, matched, strict=True)
        ]
        store.settle(plans, found.roster, now=at(1), config="c")
        assert store.company("A1")[0].titles == ("CTO",)
        take(store, Deleted(mk("L"), at(2), privacy=True), Deleted(sf(1, "Contact"), at(2), privacy=True))
        view = store.company("A1")[0]
        assert (view.titles, view.engaged) == ((), 0)
        with contextlib.closing(sqlite3.connect(store.path)) as raw:
            assert raw.execute("select keys from clue where keys <> '[]'").fetchall() == []
            assert raw.execute("select title, domains from member where title || domains <> ''").fetchall() == []
    finally:
        store.close()
