"""Law 6 at the end of every story: nobody past the line is in no state, or in two."""

from datetime import datetime
from pathlib import Path

from syncagent.config import load
from syncagent.policy import Policy
from syncagent.reports.audit import audit
from syncagent.state import open_store
from syncagent.state.store import Store


def assert_nobody_lost(store: Store, policy: Policy, now: datetime) -> None:
    """As `syncagent audit` would say it."""
    found = audit(store, policy, now)
    assert not found.violations, [(one.person, one.standing.why) for one in found.violations]


def assert_nobody_lost_in(state: Path, config: Path, now: datetime) -> None:
    """As above, of a state file that no agent has open."""
    store = open_store(state, read_only=True)
    try:
        live_from = store.meta("live_from")
        assert live_from is not None
        assert_nobody_lost(store, load(config).policy(datetime.fromisoformat(live_from)), now)
    finally:
        store.close()
