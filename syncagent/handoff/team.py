"""The reps of a policy, ready to be asked about: by CRM id, with their zones and days off."""

from collections.abc import Collection

from syncagent.handoff.calendar import Spans, apart
from syncagent.handoff.compiled import once_per_policy
from syncagent.model import Roster
from syncagent.policy import Policy, Rep


class Team:
    """Everybody who takes leads, by CRM id; somebody whom the policy does not name has its zone and holidays."""

    def __init__(self, policy: Policy) -> None:
        self.reps = {rep.crm_id: rep for rep in policy.reps}
        self._zone = policy.timezone
        self._holidays = frozenset(policy.holidays)
        self._off = {rep.crm_id: self._days(rep) for rep in policy.reps}
        self._busy = {rep.crm_id: apart(rep.busy) for rep in policy.reps if rep.busy}

    def rep(self, crm_id: str) -> Rep:
        """The rep with this id, or one with nothing but the id."""
        return self.reps.get(crm_id) or Rep(name=crm_id, crm_id=crm_id)

    def zone(self, rep: Rep) -> str:
        """Where this rep's days begin."""
        return rep.hours.zone if rep.hours is not None else self._zone

    def days_off(self, rep: Rep) -> Collection[str]:
        """ISO dates on which this rep does not work: absences, and the holidays where they live."""
        return self._off.get(rep.crm_id, self._holidays)

    def busy(self, rep: Rep) -> Spans:
        """When this rep is away for part of a day, or for days, from moment to moment: in order, none touching."""
        return self._busy.get(rep.crm_id, ())

    def _days(self, rep: Rep) -> frozenset[str]:
        holidays = self._holidays if rep.holidays is None else frozenset(rep.holidays)
        return holidays | frozenset(rep.away)


@once_per_policy
def team_of(policy: Policy) -> Team:
    """The reps of a policy."""
    return Team(policy)


def called_by(policy: Policy, roster: Roster, who: str) -> str:
    """What people call a CRM user or queue; its id where nobody has told a name."""
    rep = team_of(policy).reps.get(who)
    if rep is not None:
        return rep.name
    queues = (name for name, known in policy.queues.items() if known == who)
    return roster.names.get(who) or next(queues, who)


def manager_of(owner: str, policy: Policy, *, other: str = "") -> str:
    """Who is told when a promise is broken: the rep's manager, else the policy's, else the step's own."""
    rep = team_of(policy).reps.get(owner)
    return (rep.manager if rep is not None else "") or policy.manager or other
