"""A file from before reports had columns to count."""

import contextlib
import json

from sqlite_utils import Database
from sqlite_utils.utils import sqlite3

from syncagent.errors import UserError
from syncagent.model import Decision, Lane
from syncagent.state import open_store
from syncagent.state.codec import Said, ms, text
from syncagent.state.migrations import migrations
from tests.state.story_values import at, deal, handoff


def test_an_older_file_is_filled_from_its_facts_and_by_the_next_decisions(tmp_path):
    path = tmp_path / "state.db"
    old, new = deal("D", [1], amount=5, stage="Won"), deal("D", [1], 9, amount=19.99, closed=True, won=True)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        migrations.apply(Database(raw), stop_before="figures")
        raw.execute(
            "insert into person (id, merged_into, dirty_since) values (1, null, null), (2, 1, null), (3, null, 7)"
        )
        raw.execute("insert into person (id) values (4)")
        for person in (1, 2, 3):
            raw.execute("insert into judged (person, decision) values (?, ?)", (person, text(Decision())))
        for person, told in ((1, new), (3, old)):
            raw.execute("insert into said values (?, ?)", (person, text(Said(opportunities=(told,)))))
            raw.execute("insert into child values ('D', 'Opportunity', 'salesforce', ?)", (person,))
        one = handoff(2)  # of somebody who is a part of 1 now
        raw.execute(
            "insert into handoff (id, person, number, state, owner, cause, outcome, opened_at)"
            " values (?, 1, 1, 'with_sales', 'ana', '', '', 5)",
            (one.id,),
        )
        data = json.dumps({"source": "web", "campaign": "fair", "rule": "form"})
        raw.execute(
            "insert into journal (at, person, kind, why, handoff, data, config)"
            " values (5, 2, 'handoff.opened', '', ?, ?, '')",
            (one.id, data),
        )
    with contextlib.closing(open_store(path)) as store:
        asked = "select handoff, owner, trigger_system, trigger_campaign, trigger_rule from report_handoff"
        assert list(store.ask(asked)) == [("2.1", "ana", "web", "fair", "form")]
        asked = "select deal, amount, won, closed_ms, people from report_deal"
        assert list(store.ask(asked)) == [("D", 1999, 1, ms(at(9)), 2)]
        assert list(store.ask("select count(*) from report_lead")) == [(0,)]
        assert list(store.ask("select people from report_missing")) == [(2,)], "1 and 3"
        waiting = store.unsettled(at(1), 10).dossiers
        assert [(one.person, one.lane) for one in waiting] == [(3, Lane.HOT), (1, Lane.COLD)], (
            "2 is merged, 4 not decided"
        )
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("drop view report_lead")
        raw.execute("create view report_lead as select 1 as older")
    with contextlib.suppress(UserError):
        open_store(path, read_only=True).close()
        raise AssertionError("views of another version were read")
    with contextlib.closing(open_store(path)) as store:
        assert list(store.ask("select count(*) from report_lead")) == [(0,)]
    open_store(path, read_only=True).close()
