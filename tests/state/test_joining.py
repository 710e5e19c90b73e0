"""Who is one person does not hang on the order in which it is told: the store against a plain union-find."""

import tempfile
from contextlib import contextmanager
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from syncagent.model import Activity, CrmRecord, Identity, Lead, Merged
from syncagent.state import open_store
from tests.state.story_values import T0, at, page

SPELLED = {  # how it is written -> which mailbox it is; "" is none, "*" is read by several people
    "ana@example.com": "ana",
    " ANA@Example.com": "ana",
    "Ana Silva <ana@example.com>": "ana",
    "ana.silva@example.org": "silva",
    "\u200bAna.Silva@EXAMPLE.org": "silva",
    "ben@example.com": "ben",
    "b\u00fccher@example.com": "buch",
    "bu\u0308cher@example.com": "buch",
    "info@example.com": "*info",
    "Info@example.com;": "*info",
    " INFO@example.com": "*info",
    "noemail@example.com": "",
    "none@none": "",
}
NAMES = [
    {},
    {"first_name": "Ana"},
    {"first_name": "Ana", "last_name": "Silva"},
    {"first_name": "ana", "last_name": "silva "},
    {"first_name": "Ben", "last_name": "Ode"},
    {"first_name": "Ana", "last_name": "Silva", "mobile": "+49 171 1234567"},
    {"first_name": "ana", "last_name": "SILVA", "mobile": "0171/1234567"},
    {"first_name": "Ben", "last_name": "Silva", "mobile": "0171/1234567"},
    {"first_name": "Ana", "mobile": "0171/1234567"},
]
PEOPLE = [Identity(system, kind, str(n)) for system, kind in (("a", "lead"), ("b", "lead")) for n in range(1, 7)]
RECORDS = [Identity("crm", kind, str(n)) for kind in ("Lead", "Contact") for n in range(1, 4)]

who, record = st.sampled_from(PEOPLE), st.sampled_from(RECORDS)
emails = st.lists(st.sampled_from(sorted(SPELLED)), min_size=1, max_size=2).map(tuple)
seldom = st.sampled_from([True, False, False, False])
named = st.sampled_from(NAMES)
minute = st.integers(0, 9).map(at)
told = st.one_of(
    st.builds(Lead, who, minute, named, emails, seldom.flatmap(lambda yes: st.tuples(record) if yes else st.just(()))),
    st.builds(
        lambda i, t, n, e, into: CrmRecord(i, t, T0, "rep", n, e, converted_to=into),
        record, minute, named, emails, seldom.flatmap(lambda yes: record if yes else st.none()),
    ),
    st.builds(lambda w, losers, t: Merged(w, losers, t), who, st.lists(who, min_size=1, max_size=2).map(tuple), minute),
    st.builds(lambda i, t: Activity(i, "k", t, "page.visited"), who, minute),
)  # fmt: skip


def people_of(facts) -> set[frozenset[Identity]]:
    """The oracle: one person is what one fact names, what names one mailbox, one name at one mobile number."""
    parent: dict[object, object] = {}

    def find(one):
        parent.setdefault(one, one)
        while parent[one] != one:
            one = parent[one]
        return one

    for fact in facts:
        match fact:
            case Lead():
                nodes, known = [fact.identity, *fact.also], fact.attributes
            case CrmRecord():
                nodes, known = [fact.identity, *([fact.converted_to] if fact.converted_to else [])], fact.fields
            case Merged():
                nodes, known = [fact.winner, *fact.losers], {}
            case Activity():
                nodes, known = [fact.identity], {}
        whole = "last_name" in known
        name = [str(known[part]).lower().strip() for part in ("first_name", "last_name")] if whole else []
        for email in getattr(fact, "emails", ()):
            mailbox = SPELLED[email]
            if mailbox.startswith("*"):
                nodes += [(mailbox, *name)] if name else []
            elif mailbox:
                nodes.append(mailbox)
        if "mobile" in known and name:
            nodes.append(("mobile", *name))
        for node in nodes:
            parent[find(node)] = find(nodes[0])
    groups: dict[object, set[Identity]] = {}
    for node in list(parent):
        if isinstance(node, Identity):
            groups.setdefault(find(node), set()).add(node)
    return {frozenset(group) for group in groups.values()}


@contextmanager
def a_store():
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "state.db")
        try:
            yield store
        finally:
            store.close()


def dossiers_after(store, facts, cuts):
    start = 0
    for end in [*sorted(cuts), len(facts)]:
        if facts[start:end]:
            store.accept(page(*facts[start:end]), "s", now=at(60))
        start = max(start, end)
    return [store.dossier(person) for person in store.people(0, 1000)]


def as_told(dossiers):
    """Who and under which addresses; the number is left out, for it tells who was there first."""
    return {(d.identities, d.emails, d.shared, tuple((a.key, a.at) for a in d.activities)) for d in dossiers}


@settings(max_examples=150)
@given(st.data(), st.lists(told, min_size=1, max_size=14))
def test_the_same_facts_in_any_order_and_in_any_pages_are_the_same_people(data, facts):
    cut = st.lists(st.integers(0, len(facts)), max_size=4)
    shuffled = data.draw(st.permutations(facts))
    with a_store() as one, a_store() as other:
        first = dossiers_after(one, facts, data.draw(cut))
        second = dossiers_after(other, shuffled, data.draw(cut))
        assert {frozenset(d.identities) for d in first} == people_of(facts)
        assert {frozenset(d.identities) for d in second} == people_of(facts)
        assert as_told(first) == as_told(second)
        assert as_told(dossiers_after(one, shuffled, [])) == as_told(first)
