"""Laws 6 and 8 at the end of every story: nobody past the line is in no state, or in two; the journal is whole, and
every decision about a handoff, and every live one, comes out the same when it is made again.
"""

from datetime import datetime
from pathlib import Path

from syncagent.config import load
from syncagent.policy import Policy
from syncagent.reports.audit import audit
from syncagent.reports.chain import links, sentences, verify
from syncagent.reports.replay import again
from syncagent.state import open_store
from syncagent.state.journal import QUIET
from syncagent.state.store import Store

KNOWN = ("same", "folded", "forgotten", "no policy")
"""How a decision may come out; "no policy": some stories hand the agent a policy behind the state's back."""


def assert_nobody_lost(store: Store, policy: Policy, now: datetime) -> None:
    """As `syncagent audit` would say it."""
    found = audit(store, policy, now)
    assert not found.violations, [(one.person, one.standing.why) for one in found.violations]


def assert_trusted(store: Store, people: int = 200) -> None:
    """As `syncagent journal verify` and `syncagent explain --at` would say it; of the first so many people."""
    ledger = store.ledger()
    assert sentences(verify(links(ledger.lines()), ever=ledger.ever()).findings) == ()
    for person in store.people(0, people, with_sales=False):
        for made in ledger.decisions(person):
            decided = made.lines[0].config and not made.forgotten
            if made.inputs or (decided and not QUIET.issuperset(line.kind for line in made.lines)):
                replay = again(ledger, made, store.dossier(person))
                assert replay.how in KNOWN, (person, [line.kind for line in made.lines], replay.says)


def assert_nobody_lost_in(state: Path, config: Path, now: datetime) -> None:
    """As above, of a state file that no agent has open."""
    store = open_store(state, read_only=True)
    try:
        live_from = store.meta("live_from")
        assert live_from is not None
        assert_nobody_lost(store, load(config).policy(datetime.fromisoformat(live_from)), now)
        assert_trusted(store)
    finally:
        store.close()
