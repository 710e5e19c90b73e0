"""[alerts]: when people may be reminded, how often, where else alerts go, and what alarms a manager."""

import re
from collections.abc import Callable, Mapping

from msgspec import Struct, field

from syncagent.config.reading import duration, seconds
from syncagent.policy import AlertPolicy, Duration, RejectionAlarm, SilenceAlarm

Tell = Callable[[str, str, str], None]
"""Takes a problem: its path, what is wrong, what helps."""

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


class RejectionsTable(Struct, frozen=True):
    """[alerts.rejections]: when many rejected leads are an alarm."""

    share: float = 0.4
    least: int = 10
    within: str = "28d"
    tell: str = ""


class SilenceTable(Struct, frozen=True):
    """[alerts.silence]: how long a system may not be heard of. `within` empty: ten polls, 15 minutes at least."""

    within: str = ""
    systems: dict[str, str] = field(default_factory=dict)
    tell: str = ""


class SinkTable(Struct, frozen=True):
    """What [alerts.sinks.NAME] agrees on; the rest is its connector's. `to`: reps by name, or CRM ids."""

    to: dict[str, str] | list[str]
    digest: bool = False


class AlertsTable(Struct, frozen=True):
    """[alerts]."""

    quiet: str = ""
    budget: int | None = None
    digest: str = "08:00"
    rejections: RejectionsTable | None = None
    silence: SilenceTable = SilenceTable()
    sinks: dict[str, SinkTable] = field(default_factory=dict)


SINK_KEYS = SinkTable.__struct_fields__
"""Keys of a sink that are the agreement's."""


def alerts(table: AlertsTable, tell: Tell, user: Callable[[str, str], str]) -> AlertPolicy:
    """The policy. `user`: a rep's name or a CRM id as a CRM id."""
    if table.budget is not None and table.budget < 1:
        tell("alerts.budget", "A budget below 1 would never remind anybody.", "For example: budget = 10.")
    return AlertPolicy(
        quiet=_quiet(table.quiet, tell),
        budget=table.budget,
        digest=_minutes(table.digest, "alerts.digest", tell),
        sinks={
            name: tuple(user(who, f"alerts.sinks.{name}.to") for who in sink.to) for name, sink in table.sinks.items()
        },
        digests=tuple(name for name, sink in table.sinks.items() if sink.digest),
        rejections=_rejections(table.rejections, tell, user) if table.rejections is not None else None,
        silence=_silence(table.silence, tell, user),
    )


def addresses(sink: SinkTable, user: Mapping[str, str]) -> dict[str, str] | tuple[str, ...]:
    """Whom a sink reaches, by CRM id: at which address, or in one place for all. `user`: ids by name without case."""
    if isinstance(sink.to, list):
        return tuple(user.get(who.casefold(), who) for who in sink.to)
    return {user.get(who.casefold(), who): where for who, where in sink.to.items()}


def _rejections(table: RejectionsTable, tell: Tell, user: Callable[[str, str], str]) -> RejectionAlarm:
    path = "alerts.rejections"
    if not 0 < table.share <= 1:
        tell(f"{path}.share", f"{table.share:g} is no share.", "Write 0.4 for 40 %.")
    if table.least < 1:
        tell(f"{path}.least", "At least one answered lead is needed.", "For example: least = 10.")
    within = Duration(days=28)
    try:
        within = duration(table.within)
    except ValueError as error:
        tell(f"{path}.within", str(error), "")
    return RejectionAlarm(table.share, table.least, within, user(table.tell, f"{path}.tell"))


def _silence(table: SilenceTable, tell: Tell, user: Callable[[str, str], str]) -> SilenceAlarm:
    path = "alerts.silence"

    def read(text: str, where: str) -> float:
        try:
            return seconds(text)
        except ValueError as error:
            tell(where, str(error), "For example: 30m.")
            return 3600.0

    return SilenceAlarm(
        read(table.within, f"{path}.within") if table.within else None,
        {name: read(text, f"{path}.systems.{name}") for name, text in table.systems.items()},
        user(table.tell, f"{path}.tell"),
    )


def _quiet(text: str, tell: Tell) -> tuple[int, int] | None:
    if not text:
        return None
    begin, dash, end = (part.strip() for part in text.partition("-"))
    if not dash:
        tell("alerts.quiet", f"{text!r} is no span of a day.", 'For example: quiet = "19:00-07:00".')
        return None
    return _minutes(begin, "alerts.quiet", tell), _minutes(end, "alerts.quiet", tell)


def _minutes(text: str, path: str, tell: Tell) -> int:
    found = _CLOCK.fullmatch(text)
    if found is None:
        tell(path, f"{text!r} is no time of day.", 'For example: "08:00".')
        return 0
    return int(found[1]) * 60 + int(found[2])
