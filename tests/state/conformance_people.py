"""What every store must keep of who is who: joined by address, split by an admin."""

import zlib

import pytest

from syncagent.errors import UserError
from syncagent.model import Decision, Deleted, Desired, Done, Merged, Receipt, Refused
from syncagent.state.store import Post
from tests.state.story_values import (
    act,
    at,
    change,
    create_task,
    deal,
    handoff,
    lead,
    mk,
    page,
    record,
    settle,
    sf,
    take,
    task,
    write,
)

CODES: dict[int, str] = {}
while (code := zlib.crc32((key := f"key{len(CODES)}").encode())) not in CODES:
    CODES[code] = key
ALIKE = (CODES[code], key)
"""Two keys with one hash, should a store go by it."""


def glued(store):
    """Two leads of one address, with what hangs on each."""
    take(store, lead(1, emails=["us@example.com"]), lead(2, emails=["us@example.com", "two@example.com"]))
    take(store, act(1, ALIKE[0], 1), act(2, ALIKE[1], 2), *(act(2, f"a{n}", n) for n in range(50)))
    take(store, record(1, emails=("us@example.com",)), record(2, emails=("two@example.com",)))
    take(store, task("T1", 1), task("T2", 2), deal("D", [1, 2]), deal("E", [2]))
    assert list(store.people(0, 10)) == [1]


class Joins:
    def test_a_merge_into_a_new_id_joins_all_and_has_it_looked_up(self, store):
        """As HubSpot merges: the survivor has an id that nobody knows yet."""
        take(store, lead(1, emails=["a@example.com"]), lead(2, emails=["b@example.com"]), act(1, "a"), act(2, "b"))
        take(store, Merged(mk(99), (mk(1), mk(2)), at(5)))
        assert list(store.people(0, 10)) == [1]
        assert len(store.dossier(1).activities) == 2 and store.dossier(1).leads == ()
        assert store.wanted("marketo", 10) == (mk(99),)
        take(store, lead(99, 6, emails=["b@example.com"]), lead(1, 7, emails=["a@example.com"]))
        assert [one.identity for one in store.dossier(1).leads] == [mk(99)], "who was merged away does not come back"

    def test_a_conversion_and_a_merge_in_the_crm_join(self, store):
        take(store, record(1, converted_to=sf(3, "Contact")), record(2, emails=("b@example.com",)))
        take(store, record(3, kind="Contact", emails=("c@example.com",)), lead(1, emails=["c@example.com"]))
        assert store.dossier(1).identities == (mk(1), sf(3, "Contact"), sf(1))
        take(store, Merged(sf(1), (sf(2),), at(5)))
        assert list(store.people(0, 10)) == [1]
        assert store.dossier(1).emails == ("b@example.com", "c@example.com")

    def test_a_shared_mailbox_is_known_of_each_and_joins_nobody(self, store):
        take(store, lead(1, emails=["Info@example.com"]), lead(2, emails=["info@example.com"], first_name="Ana"))
        ana = {"first_name": "Ana", "last_name": "Silva"}
        take(store, lead(3, emails=["info@example.com"], **ana), record(4, emails=("INFO@example.com",), **ana))
        assert store.find("info@example.com") == (1, 2, 3)
        assert store.dossier(3).identities == (mk(3), sf(4))
        assert all(store.dossier(n).shared == ("info@example.com",) and not store.dossier(n).emails for n in (1, 2, 3))

    def test_a_number_is_told_from_an_id_that_looks_like_it(self, store):
        take(store, lead("2", emails=["a@example.com"]), lead("7", emails=["b@example.com"]))
        assert store.find("2") == (1, 2), "a lead is called so, and a person has the number"
        assert store.find("person/2") == (2,) and store.find(" person/1 ") == (1,)
        assert store.find("person/7") == store.find("person/") == store.find("person/x") == ()
        take(store, Merged(mk("2"), (mk("7"),), at(5)))
        assert (store.find("person/2"), store.merged_into(2), store.merged_into(1)) == ((1,), 1, None)


class Splits:
    def test_everything_goes_back_by_its_own_identity(self, store):
        glued(store)
        parted = store.split(1, [mk(2), sf(2)], now=at(9))
        one, two = store.dossier(parted.person), store.dossier(parted.other)
        assert (one.identities, two.identities) == ((mk(1), sf(1)), (mk(2), sf(2)))
        assert [one.key for one in one.activities] == [ALIKE[0]] and len(two.activities) == 51
        assert ([t.identity.id for t in one.tasks], [t.identity.id for t in two.tasks]) == (["T1"], ["T2"])
        assert [d.identity.id for d in one.opportunities] == ["D"]
        assert [d.identity.id for d in two.opportunities] == ["D", "E"]
        assert (one.emails, two.emails, two.shared) == (("us@example.com",), ("two@example.com",), ("us@example.com",))
        assert one.fresh_from == two.fresh_from == at(9)
        assert store.find("us@example.com") == (1, 2)
        assert {entry.kind for person in (1, 2) for entry in store.journal(person)} == {"split"}

    def test_what_was_told_before_is_known_after(self, store):
        glued(store)
        store.split(1, [mk(2), sf(2)], now=at(9))
        glued_again = [act(1, ALIKE[0], 1), act(2, ALIKE[1], 2), *(act(2, f"a{n}", n) for n in range(50))]
        assert take(store, *glued_again, task("T1", 1), task("T2", 2), deal("D", [1, 2])).new == 0
        assert list(store.people(0, 10)) == [1, 2]

    def test_the_same_address_joins_them_no_more_and_a_later_merge_does(self, store):
        glued(store)
        store.split(1, [mk(2), sf(2)], now=at(9))
        take(store, lead(2, 10, emails=["us@example.com"], also=[sf(1)]), Merged(mk(1), (mk(2),), at(8)))
        take(store, record(2, 11, emails=("us@example.com",)), lead(1, 12, emails=["two@example.com"]))
        assert list(store.people(0, 10)) == [1, 2]
        take(store, Merged(mk(1), (mk(2),), at(20)))
        assert list(store.people(0, 10)) == [1]
        assert len(store.dossier(1).activities) == 52 and store.dossier(1).fresh_from is None

    def test_whom_they_were_kept_apart_from_they_both_are(self, store):
        glued(store)
        take(store, lead(3, emails=["us@example.com"]))
        store.split(1, [mk(3)], now=at(9))
        store.split(1, [mk(2), sf(2)], now=at(10))
        for number in (1, 2, 3):
            take(store, lead(number, 12, emails=["us@example.com", "two@example.com"]))
        assert list(store.people(0, 10)) == [1, 2, 3]

    def test_handoffs_and_commands_stay_with_the_record_that_we_write(self, store):
        glued(store)
        settle(store, decision=Decision(handoffs=(handoff(1),), desired=Desired(sf(2), {})))
        parted = store.split(1, [mk(2), sf(2)], now=at(9))
        assert parted.identities == (mk(1), sf(1))
        assert store.dossier(1).identities == (mk(2), sf(2)) and store.dossier(1).decision.handoffs
        assert store.dossier(2).decision is None

    @pytest.mark.parametrize("named", [[], [mk(9)], [mk(1), mk(2), sf(1), sf(2)]])
    def test_a_split_of_nobody_is_refused(self, store, named):
        glued(store)
        with pytest.raises(UserError, match="cannot be split"):
            store.split(1, named, now=at(9))
        assert list(store.people(0, 10)) == [1]

    def test_one_name_at_one_mobile_number_joins_and_a_split_is_remembered(self, store):
        named = {"first_name": "Ana", "last_name": "Silva"}
        take(store, lead(1, mobile="0171 1234567", **named), lead(2, mobile="+49 (0)171/1234567", **named))
        take(store, lead(3, mobile="0171 1234567", first_name="Ben", last_name="Silva"))
        (one, other) = store.people(0, 10)
        assert store.dossier(one).identities == (mk(1), mk(2)) and store.dossier(one).shared == ()
        store.split(one, [mk(2)], now=at(5))
        take(store, lead(2, 6, mobile="0171 1234567", **named), lead(1, 6, mobile="0171 1234567", **named))
        assert [store.dossier(person).identities for person in store.people(0, 10)] == [(mk(1),), (mk(3),), (mk(2),)]
        assert other == 2


class Forgotten:
    def test_who_is_forgotten_by_the_only_system_that_knew_them_leaves_nothing(self, store):
        facts = (lead(1, emails=["ana@example.com"], title="CTO"), act(1, "a"), act(2, "b"))
        store.accept(page(*facts), "s", now=at(0))
        (person,) = store.find("ana@example.com")
        bodies = (
            b'{"e":"Ana@Example.com"}',
            b"e=ana%40example.com",
            b'{"e":"ben@example.com"}',
            b'{"e":"ana@example.com"}',
        )
        store.receive([Post("web", at(0), "POST", "/hooks/web", {}, body) for body in bodies]).result()
        refused = {post.id: "No." for post in store.inbox("web", 10)[:3]}
        store.unpack((), "web", read=(), refused=refused, heard={}, now=at(1))
        store.accept(page(Deleted(lead(1).identity, at(2), privacy=True)), "s", now=at(2))
        known = store.dossier(person)
        assert known.erased
        assert (known.leads, known.activities, known.emails, known.histories) == ((), (), (), ())
        assert store.find("ana@example.com") == ()
        assert [post.body for post in store.refused_posts()] == [bodies[2]]
        assert len(store.inbox("web", 10)) == 1, "what was promised and not read is read"
        again = store.accept(page(lead(1, 9, emails=["ana@example.com"]), act(1, "c", 9)), "s", now=at(9))
        assert again.new == 0 and store.find("ana@example.com") == ()

    def test_what_other_systems_know_of_them_stays(self, store):
        web, fair = lead(1, emails=["ana@example.com"], title="CTO"), lead(2, emails=["ana@example.com"])
        store.accept(page(web, fair, act(1, "a"), act(2, "b"), record(1, emails=["ana@example.com"])), "s", now=at(0))
        (person,) = store.find("ana@example.com")
        store.accept(page(Deleted(web.identity, at(2), privacy=True)), "s", now=at(2))
        known = store.dossier(person)
        assert not known.erased and known.emails == ("ana@example.com",)
        assert [one.identity for one in known.leads] == [fair.identity]
        assert [one.key for one in known.activities] == ["b"]
        assert len(known.records) == 1
        store.accept(page(Deleted(record(1).identity, at(3), privacy=True)), "s", now=at(3))
        (gone,) = store.dossier(person).records
        assert (gone.deleted, gone.fields, gone.emails) == (True, {}, ())

    def test_an_address_that_only_one_system_told_goes_with_it_and_what_was_refused_and_names_it_too(self, store):
        take(store, lead(1, emails=["ana@example.com", "Ana.Home@example.net"]), record(1, emails=("ana@example.com",)))
        (person,) = store.find("ana@example.com")
        bodies = (b'{"e":"ana.home@example.net"}', b'{"e":"ben@example.com"}')
        store.receive([Post("web", at(0), "POST", "/hooks/web", {}, body) for body in bodies]).result()
        refused = {post.id: "No." for post in store.inbox("web", 10)}
        store.unpack((), "web", read=(), refused=refused, heard={}, now=at(1))
        take(store, Deleted(mk(1), at(2), privacy=True))
        assert store.dossier(person).emails == ("ana@example.com",) and not store.dossier(person).erased
        assert store.find("ana.home@example.net") == ()
        assert [post.body for post in store.refused_posts()] == [bodies[1]]

    def test_an_answer_that_comes_after_they_were_forgotten_brings_nothing_back(self, store):
        take(store, lead(1, emails=["ana@example.com"]))
        (person,) = store.find("ana@example.com")
        create = {"last_name": "Silva", "email": "ana@example.com"}
        settle(
            store,
            commands=(
                write(person, create=create, emails=("ana@example.com",)),
                create_task(person, depends_on=("w1",)),
            ),
        )
        items = {one.command.key: one.revision for one in store.due("salesforce", at(1), 1)}
        assert items.keys() == {"w1"}
        take(store, Deleted(mk(1), at(2), privacy=True))
        receipt = Receipt("w1", sf(9), at(2), {"last_name": "Silva"}, note="Silva was there already.")
        store.confirm([("w1", items["w1"], Done(receipt))], now=at(3))
        assert store.dossier(person).erased
        (record_,) = store.dossier(person).records
        assert (record_.identity, record_.fields) == (sf(9), {}), "where it stands is known, so that it can be ended"
        told = {one.command.key: one for one in store.written(person, 10)}
        assert told["w1"].receipt == Receipt("w1", sf(9), at(2))
        assert (told["w1"].command.create, told["w1"].command.emails, told["t1"].command.body) == (None, (), "")
        (item,) = store.due("salesforce", at(3), 10)
        store.confirm([(item.command.key, item.revision, Refused("Silva has no owner."))], now=at(4))
        assert "Silva" not in store.outbox(("parked",))[0].why


class Crowds:
    """Who changed many people's records within a second, for whoever asks whether that was a touch."""

    def test_a_bulk_edit_is_told_to_all_whom_it_concerns(self, store):
        take(store, *(record(n, emails=(f"p{n}@example.com",)) for n in range(1, 7)))
        take(store, *(change(n, f"h{n}", "status", "Open", "Working", 10, by="ana") for n in range(1, 5)))
        take(store, change(5, "h5", "status", "Open", "Working", 10, by="ben"))
        take(store, change(6, "h6", "status", "Open", "Working", 11, by="ana"))
        assert [crowd.people for crowd in store.dossier(1).crowds] == [4]
        assert (store.dossier(1).crowds[0].by, store.dossier(1).crowds[0].at) == ("ana", at(10))
        assert store.dossier(5).crowds == () and store.dossier(6).crowds == ()

    def test_who_comes_later_to_a_crowd_makes_the_others_be_planned_anew(self, store):
        take(store, *(record(n, emails=(f"p{n}@example.com",)) for n in range(1, 5)))
        take(store, *(change(n, f"h{n}", "status", "Open", "Working", 10, by="ana") for n in range(1, 4)))
        settle(store)
        assert not store.unsettled(at(2), 10).dossiers
        second = 10 + 1 / 60
        take(store, change(4, "h4", "status", "Open", "Working", second, by="ana"))
        assert [one.person for one in store.unsettled(at(2), 10).dossiers] == [1, 2, 3, 4]
        assert [crowd.people for crowd in store.dossier(4).crowds] == [4]

    def test_tasks_that_are_ticked_off_together_are_a_crowd_and_open_ones_are_none(self, store):
        take(store, *(record(n, emails=(f"p{n}@example.com",)) for n in range(1, 4)))
        closed = {"closed": True, "closed_at": at(10)}
        take(store, task("T1", 1, 10, **closed), task("T2", 2, 10, **closed), task("T3", 3, 10))
        assert [crowd.people for crowd in store.dossier(1).crowds] == [2]
        assert store.dossier(3).crowds == ()

    def test_one_person_with_two_records_is_no_crowd_and_what_is_old_is_forgotten(self, store):
        take(store, *(record(n, emails=("a@example.com",)) for n in (1, 2)), record(3, emails=("b@example.com",)))
        take(store, *(change(n, f"h{n}", "status", "Open", "Working", 10, by="ana") for n in (1, 2)))
        assert store.dossier(1).crowds == ()
        take(store, change(3, "h3", "status", "Open", "Working", 10, by="ana"))
        assert [crowd.people for crowd in store.dossier(1).crowds] == [2]
        month = 60 * 24 * 30
        take(store, change(1, "h4", "status", "Working", "Open", month, by="ana"), minute=month)
        assert store.dossier(1).crowds == ()
