"""A file from before companies had rows of their own."""

import contextlib

from msgspec.structs import replace
from sqlite_utils import Database
from sqlite_utils.utils import sqlite3

from syncagent.model import AccountView
from syncagent.state import activities, open_store
from syncagent.state.codec import Said, text
from syncagent.state.migrations import migrations
from tests.state.conformance_accounts import contact, deal_of
from tests.state.story_values import act, at, lead, take


def test_companies_of_an_older_file_are_counted_and_found_again(tmp_path):
    path = tmp_path / "state.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        migrations.apply(Database(raw), stop_before="company")
        raw.execute("insert into person (id) values (1), (2), (3)")
        told = contact(1, title="CFO", company="Nordvind", account_owner="ana")
        open_deal = deal_of("D", "A1", owner="ben", people=[1])
        raw.execute("insert into said values (1, ?)", (text(Said(records=(told,), opportunities=(open_deal,))),))
        raw.execute("insert into identity (ext, object, system, person) values ('1', 'Contact', 'salesforce', 1)")
        said = lead("L", emails=["eva@nordvind.example"], company="Nordvind")
        raw.execute("insert into said values (3, ?)", (text(Said(leads=(said,))),))
        rows = [("A1", "person", "1", 1, "Nordvind", "ana"), ("A1", "person", "2", 2, "", "")]
        rows.append(("A1", "deal", "D", 1, "", ""))
        raw.executemany("insert into account values (?, ?, ?, ?, ?, ?)", rows)
        raw.execute("insert into activity values (?, ?)", (1 << activities.SHIFT, text(act(1, "a"))))
    with contextlib.closing(open_store(path)) as store:
        view = store.dossier(1).account
        assert view == AccountView("A1", "ana", "Nordvind", open_deals=1, engaged=1, titles=("CFO",), deal_owner="ben")
        assert store.dossier(3).candidates == ()
        take(store, replace(told, modified_at=at(1)))
        [found] = store.dossier(3).candidates
        assert (found.view, found.people) == (view, 2)
