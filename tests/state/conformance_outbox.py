"""What every store must keep of commands: due, confirmed, postponed, withdrawn."""

import msgspec
import pytest

from syncagent.model import (
    Alert,
    Lane,
    Nurture,
    Refused,
    Retry,
)
from tests.state.story_values import (
    act,
    at,
    create_task,
    done,
    lead,
    mk,
    notify,
    only,
    record,
    settle,
    sf,
    take,
    write,
)


class CommandsOut:
    def queue(self, store, *commands, minute=1):
        take(store, act(1, f"q{minute}", minute))
        settle(store, minute=minute, commands=commands)

    def keys(self, items):
        return [item.command.key for item in items]

    def test_due_in_order_once_each_and_counted(self, store):
        self.queue(store, write(1, "cold", lane=Lane.COLD), write(1, "hot"), create_task(1, depends_on=("hot",)))
        assert self.keys(store.due("salesforce", at(2), 10, lane=Lane.COLD)) == ["cold"]
        items = store.due("salesforce", at(2), 10)
        assert self.keys(items) == ["hot", "t1"]
        assert [i.command.attempt for i in items] == [0, 0]
        assert store.due("salesforce", at(2), 10) == ()
        assert store.due("other", at(2), 10) == ()
        store.postpone(["hot"], at(5), "down")
        assert store.due("salesforce", at(4), 10) == ()
        (again,) = store.due("salesforce", at(5), 10)
        assert (again.command.key, again.command.attempt) == ("hot", 1)

    def test_what_depends_waits_and_gets_the_record(self, store):
        self.queue(store, write(1, "w"), create_task(1, "t", depends_on=("w",)))
        assert self.keys(store.due("salesforce", at(2), 1)) == ["w"]
        assert store.due("salesforce", at(2), 10) == ()
        store.confirm([("w", 1, done("w", 3, sf("made")))], now=at(3))
        (item,) = store.due("salesforce", at(3), 10)
        assert item.command.record == sf("made")

    def test_all_that_was_written_for_somebody_with_its_answer(self, store):
        self.queue(store, write(1, "w"), create_task(1, "t", depends_on=("w",)))
        assert [(one.state, one.receipt) for one in store.written(1)] == [("queued", None)] * 2
        store.due("salesforce", at(2), 1)
        store.confirm([("w", 1, done("w", 3, sf("made")))], now=at(3))
        store.due("salesforce", at(3), 10)
        store.confirm([("t", 0, Refused("The owner is inactive."))], now=at(4))
        told = {one.command.key: one for one in store.written(1)}
        assert told["w"].receipt == done("w", 3, sf("made")).receipt
        assert (told["w"].state, told["w"].done_at, told["t"].state) == ("done", at(3), "parked")
        assert told["t"].why == "The owner is inactive."
        assert len(store.written(1, 1)) == 1
        assert store.written(2) == ()

    def test_commands_are_found_by_key_whatever_their_state(self, store):
        self.queue(store, write(1, "w"), create_task(1, "t"))
        store.due("salesforce", at(2), 1)
        store.confirm([("w", 1, done("w", 3, sf("made")))], now=at(3))
        every = ("queued", "sending", "done", "parked")
        assert self.keys(store.outbox(every, keys=["w", "nothing"])) == ["w"]
        assert self.keys(store.outbox(keys=["w", "t"])) == ["t"]
        assert store.outbox(every, keys=[]) == ()
        assert store.health(at(4)).outbox == {"done": 1, "queued": 1}

    @pytest.mark.parametrize("gone", ["withdrawn", "dropped"])
    def test_an_alert_does_not_wait_for_a_write_that_will_not_come(self, store, gone):
        told = Alert(
            key="a",
            target="salesforce",
            person=1,
            record=sf(1),
            to="boss",
            subject="s",
            body="b",
            remind_at=at(1),
            depends_on=("w",),
        )
        beside = msgspec.structs.replace(notify(1, "a:push", depends_on=("w", "a")), record=sf(1))
        self.queue(store, write(1, "w"), told, beside, create_task(1, "t", depends_on=("w",)))
        assert self.keys(store.due("salesforce", at(2), 1)) == ["w"]
        store.confirm([("w", 1, Refused("no"))], now=at(3))
        assert store.due("salesforce", at(4), 10) == ()
        if gone == "dropped":
            store.drop(["w"], now=at(5))
        else:
            take(store, act(1, "x", 5))
            settle(store, minute=5, withdraw=("w",))
        assert self.keys(store.due("salesforce", at(6), 10)) == ["a", "a:push"]

    def test_a_push_does_not_go_without_its_task(self, store):
        beside = msgspec.structs.replace(notify(1, "t:push", depends_on=("t",)), record=sf(1))
        self.queue(store, create_task(1, "t"), beside)
        take(store, act(1, "x", 2))
        settle(store, minute=2, withdraw=("t",))
        assert store.due("salesforce", at(3), 10) == ()

    def test_a_task_that_waits_may_be_told_anew_and_one_that_was_sent_may_not(self, store):
        task = create_task(1, "t", depends_on=("w",))
        self.queue(store, write(1, "w"), task)
        store.due("salesforce", at(2), 10)
        store.confirm([("w", 1, Refused("Converted", "conflict")), ("t", 0, Retry(5.0, "Untried"))], now=at(2))
        assert store.due("salesforce", at(3), 10) == ()
        (waiting,) = [entry for entry in store.dossier(1).outbox if entry.key == "t"]
        assert (waiting.state, waiting.hangs_on) == ("queued", "")
        moved = msgspec.structs.replace(task, depends_on=(), record=sf("contact"))
        self.queue(store, moved, minute=4)
        (waiting,) = [entry for entry in store.dossier(1).outbox if entry.key == "t"]
        assert waiting.hangs_on == "contact"
        (item,) = store.due("salesforce", at(5), 10)
        # "Retry" says that it was certainly not carried out: it counts as new.
        assert (item.command.record, item.command.attempt) == (sf("contact"), 0)
        self.queue(store, task, minute=6)  # it is being sent: too late
        store.confirm([("t", 0, Retry(5.0, "A lock"))], now=at(6))
        (item,) = store.due("salesforce", at(7), 10)
        assert (item.command.record, item.command.attempt) == (sf("contact"), 0)
        store.confirm([("t", 0, done("t", 8, sf("contact")))], now=at(8))
        self.queue(store, task, minute=9)
        assert store.due("salesforce", at(10), 10) == ()

    def test_an_alert_whose_record_has_moved_on_may_be_told_anew_also_on_somebody_else(self, store):
        told = Alert(
            key="a", target="salesforce", person=1, record=sf(1), to="boss", subject="s", body="b", remind_at=at(1)
        )
        self.queue(store, told)
        store.due("salesforce", at(2), 10)
        assert store.dossier(1).outbox[0].alert is None
        store.confirm([("a", 0, Refused("Converted", "conflict"))], now=at(2))
        assert store.dossier(1).outbox[0].alert == told
        take(store, lead(2, 3, emails=("b@example.com",)))
        other = store.find("b@example.com")[0]
        store.enqueue([msgspec.structs.replace(told, person=other, record=sf(2))], now=at(3))
        assert not store.dossier(1).outbox
        assert store.due("salesforce", at(3), 10) == (), "a moment later: what has moved on may not be seen yet"
        (item,) = store.due("salesforce", at(4), 10)
        assert (item.command.person, item.command.record, item.command.attempt) == (other, sf(2), 1)
        store.enqueue([told], now=at(5))
        assert store.dossier(other).outbox[0].state == "sending", "it stays as it is once it is under way"

    def test_what_depends_on_a_refusal_goes_on_after_retry(self, store):
        self.queue(store, write(1, "w"), create_task(1, "t", depends_on=("w",)))
        store.due("salesforce", at(2), 1)
        store.confirm([("w", 1, Refused("Bad value", code="INVALID", fields=("status",)))], now=at(3))
        assert store.due("salesforce", at(4), 10) == ()
        assert store.due("salesforce", at(4), 10) == ()
        assert [i.why for i in store.outbox(["queued"])] == ["It waits for w."]
        (parked,) = store.outbox(["parked"])
        assert parked.why == "INVALID: Bad value"
        assert only(store).outbox[0].state == "parked"
        assert store.retry(["w", "t"]) == 1
        assert self.keys(store.due("salesforce", at(5), 10)) == ["w", "t"]

    def test_a_receipt_is_a_fact(self, store):
        take(store, record(1, 1, status="New", owner="q"), lead(1, also=[sf(1)]))
        settle(store, commands=(write(1, "w", of=sf(1)),))
        store.due("salesforce", at(2), 10)
        store.confirm([("w", 1, done("w", 3, sf(1), status="MQL"))], now=at(3))
        fresh = only(store)
        assert fresh.lane == Lane.HOT
        assert fresh.records[0].fields == {"status": "MQL", "owner": "q"}
        assert fresh.outbox[0].receipt.values == {"status": "MQL"}
        take(store, record(1, 3, by="us", status="MQL", owner="q"))
        assert store.dossier(1).changes == ()
        take(store, record(1, 2, status="New"))
        assert store.dossier(1).records[0].fields["status"] == "MQL"

    def test_a_made_record_belongs_to_the_person(self, store):
        self.queue(store, write(1, "w"), create_task(1))
        store.due("salesforce", at(2), 10)
        store.confirm(
            [("w", 1, done("w", 3, sf("new"), status="MQL")), ("t1", 0, done("t1", 3, sf("T", "Task")))], now=at(3)
        )
        one = only(store)
        assert sf("new") in one.identities
        assert sf("T", "Task") not in one.identities
        assert one.records[0].fields == {"status": "MQL"}

    def test_a_write_that_lands_on_somebody_else_joins_them(self, store):
        take(store, record("C", kind="Contact"))
        take(store, act("m1", "a"))
        settle(store)
        person = store.find("m1")[0]
        take(store, act("m1", "b"))
        settle(store, commands=(write(person, "w", of=sf(1)),))
        store.due("salesforce", at(2), 10)
        store.confirm([("w", 1, done("w", 3, sf("C", "Contact")))], now=at(3))
        assert set(only(store).identities) == {mk("m1"), sf("C", "Contact")}

    def test_the_newest_revision_replaces_what_is_unsent(self, store):
        self.queue(store, write(1, "w", 1))
        self.queue(store, write(1, "w", 2), minute=2)
        self.queue(store, write(1, "w", 1), minute=3)
        (item,) = store.due("salesforce", at(4), 10)
        assert (item.revision, item.command.values) == (2, {"status": "v2"})

    def test_a_confirmation_closes_only_what_was_sent(self, store):
        self.queue(store, write(1, "w", 1))
        store.due("salesforce", at(2), 10)
        self.queue(store, write(1, "w", 2), minute=2)
        assert store.due("salesforce", at(3), 10) == ()
        store.confirm([("w", 1, done("w", 3, status="v1"))], now=at(3))
        entry = only(store).outbox[0]
        assert (entry.state, entry.revision, entry.receipt.values) == ("queued", 2, {"status": "v1"})
        (item,) = store.due("salesforce", at(4), 10)
        assert (item.revision, item.command.attempt) == (2, 0)
        store.confirm([("w", 2, done("w", 5, status="v2"))], now=at(5))
        assert only(store).outbox[0].state == "done"

    @pytest.mark.parametrize("outcome", [Refused("no"), Retry(60, "later"), Refused("moved", "conflict")])
    def test_a_newer_revision_is_tried_whatever_became_of_the_older(self, store, outcome):
        self.queue(store, write(1, "w", 1))
        store.due("salesforce", at(2), 10)
        self.queue(store, write(1, "w", 2), minute=2)
        store.confirm([("w", 1, outcome)], now=at(3))
        (item,) = store.due("salesforce", at(9), 10)
        assert (item.revision, item.command.attempt) == (2, 1)

    def test_a_new_revision_reopens_what_was_done_or_parked(self, store):
        self.queue(store, write(1, "w", 1))
        store.due("salesforce", at(2), 10)
        store.confirm([("w", 1, Refused("moved", "conflict"))], now=at(3))
        assert only(store).outbox[0].state == "conflict"
        self.queue(store, write(1, "w", 2), minute=3)
        (item,) = store.due("salesforce", at(4), 10)
        store.confirm([("w", 2, done("w", 5))], now=at(5))
        self.queue(store, write(1, "w", 3), minute=6)
        (item,) = store.due("salesforce", at(7), 10)
        assert (item.revision, item.command.attempt) == (3, 0)

    def test_once_is_once(self, store):
        self.queue(store, create_task(1))
        store.due("salesforce", at(2), 10)
        store.confirm([("t1", 0, done("t1", 3, sf("T", "Task")))], now=at(3))
        self.queue(store, create_task(1), minute=4)
        assert store.due("salesforce", at(5), 10) == ()
        assert store.outbox() == ()
        assert [i.state for i in store.outbox(["done"])] == ["done"]

    def test_withdraw_stops_only_what_has_not_been_sent(self, store):
        self.queue(store, create_task(1, "a"), create_task(1, "b"))
        assert self.keys(store.due("salesforce", at(2), 1)) == ["a"]
        take(store, act(1, "x"))
        settle(store, withdraw=("a", "b"))
        assert {i.command.key: i.state for i in store.outbox()} == {"a": "sending"}
        assert [i.command.key for i in store.outbox(("dropped",))] == ["b"]

    def test_a_batch_is_as_small_as_the_most_careful_of_it_asks(self, store):
        self.queue(store, *(write(1, key) for key in "abcdef"))
        at_most = {"b": 2, "d": 1, "never queued": 1}
        assert self.keys(store.due("salesforce", at(2), 10, at_most=at_most)) == ["a", "b"]
        assert self.keys(store.due("salesforce", at(2), 10, at_most=at_most)) == ["c", "e", "f"]
        assert self.keys(store.due("salesforce", at(2), 10, at_most=at_most)) == ["d"]
        assert store.due("salesforce", at(2), 10, at_most=at_most) == ()

    def test_retry_outcome_comes_back_in_time(self, store):
        self.queue(store, write(1, "w"))
        store.due("salesforce", at(2), 10)
        store.confirm([("w", 1, Retry(120, "row lock"))], now=at(2))
        assert store.unsettled(at(3), 10).dossiers == ()
        assert store.due("salesforce", at(3.9), 10) == ()
        assert self.keys(store.due("salesforce", at(4), 10)) == ["w"]

    def test_at_most_once_is_unknown_after_a_failed_call_and_queued_after_a_known_retry(self, store):
        campaign = Nurture(key="c", target="salesforce", person=1, lead=mk(1), reason="r", campaign_id=3)
        listed = Nurture(key="l", target="salesforce", person=1, lead=mk(1), reason="r", list_id=3)
        self.queue(store, notify(1, "n1"), notify(1, "n2"), campaign, listed)
        assert len(store.due("salesforce", at(2), 10)) == 4
        store.confirm([("n2", 0, Retry(1, "429"))], now=at(2))
        store.postpone(["n1", "c", "l"], at(3), "timed out")
        assert {i.command.key: i.state for i in store.outbox()} == {
            "n1": "unknown",
            "n2": "queued",
            "c": "unknown",
            "l": "queued",
        }
        assert only(store).outbox[0].state in ("unknown", "queued")

    def test_at_most_once_is_queued_again_when_what_it_depends_on_was_not_done(self, store):
        self.queue(store, write(1, "w"), notify(1, "n", depends_on=("w",)))
        assert self.keys(store.due("salesforce", at(2), 10)) == ["w", "n"]
        store.postpone(["w", "n"], at(3), "the token was refused")
        assert {i.command.key: i.state for i in store.outbox()} == {"w": "queued", "n": "queued"}
        assert self.keys(store.due("salesforce", at(3), 10)) == ["w", "n"]
        store.confirm([("w", 1, done("w", 3))], now=at(3))
        store.postpone(["n"], at(4), "timed out")
        assert [i.state for i in store.outbox()] == ["unknown"]

    def test_at_most_once_that_was_surely_not_sent_counts_as_new_after_a_restart(self, store):
        """A connector that was started since knows only the count of attempts."""
        self.queue(store, notify(1, "waits"), notify(1, "lost"))
        assert len(store.due("salesforce", at(2), 10)) == 2
        store.confirm([("waits", 0, Retry(60, "a call before it failed"))], now=at(2))
        store.postpone(["lost"], at(3), "timed out")
        (again,) = store.due("salesforce", at(3), 10)
        assert (again.command.key, again.command.attempt) == ("waits", 0)
        assert store.retry(["lost"]) == 1
        (asked,) = store.due("salesforce", at(3), 10)
        assert (asked.command.key, asked.command.attempt) == ("lost", 0)

    def test_drop_gives_up_and_plans_again(self, store):
        self.queue(store, write(1, "w"))
        store.due("salesforce", at(2), 10)
        assert store.drop(["w"], now=at(2)) == 0
        store.confirm([("w", 1, Refused("no"))], now=at(3))
        settle(store, minute=3)
        assert store.drop(["w", "nobody"], now=at(4)) == 1
        assert only(store).outbox[0].state == "dropped"

    def test_a_confirmation_told_twice_is_one(self, store):
        self.queue(store, write(1, "w"))
        store.due("salesforce", at(2), 10)
        store.confirm([("w", 1, done("w", 3))], now=at(3))
        settle(store, minute=3)
        store.confirm([("w", 1, done("w", 3)), ("nobody", 0, done("nobody", 3))], now=at(4))
        assert store.unsettled(at(5), 10).dossiers == ()

    def test_of_several_writes_done_the_last_one_stands_in_the_dossier(self, store):
        for minute, key in ((1, "w1"), (2, "w2")):
            self.queue(store, write(1, key), minute=minute)
            store.due("salesforce", at(minute), 10)
            store.confirm([(key, 1, done(key, minute))], now=at(minute))
        assert [entry.key for entry in only(store).outbox] == ["w2"]
