from syncagent.state import open_store
from tests.state.story_values import *


def test_whole_round(tmp_path):
    s = open_store(tmp_path / "a.db")
    try:
        a = s.accept(
            page(
                lead(1, 0, emails=["Ana@Example.com"], also=[sf(1)], title="VP"),
                act(1, "a1", 1),
                act(2, "a2", 1),
                cursor="c1",
            ),
            "marketo/poll",
            now=at(1),
        )
        assert a.new == 3 and len(a.people) == 2
        s.accept(page(record(1, 1, emails=("ana@example.com",), status="New"), seen_until=at(3)), "crm/poll", now=at(2))
        u = s.unsettled(at(3), 10)
        p = u.dossiers[0].person
        print(u)
        n = s.settle(
            [
                Settlement(
                    d.person,
                    d.revision,
                    plan(
                        commands=(write(d.person, of=sf(1)), create_task(d.person, depends_on=("w1",)))
                        if d.person == p
                        else (),
                        decision=Decision(handoffs=(handoff(d.person),)),
                    ),
                )
                for d in u.dossiers
            ],
            u.roster,
            now=at(3),
            config="x",
        )
        assert n == 2
        assert s.unsettled(at(3), 10).dossiers == ()
        items = s.due("salesforce", at(4), 10)
        assert [i.command.key for i in items] == ["w1", "t1"]
        s.confirm([("w1", 1, done("w1", 5, status="v1")), ("t1", 0, done("t1", 5, sf("T", "Task")))], now=at(5))
        print(s.unsettled(at(6), 10))
        print(s.health(at(6)), s.outbox(), s.journal())
        s.backup(str(tmp_path / "b.db"))
        r = open_store(tmp_path / "a.db", read_only=True)
        print(r.find("ana@example.com"), r.find("1"), r.dossier(p))
        r.close()
    finally:
        s.close()
    r = open_store(tmp_path / "a.db", read_only=True)
    print(r.health(at(1)))
    r.close()
