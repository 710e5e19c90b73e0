"""Any interleaving of facts, plans, deliveries and restarts: a stale plan never wins and nothing is lost.

The plan here is as simple as can be: it notes every activity key that it saw (in `Decision.contested`), and wants the
CRM to hold their number. So what a settled decision knows can be compared with what was told.
"""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from syncagent.model import Decision, Desired, Done, Merged, Plan, Receipt, Refused, Retry, WriteLead
from syncagent.state import open_store
from syncagent.state.store import Settlement
from tests.state.story_values import act, at, mk, page, sf

LEADS = st.integers(1, 4)


def plan_of(dossier) -> Plan:
    seen = tuple(a.key for a in dossier.activities)
    known = dossier.decision or Decision()
    revisions = [d.desired.revision for d in (known, *dossier.absorbed) if d.desired]
    values = {"status": str(len(seen))}
    if known.desired and known.desired.values == values:
        return Plan(Decision(contested=seen, desired=known.desired))
    record = sf(f"r{dossier.person}")
    desired = Desired(record, values, max(revisions, default=0) + 1)
    write = WriteLead(
        key=f"w{dossier.person}",
        target="crm",
        person=dossier.person,
        record=record,
        values=values,
        revision=desired.revision,
    )
    return Plan(Decision(contested=seen, desired=desired), (write,))


class Orderings(RuleBasedStateMachine):
    reads = Bundle("reads")
    sent = Bundle("sent")

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="orderings-"))
        self.store = open_store(self.folder / "s.db")
        self.told: set[str] = set()
        self.crm: dict[str, str] = {}
        self.minute = 0

    def tick(self):
        self.minute += 1
        return at(self.minute)

    @rule(leads=st.lists(LEADS, min_size=1, max_size=4), again=st.booleans())
    def tell(self, leads, again):
        facts = [act(lead, f"k{len(self.told) + n - (again and n)}", lead) for n, lead in enumerate(leads)]
        facts = [f for f in facts if f.key not in self.told]
        self.told |= {f.key for f in facts}
        seen: dict[str, object] = {}
        for fact in facts:
            seen.setdefault(fact.key, fact)
        self.store.accept(page(*seen.values()), "s", now=self.tick())
        self.store.accept(page(*seen.values()), "s", now=self.tick())

    @rule(one=LEADS, two=LEADS)
    def merge(self, one, two):
        if one != two:
            self.store.accept(page(Merged(mk(one), (mk(two),), self.tick())), "s", now=self.tick())

    @rule(target=reads)
    def read(self):
        return multiple(*self.store.unsettled(self.tick(), 10).dossiers)

    @rule(dossiers=st.lists(consumes(reads), min_size=1, max_size=3))
    def settle(self, dossiers):
        stale = [self.is_stale(d) for d in dossiers]
        people = [d.person for d in dossiers]
        stale = [s or d.person in people[:n] for n, (s, d) in enumerate(zip(stale, dossiers, strict=True))]
        plans = [Settlement(d.person, d.revision, plan_of(d)) for d in dossiers]
        taken = self.store.settle(plans, self.store.roster(), now=self.tick(), config="c")
        assert taken <= (stale.index(True) if True in stale else len(plans))

    def is_stale(self, dossier) -> bool:
        now = self.store.dossier(dossier.person)
        return now is None or {a.key for a in now.activities} != {a.key for a in dossier.activities}

    @rule(target=sent, lost=st.booleans())
    def send(self, lost):
        items = self.store.due("crm", self.tick(), 10)
        for item in items:
            self.crm[item.command.record.id] = item.command.values["status"]
        if lost:
            self.store.postpone([i.command.key for i in items], self.tick(), "lost")
            return multiple()
        return multiple(*items)

    @rule(item=consumes(sent), how=st.sampled_from(["done", "done", "retry", "refused"]))
    def answer(self, item, how):
        receipt = Receipt(item.command.key, item.command.record, self.tick(), item.command.values)
        outcome = {"done": Done(receipt), "retry": Retry(60, "later"), "refused": Refused("no")}[how]
        self.store.confirm([(item.command.key, item.revision, outcome)], now=self.tick())

    @rule()
    def restart(self):
        self.store.close()
        self.store = open_store(self.folder / "s.db")

    @invariant()
    def nothing_is_lost_and_no_stale_plan_has_won(self):
        waiting = {d.person for d in self.store.unsettled(at(10_000), 100).dossiers}
        found: list[str] = []
        for person in range(1, 10):
            dossier = self.store.dossier(person)
            if dossier is None:
                continue
            keys = tuple(a.key for a in dossier.activities)
            found += keys
            if person not in waiting:
                assert dossier.decision is not None
                assert dossier.decision.contested == keys
        assert sorted(found) == sorted(self.told)

    def teardown(self):
        for _ in range(20):
            now = at(100_000)
            found = self.store.unsettled(now, 100)
            plans = [Settlement(d.person, d.revision, plan_of(d)) for d in found.dossiers]
            assert self.store.settle(plans, found.roster, now=now, config="c") == len(plans)
            self.store.retry([i.command.key for i in self.store.outbox(["parked"])])
            self.store.postpone([i.command.key for i in self.store.outbox(["sending"])], now, "lost")
            items = self.store.due("crm", now, 100)
            for item in items:
                self.crm[item.command.record.id] = item.command.values["status"]
            receipts = [Receipt(i.command.key, i.command.record, now, i.command.values) for i in items]
            outcomes = [(i.command.key, i.revision, Done(r)) for i, r in zip(items, receipts, strict=True)]
            self.store.confirm(outcomes, now=now)
            if not plans and not items:
                break
        else:
            raise AssertionError("it never comes to rest")
        for person in range(1, 10):
            dossier = self.store.dossier(person)
            if dossier is not None and dossier.activities:
                assert self.crm[f"r{person}"] == str(len(dossier.activities))
        self.store.close()
        shutil.rmtree(self.folder)


TestOrderings = Orderings.TestCase
TestOrderings.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
