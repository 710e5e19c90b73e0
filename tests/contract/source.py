"""What every source promises, as tests. A new connector is done when its own test file passes them.

A connector's test file (see test_memory.py, 60 lines; test_marketo.py for one behind real HTTP) brings a `world`: the
vendor's side of the story, usually its sandbox server and the control API, and the connector that looks at it:

    from tests.contract.source import SourceContract

    class AcmeWorld:
        source = ...                     the connector, opened with a page size of about 50
        secrets = ("s3cret", ...)        must never stand in a message or a log
        can = frozenset({"empty", ...})  the faults below that this vendor knows at all; the others are skipped
        idle_calls = 1                   what a round costs when nothing is new

        def fresh(self): ...             another connector on the same world, as after a restart
        def now(self): ...               the vendor's own time, aware
        def advance(self, seconds): ...  lets it pass
        def happen(self, count, at=None): ...   so many new things happen, and are told from now on; `at` is when they
                                         say they happened (default: now). Returns their names, any strings, as a set
        def told(self, facts): ...       the names, in order, that these facts tell (other facts are passed over)
        def plant(self, fault): ...      see below
        def writes(self): ...            how many calls or changes so far were not plain reads
        def record(self): ...            a new record; its Identity
        def delete(self, identity): ...
        def merge(self, winner, loser): ...

    class TestAcmeSource(SourceContract):
        @pytest.fixture
        def world(self):
            with Sandbox(["acme"]) as box:
                yield AcmeWorld(box)

`plant(fault)` makes the next read go wrong, once unless said otherwise:

    "empty"        a page with nothing in it and more behind it
    "loop"         from now on the same paging token again and again, always with more to come
    "dead"         the tokens in every cursor stop working
    "throttled"    too many calls (429, or the vendor's own word)
    "quota"        the day's allowance is spent
    "broken"       a 5xx with a web page
    "cut"          the body ends in the middle
    "credentials"  refused, from now on
    "late"         not planted: this source finds late things by a sweep; then `sweep` is how many seconds to let pass
    "merge", "delete"  not planted: this vendor knows such a thing

Facts may be told twice (the store knows them by key); what counts is that nothing is missing. The tests ask only for
what `syncagent.connectors.base` promises, and every one of them has been seen to fail on a connector with that bug.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice

import msgspec
import pytest

from syncagent.connectors.base import Source
from syncagent.errors import ConnectorDownError, RetryableError
from syncagent.model import Deleted, Fact, Identity, Merged, Page

PATIENCE = 2_000  # pages; a pull that yields more is not going to end


def moments(value: object) -> Iterable[datetime]:
    """Every datetime inside a fact."""
    if isinstance(value, datetime):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from moments(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from moments(each)
    elif isinstance(value, msgspec.Struct):
        for each in msgspec.structs.astuple(value):
            yield from moments(each)


def read(source: Source, cursor: str) -> list[Page]:
    """All pages there are now, patiently: what is to be retried is retried, as the agent does."""
    pages: list[Page] = []
    for _ in range(20):
        try:
            for page in source.pull(cursor):
                pages.append(page)
                cursor = page.cursor
                assert len(pages) < PATIENCE, "The pull does not end."
        except RetryableError:
            continue
        return pages
    pytest.fail("The source did not recover from one planted fault.")


def facts_of(pages: Iterable[Page]) -> list[Fact]:
    return [fact for page in pages for fact in page.facts]


class SourceContract:
    """Subclass it with a `world` fixture: see the top of this file."""

    @staticmethod
    def needs(world, fault):
        if fault not in world.can:
            pytest.skip(f"This vendor knows no {fault!r}.")

    def start(self, world, ago=3600):
        return world.source.begin(world.now() - timedelta(seconds=ago))

    def test_is_a_source(self, world):
        assert isinstance(world.source, Source)

    def test_tells_everything_since_the_beginning(self, world):
        cursor = self.start(world)
        names = world.happen(230)
        assert set(world.told(facts_of(read(world.source, cursor)))) == names

    def test_goes_on_from_any_cursor_after_a_restart_and_misses_nothing(self, world):
        cursor = self.start(world)
        names = world.happen(230)
        pages = read(world.source, cursor)
        assert len(pages) > 2
        before: set[str] = set()
        for page in pages:
            before |= set(world.told(page.facts))
            after = set(world.told(facts_of(read(world.fresh(), page.cursor))))
            assert before | after == names

    def test_a_pull_that_is_given_up_in_the_middle_can_be_taken_up_again(self, world):
        cursor = self.start(world)
        names = world.happen(230)
        first = list(islice(world.source.pull(cursor), 2))
        rest = read(world.source, first[-1].cursor)
        assert set(world.told(facts_of([*first, *rest]))) == names

    def test_pages_that_could_not_be_stored_are_told_again(self, world):
        cursor = self.start(world)
        names = world.happen(230)
        assert list(islice(world.source.pull(cursor), 2))
        assert set(world.told(facts_of(read(world.source, cursor)))) == names

    def test_what_happens_later_is_told_later_and_the_old_is_not_told_again(self, world):
        pages = read(world.source, self.start(world))
        for _ in range(3):
            names = world.happen(7)
            pages = read(world.source, pages[-1].cursor)
            assert sorted(world.told(facts_of(pages))) == sorted(names)

    def test_twelve_thousand_things_with_one_timestamp_are_all_read(self, world):
        cursor = self.start(world)
        names = world.happen(12_000, at=world.now())
        assert set(world.told(facts_of(read(world.source, cursor)))) == names

    def test_an_empty_page_does_not_end_the_pull(self, world):
        self.needs(world, "empty")
        cursor = self.start(world)
        names = world.happen(120)
        world.plant("empty")
        assert set(world.told(facts_of(list(world.source.pull(cursor))))) == names

    def test_the_same_token_twice_raises_instead_of_looping(self, world):
        self.needs(world, "loop")
        cursor = self.start(world)
        world.happen(120)
        world.plant("loop")
        with pytest.raises(RetryableError):
            list(islice(world.source.pull(cursor), 100))

    def test_tokens_that_stop_working_lose_nothing(self, world):
        self.needs(world, "dead")
        pages = read(world.source, self.start(world))
        names = world.happen(120)
        world.plant("dead")
        assert names <= set(world.told(facts_of(read(world.source, pages[-1].cursor))))

    def test_what_arrives_late_is_found_by_the_sweep(self, world):
        self.needs(world, "late")
        pages = read(world.source, self.start(world))
        names = world.happen(5, at=world.now() - timedelta(minutes=30))
        names |= world.happen(5)
        told = read(world.source, pages[-1].cursor)
        world.advance(world.sweep)
        told += read(world.source, told[-1].cursor)
        assert names <= set(world.told(facts_of(told)))

    def test_a_backfill_ends_at_its_end(self, world):
        names = world.happen(60, at=world.now() - timedelta(hours=5))
        world.happen(60, at=world.now() - timedelta(hours=1))
        since, until = world.now() - timedelta(hours=8), world.now() - timedelta(hours=3)
        pages = read(world.source, world.source.begin(since, until))
        assert set(world.told(facts_of(pages))) == names
        assert pages[-1].seen_until is not None
        assert pages[-1].seen_until >= until

    def test_moments_are_aware_and_utc(self, world):
        cursor = self.start(world)
        world.happen(10)
        pages = read(world.source, cursor)
        found = list(moments(pages))
        assert found
        assert all(moment.tzinfo is not None and moment.utcoffset() == timedelta(0) for moment in found)

    def test_the_last_page_says_until_when_it_has_read(self, world):
        cursor = self.start(world)
        world.happen(10)
        seen = read(world.source, cursor)[-1].seen_until
        assert seen is not None
        assert world.now() - timedelta(minutes=1) <= seen <= world.now() + timedelta(seconds=2)

    def test_nothing_new_costs_about_one_call(self, world):
        world.happen(10)
        pages = read(world.source, self.start(world))
        pages = read(world.source, pages[-1].cursor)
        before = world.source.calls()["made"]
        for _ in range(5):
            pages = read(world.source, pages[-1].cursor)
        assert world.source.calls()["made"] - before <= 5 * world.idle_calls

    def test_check_finds_nothing_wrong_and_writes_nothing(self, world):
        writes = world.writes()
        assert [problem for problem in world.source.check() if problem.fatal] == []
        assert world.writes() == writes

    def test_check_tells_refused_credentials_and_how_to_mend_them(self, world):
        self.needs(world, "credentials")
        world.plant("credentials")
        problems = [problem for problem in world.fresh().check() if problem.fatal]
        assert problems
        assert problems[0].help
        assert not any(secret in str(problem) for secret in world.secrets for problem in problems)

    def test_refused_credentials_put_the_system_down_until_somebody_mends_them(self, world):
        self.needs(world, "credentials")
        cursor = self.start(world)
        world.plant("credentials")
        with pytest.raises(ConnectorDownError) as caught:
            list(world.fresh().pull(cursor))
        assert not any(secret in str(caught.value) for secret in world.secrets)

    def test_a_spent_quota_says_until_when(self, world):
        self.needs(world, "quota")
        cursor = self.start(world)
        names = world.happen(5)
        world.plant("quota")
        with pytest.raises(ConnectorDownError) as caught:
            list(world.source.pull(cursor))
        assert caught.value.until is not None
        assert caught.value.until.utcoffset() == timedelta(0)
        assert world.now() < caught.value.until <= world.now() + timedelta(hours=25)
        assert set(world.told(facts_of(read(world.source, cursor)))) == names

    @pytest.mark.parametrize("fault", ["throttled", "broken", "cut"])
    def test_a_fault_loses_nothing_and_its_message_holds_no_secret(self, world, fault, caplog):
        self.needs(world, fault)
        cursor, pages = self.start(world), []
        names = world.happen(120)
        caplog.set_level("DEBUG")
        world.plant(fault)
        raised = None
        try:
            for page in world.source.pull(cursor):
                pages.append(page)
                cursor = page.cursor
        except RetryableError as error:
            raised = error
            pages += read(world.source, cursor)
        assert raised is None or raised.after > 0
        assert not any(secret in str(raised) for secret in world.secrets)
        assert "@" not in str(raised)
        assert set(world.told(facts_of(pages))) == names
        assert not any(secret in caplog.text for secret in world.secrets)

    def test_looking_tells_records_as_they_are(self, world):
        identities = [world.record() for _ in range(3)]
        page = world.source.look(identities)
        assert page.cursor == ""
        told = {getattr(fact, "identity", None) for fact in page.facts}
        assert set(identities) <= told

    def test_looking_for_what_never_was_is_no_error(self, world):
        known = world.record()
        missing = Identity(known.system, known.object, known.id[:-1] + "9" * 8)
        page = world.source.look([missing, known])
        assert known in {getattr(fact, "identity", None) for fact in page.facts}

    def test_a_deleted_record_is_told(self, world):
        self.needs(world, "delete")
        identity = world.record()
        pages = read(world.source, self.start(world))
        world.delete(identity)
        world.advance(getattr(world, "deletions", 0))
        facts = facts_of(read(world.source, pages[-1].cursor))
        facts += world.source.look([identity]).facts
        assert identity in [fact.identity for fact in facts if isinstance(fact, Deleted)]

    def test_a_merged_record_is_told_with_its_winner(self, world):
        self.needs(world, "merge")
        winner, loser = world.record(), world.record()
        pages = read(world.source, self.start(world))
        world.merge(winner, loser)
        facts = facts_of(read(world.source, pages[-1].cursor))
        facts += world.source.look([loser]).facts
        merged = [fact for fact in facts if isinstance(fact, Merged)]
        assert merged
        assert merged[0].winner == winner
        assert loser in merged[0].losers
        assert merged[0].at.tzinfo == UTC
