"""When people are told, how often, and what alarms whoever answers for marketing and sales."""

from msgspec import Struct

from syncagent.policy.conditions import Duration


class RejectionAlarm(Struct, frozen=True):
    """Many handed-over leads of one source, campaign or rule are given back or disqualified.

    Of those handed over `within` and answered since, at least `least` of them, a `share` was rejected. `tell`: a CRM
    user's id; empty: the team's manager.
    """

    share: float = 0.4
    least: int = 10
    within: Duration = Duration(days=28)
    tell: str = ""


class SilenceAlarm(Struct, frozen=True):
    """A system that has not been heard of for too long: `within` seconds, or what `systems` say of it by name.

    `within` None: so long as ten of its polls take, a quarter of an hour at least. `tell`: a CRM user's id; empty: the
    team's manager.
    """

    within: float | None = None
    systems: dict[str, float] = {}
    tell: str = ""


class AlertPolicy(Struct, frozen=True):
    """How reminders and alerts reach people.

    `quiet`: minutes after local midnight between which nobody is reminded, in the recipient's own zone; it may span
    midnight. `budget`: so many reminders a person a day; what is above waits for `digest` (minutes after midnight).
    `sinks`: where alerts go besides the CRM, each with the CRM ids of those it is for.
    """

    quiet: tuple[int, int] | None = None
    budget: int | None = None
    digest: int = 8 * 60
    sinks: dict[str, tuple[str, ...]] = {}
    digests: tuple[str, ...] = ()  # sinks that send one message a day
    rejections: RejectionAlarm | None = None
    silence: SilenceAlarm = SilenceAlarm()
