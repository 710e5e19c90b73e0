"""What every `Store` keeps of the inbox: stored before it is answered, gone with what it says, refused in sight."""

import pytest

from syncagent.state import inbox
from syncagent.state.store import Post
from tests.state.story_values import act, at, lead


def post(number: int, minute: float = 0, source: str = "web", body: bytes = b"") -> Post:
    return Post(source, at(minute), "POST", f"/hooks/{source}?n={number}", {"ce-id": str(number)}, body or b"\x00\xff{")


def keep(store, *posts):
    store.receive(posts).result(10)


def unpack(store, *facts, read=(), refused=None, heard=None, minute=9):
    return store.unpack(facts, "web", read=read, refused=refused or {}, heard=heard or {}, now=at(minute))


class Inbox:
    def test_what_was_received_is_read_as_it_came_oldest_first(self, store):
        keep(store, post(1), post(2, 1))
        keep(store, post(3, source="other"), post(4))
        first, second, third = store.inbox("web", 10)
        assert (first.method, first.url, first.headers, first.body) == (
            "POST",
            "/hooks/web?n=1",
            {"ce-id": "1"},
            b"\x00\xff{",
        )
        assert (first.source, first.arrived, second.arrived) == ("web", at(0), at(1))
        assert third.headers == {"ce-id": "4"}
        assert [one.headers for one in store.inbox("web", 2)] == [{"ce-id": "1"}, {"ce-id": "2"}]
        assert len(store.inbox("other", 10)) == 1
        assert store.health(at(1)).inbox == {"waiting": 4}

    def test_a_batch_is_bounded_by_its_bytes_too(self, store):
        keep(store, *(post(n, body=b"x" * (3 << 20)) for n in range(5)))
        assert len(store.inbox("web", 100)) == 3

    def test_facts_come_and_the_delivery_goes_as_one(self, store):
        keep(store, post(1), post(2))
        first, second = store.inbox("web", 10)
        accepted = unpack(store, lead(1, emails=["a@example.com"]), act(1, "a"), read=[first.id])
        assert accepted.new == 2
        assert [one.id for one in store.inbox("web", 10)] == [second.id]
        assert store.find("a@example.com") == accepted.people

    def test_what_cannot_be_stored_leaves_the_delivery(self, store):
        keep(store, post(1))
        (only,) = store.inbox("web", 10)
        with pytest.raises(Exception):  # noqa: B017 - whatever a store says of a fact that is none
            unpack(store, act(1, "a", attributes=object()), lead(None), read=[only.id])
        assert store.inbox("web", 10) == (only,)
        assert store.health(at(1)).people == 0

    def test_a_refused_one_waits_in_sight_and_holds_up_nobody(self, store):
        keep(store, post(1), post(2))
        first, second = store.inbox("web", 10)
        unpack(store, refused={first.id: "It names nobody."})
        assert [one.id for one in store.inbox("web", 10)] == [second.id]
        (shown,) = store.refused_posts()
        assert (shown.id, shown.why, shown.body) == (first.id, "It names nobody.", first.body)
        assert store.health(at(1)).inbox == {"waiting": 1, "refused": 1}

    def test_refused_ones_are_read_again_or_given_up(self, store):
        keep(store, *(post(n) for n in range(4)))
        ids = [one.id for one in store.inbox("web", 10)]
        unpack(store, refused=dict.fromkeys(ids[:3], "No."))
        assert store.retry_posts([ids[0], ids[3], 999]) == 1
        assert [one.id for one in store.inbox("web", 10)] == [ids[0], ids[3]]
        assert store.drop_posts([ids[1], ids[0]]) == 1
        assert store.retry_posts() == 1
        assert [one.id for one in store.inbox("web", 10)] == [ids[0], ids[2], ids[3]]
        assert store.health(at(1)).inbox == {"waiting": 3}

    def test_the_name_of_an_undated_delivery_keeps_its_first_arrival_for_some_days(self, store):
        unpack(store, heard={"a": at(1), "b": at(2)})
        unpack(store, heard={"a": at(5)})
        assert store.heard("web", ["a", "b", "c"]) == {"a": at(1), "b": at(2)}
        assert store.heard("other", ["a"]) == {}
        unpack(store, heard={"c": at(9)}, minute=8 * 24 * 60)
        assert store.heard("web", ["a", "b", "c"]) == {"c": at(9)}

    def test_refused_ones_are_given_up_when_they_are_old_and_what_waits_never_is(self, store):
        keep(store, post(1, 0), post(2, 10), post(3, 0, source="other"))
        first, second = store.inbox("web", 10)
        unpack(store, refused={first.id: "No.", second.id: "No."})
        assert store.expire_posts(at(0)) == 0
        assert store.expire_posts(at(5)) == 1
        assert [one.id for one in store.refused_posts()] == [second.id]
        assert store.expire_posts(at(60)) == 1
        assert store.refused_posts() == ()
        assert len(store.inbox("other", 10)) == 1, "it was promised"

    def test_of_too_many_refused_ones_the_newest_stay(self, store, monkeypatch):
        monkeypatch.setattr(inbox, "MOST_REFUSED", 3)
        monkeypatch.setattr(inbox, "MOST_REFUSED_BYTES", 1000)
        keep(store, *(post(n) for n in range(5)))
        ids = [one.id for one in store.inbox("web", 10)]
        unpack(store, refused=dict.fromkeys(ids, "No."))
        assert store.expire_posts(at(-60)) == 2
        assert [one.id for one in store.refused_posts()] == ids[2:]
        assert store.expire_posts(at(-60)) == 0
        keep(store, post(9, body=b"x" * 999))
        (large,) = store.inbox("web", 10)
        unpack(store, refused={large.id: "No."})
        assert store.expire_posts(at(-60)) == 3
        assert [one.id for one in store.refused_posts()] == [large.id]
