"""The roster while a plan is made: whose turn it is, how much everybody has, and who got a company's last lead.

A turn shares one lead out among all who can take it, by weight; who has the most to come gets it and pays one. So
credit is what somebody should have had less what they got, in leads; who cannot take a lead neither wins nor loses by
it, and who joins begins with none. Nothing else ever moves a credit, so all that bounds it is whom a turn picks:

    With n reps nobody is ever more than (n - 1) / 2 leads ahead of their share of what they could have taken, whoever
    is there for which lead, and by whatever weights.

Why: let f(S) be how far the reps of a set S are ahead together, g(k) = k (n - k) / 2, and say that a lead is the first
after which f(S) > g(|S|) for some S. Of the sets that are too far ahead by the most, m, take the largest S. The lead
went to some c; it put S forward, so c is in S and some j, who could have taken it, is not (f of all who could is as it
was). Less of c than of j had come, not counting this lead: f(S) - f(S without c) - 1 <= f(S with j) - f(S). Hence
2 f(S) <= f(S without c) + f(S with j) + 1 <= g(k - 1) + m + g(k + 1) + m + 1 = 2 (g(k) + m) = 2 f(S), so S with j is
too far ahead by m as well, and larger. Where reps join and leave, the same holds of g(k) = k (2n - 1 - k) / 2 with n
the most at once: nobody is more than n - 1 leads ahead.

So with three reps it is one lead. With four or more no rule that does not know tomorrow's absences can hold one lead
whatever comes (the carpool problem of Fagin and Williams, 1983): tests/unit/handoff/test_fairness.py plays it out.
"""

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from syncagent.handoff.calendar import local_day
from syncagent.model import Assignment, Roster, Turn
from syncagent.policy import Policy, Rep

_COMPANIES = 2000
LEAST_WEIGHT = 1e-6


class Loads:
    """A copy of the roster that turns and counts are taken from; `roster` is how it stands after."""

    def __init__(self, roster: Roster, policy: Policy, now: datetime) -> None:
        self._first, self._zone = roster, policy.timezone
        self._turns = {pool: dict(credit) for pool, credit in roster.turns.items()}
        self._open = dict(roster.open)
        self._day = local_day(now, policy.timezone)
        self._today = dict(roster.today) if roster.day == self._day else {}
        self._reminded = dict(roster.reminded) if roster.day == self._day else {}
        self._companies: dict[str, str] | None = None

    # -- how much everybody has

    def take(self, owner: str, *, counted: bool = True) -> None:
        """One more open lead with this owner; `counted` when we gave it (not when a person did)."""
        self._open[owner] = self._open.get(owner, 0) + 1
        if counted:
            self._today[owner] = self._today.get(owner, 0) + 1

    def give_back(self, owner: str) -> None:
        """One open lead fewer with this owner."""
        _less(self._open, owner)

    def remind(self, who: str) -> int:
        """One more alert for this person today; how many they have had before it."""
        before = self._reminded.get(who, 0)
        self._reminded[who] = before + 1
        return before

    def open_of(self, owner: str) -> int:
        """How many leads are with this owner now."""
        return self._open.get(owner, 0)

    def given_today(self, owner: str) -> int:
        """How many leads this owner was given today."""
        return self._today.get(owner, 0)

    def is_active(self, owner: str) -> bool:
        """Whether the CRM has not said otherwise."""
        return self._first.active.get(owner, True)

    def is_known(self, owner: str) -> bool:
        """Whether the CRM has told this user or queue."""
        return owner in self._first.active

    def called(self, owner: str) -> str:
        """What the CRM calls them; the id where it has not said."""
        return self._first.names.get(owner, owner)

    def absent(self, owner: str) -> tuple[datetime, datetime] | None:
        """From when until when a user is away, as they told the CRM."""
        return self._first.absent.get(owner)

    # -- whose turn it is

    def credit(self, pool: str, owner: str) -> float:
        """What somebody has to come in a pool, in leads; below 0 they are ahead."""
        return self._turns.get(pool, {}).get(owner, 0.0)

    def turn(self, pool: str, members: Sequence[str], able: Sequence[Rep]) -> tuple[Rep, Turn, dict[str, float]]:
        """Who of those who can take it gets it, what the turn gave to whom, and what each had to come before it.

        `members` are all of the pool in their order, which decides between equals; who is no member any more is
        forgotten.
        """
        old = self._turns.get(pool, {})
        credit = {one: old.get(one, 0.0) for one in members}
        shares = _shares(able)
        before = {one: credit[one] + share for one, share in shares.items()}
        credit.update(before)
        chosen = max(able, key=lambda rep: credit[rep.crm_id])
        credit[chosen.crm_id] -= 1.0
        self._turns[pool] = credit
        return chosen, Turn(pool, shares), before

    def meet(self, pool: str, members: Sequence[str]) -> None:
        """Write a pool's members down, so that whoever waits for it is told when one of them is freer."""
        old = self._turns.get(pool, {})
        self._turns[pool] = {one: old.get(one, 0.0) for one in members}

    def undo(self, assignment: Assignment) -> None:
        """An assignment was refused or withdrawn: turn and day's count are as if it had never been."""
        if not assignment.pinned and local_day(assignment.at, self._zone) == self._day:
            _less(self._today, assignment.owner)
        turn = assignment.turn
        credit = self._turns.get(turn.pool) if turn is not None else None
        if turn is None or credit is None:
            return
        for one, share in turn.shares.items():
            if one in credit:
                back = 1.0 if one == assignment.owner else 0.0
                credit[one] += back - share

    # -- one rep for a company

    def rep_of(self, pool: str, company: str) -> str:
        """Who got the last lead of this company from this pool, as far back as is remembered."""
        known = self._first.companies if self._companies is None else self._companies
        return known.get(f"{pool}|{company}", "")

    def remember(self, pool: str, company: str, owner: str) -> None:
        """The next lead of this company goes to the same rep; the oldest companies are forgotten first."""
        if self._companies is None:
            self._companies = dict(self._first.companies)
        key = f"{pool}|{company}"
        self._companies.pop(key, None)
        self._companies[key] = owner
        while len(self._companies) > _COMPANIES:
            del self._companies[next(iter(self._companies))]

    def roster(self) -> Roster:
        """The roster after the plan."""
        companies = self._first.companies if self._companies is None else self._companies
        return replace(
            self._first,
            turns=self._turns,
            open=self._open,
            today=self._today,
            day=self._day,
            reminded=self._reminded,
            companies=companies,
        )


def _less(counts: dict[str, int], owner: str) -> None:
    left = counts.get(owner, 0) - 1
    if left > 0:
        counts[owner] = left
    else:
        counts.pop(owner, None)


def _shares(able: Sequence[Rep]) -> dict[str, float]:
    weights = {rep.crm_id: max(rep.weight, LEAST_WEIGHT) for rep in able}
    total = sum(weights.values())
    return {one: weight / total for one, weight in weights.items()}
