"""Somebody asks to be forgotten: nothing that names them stands in the state file any more; nothing else changes."""

import zlib
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlite_utils.utils import sqlite3

from syncagent.connectors import memory
from syncagent.model import Activity, CrmRecord, CrmTask, CrmUser, Deleted, Identity, Lead, Opportunity, Refused
from syncagent.reports.chain import links, verify
from syncagent.state.store import Post
from tests.story.theatre import Theatre

MARK = "Zyxmarq"
ADDRESS = f"{MARK}@{MARK}.example.com"
GIVEN = ("first_name", "last_name", "company", "phone", "country", "city", "website", "industry", "message")
WHO = Identity("web", "lead", "17")


def named(state: Path) -> dict[str, list[str]]:
    """Where in the file the mark stands, also within what is compressed: table and column, with the words around it."""
    found: dict[str, list[str]] = {}
    with closing(sqlite3.connect(state)) as db:
        for (table,) in db.execute("select name from sqlite_master where type = 'table'").fetchall():
            rows = db.execute(f'select * from "{table}"')
            columns = [column[0] for column in rows.description]
            for row in rows:
                for column, value in zip(columns, row, strict=True):
                    text = plain(value)
                    place = text.lower().find(MARK.lower())
                    if place >= 0:
                        found.setdefault(f"{table}.{column}", []).append(text[max(0, place - 80) : place + 40])
    return found


def plain(value: object) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return zlib.decompress(value).decode()
    except zlib.error:
        return value.decode(errors="replace")


def live(stage: Theatre) -> Identity:
    """A life in which everything that people give, and that reps write of them, has the mark; their CRM record."""
    stage.crm.feed([CrmUser(Identity("crm", "User", name), name) for name in ("ana", "ben", "boss")])
    stage.agent.once()
    given = {**{name: f"{MARK} {name}" for name in GIVEN}, "title": "Director"}

    def tells(**more: str) -> None:
        stage.clock.advance(timedelta(seconds=2))
        both = (ADDRESS, f"{MARK}.old@example.net") if not more else (ADDRESS,)
        stage.web.feed([Lead(WHO, stage.clock.now(), {**given, **more}, both)])

    def does(kind: str, asset: str) -> None:
        said = {"Referrer URL": f"https://example.org/?e={MARK}", "message": MARK}
        stage.web.feed([Activity(WHO, f"{kind}{stage.clock.now()}", stage.clock.now(), kind, asset, said)])

    tells()
    tells(first_name=f"{MARK} again")
    does("page.visited", f"/pricing?email={MARK}")
    does("form.submitted", "contact-sales")
    stage.after(minutes=1)
    stage.after(minutes=1)
    record = next(one.identity for one in stage.crm.records.values() if ADDRESS.lower() in one.emails)
    stage.crm.edit(record, "ana", stage.clock.now(), status="Working")
    now = stage.clock.now()
    call = CrmTask(Identity("crm", "Task", "x"), record, "ana", now, "ana", "ana", now, "", f"Call {MARK}", type="Call")
    stage.crm.feed([call, Opportunity(Identity("crm", "Opportunity", "d"), (record,), now, now, "ana", "Open")])
    stage.after(minutes=5)
    stage.crm.edit(record, "ana", stage.clock.now(), status="Recycled", recycle_reason=f"Not now, says {MARK}")
    stage.after(minutes=5)
    does("form.submitted", "contact-sales")
    (person,) = stage.agent.store.find(ADDRESS)
    with pytest.MonkeyPatch.context() as patch:
        real = memory.Memory.apply

        def refusing(self, batch):
            for one in batch:
                no = self.name == "crm" and one.person == person
                yield from [(one.key, Refused(f"{MARK} is no such name."))] if no else real(self, [one])

        patch.setattr(memory.Memory, "apply", refusing)
        stage.after(days=31)
        stage.after(minutes=1)
    refused = Post("web", stage.clock.now(), "POST", f"/hooks/web?e={MARK}", {}, f'{{"email": "{ADDRESS}"}}'.encode())
    stage.agent.store.receive([refused]).result()
    told = {post.id: "No." for post in stage.agent.store.inbox("web", 10)}
    stage.agent.store.unpack((), "web", read=(), refused=told, heard={}, now=stage.clock.now())
    return record


@pytest.mark.parametrize("privacy", [True, False], ids=["both forget", "the CRM only deletes"])
def test_nothing_that_names_them_is_left_in_the_file(tmp_path: Path, privacy: bool) -> None:
    with Theatre(tmp_path) as stage:
        stage.does(stage.person("mia", title="Director"), "form.submitted", "contact-sales")
        record = live(stage)
        store = stage.agent.store
        (person,), (other,) = store.find(ADDRESS), store.find("mia@example.com")
        before = named(stage.state)
        assert {"said.body", "judged.decision", "outbox.body", "outbox.why", "handoff.reason", "activity.body",
                "inbox.body", "journal_told.why", "journal_basis.body", "email.address"} <= before.keys()  # fmt: skip
        assert len(store.dossier(person).decision.handoffs) == 2
        lines, hers = len(store.journal(limit=10_000)), store.journal(other, limit=10_000)
        now = stage.clock.now()
        stage.crm.feed([Deleted(record, now, privacy=privacy)])
        stage.after(minutes=5)
        stage.web.feed([Deleted(WHO, stage.clock.now(), privacy=True)])
        stage.after(minutes=5)
        assert named(stage.state) == {}
        assert store.dossier(person).erased
        assert store.find(ADDRESS) == ()
        late = now + timedelta(hours=2)
        stage.clock.advance(timedelta(hours=3))
        stage.web.feed([Lead(WHO, late, {"first_name": MARK}, (ADDRESS,))])
        stage.crm.feed([CrmRecord(record, late, late, "ana", {"last_name": MARK}, (ADDRESS,))])
        task = next(one for one in stage.crm.tasks.values() if one.record == record)
        stage.crm.feed([CrmTask(task.identity, record, "ana", late, "ana", "ana", late, task.key, f"Call {MARK}")])
        stage.after(minutes=5)
        assert named(stage.state) == {}, "nor what is told of them later"
        assert len(store.journal(limit=10_000)) >= lines, "every line stays, and every count"
        assert [one.why for one in store.journal(other, limit=10_000)][-len(hers) :] == [one.why for one in hers]
        assert verify(links(store.ledger().lines()), ever=store.ledger().ever()).findings == ()
        copy = tmp_path / "copy.db"
        store.backup(str(copy))
        assert MARK.lower().encode() not in copy.read_bytes().lower(), "a copy has not even the bytes that were freed"
