"""[handoff.brief] and [insight]: what reps are told, in the admin's words; every slip is told with its path."""

from collections.abc import Iterable

from msgspec import Struct

from syncagent.config.alerts import Tell
from syncagent.config.reading import duration, nearest
from syncagent.policy import (
    LISTS,
    MOMENT_PLACEHOLDERS,
    MOST_WORDS,
    PLACEHOLDERS,
    BriefPolicy,
    Duration,
    InsightPolicy,
    MomentRule,
)
from syncagent.policy.template import Line, line_of

_DEFAULT = BriefPolicy()
_LEAST_WORDS = 30
_OPEN = ("lead.", "account.")
Names = str | tuple[str, ...]


class BriefTable(Struct, frozen=True):
    """[handoff.brief]: the lines of the brief, and which of them go first when it is too long."""

    words: int = MOST_WORDS
    lines: tuple[str, ...] = _DEFAULT.lines
    drop: tuple[str, ...] = _DEFAULT.drop


class MomentTable(Struct, frozen=True):
    """[[insight.moments]]: what is worth a rep's eye; without `says` it is not."""

    activity: Names
    says: str = ""
    asset: Names = ""
    deal: bool = False


class InsightTable(Struct, frozen=True):
    """[insight]."""

    moments: tuple[MomentTable, ...] = ()
    titles: dict[str, str] = {}
    shown: int = 3
    within: str = "3d"
    again: str = "7d"


def brief(table: BriefTable, tell: Tell) -> BriefPolicy:
    """The policy; tells of lines that cannot be read, of unknown placeholders, and of what can never be shown."""
    path = "handoff.brief"
    if not _LEAST_WORDS <= table.words <= MOST_WORDS:
        tell(f"{path}.words", f"A brief has {_LEAST_WORDS} to {MOST_WORDS} words.", f"Write words = {MOST_WORDS}.")
    if not table.lines:
        tell(f"{path}.lines", "A brief without lines tells nobody anything.", "Leave the key out for the usual lines.")
    for n, text in enumerate(table.lines, 1):
        _check_line(text, f"{path}.lines[{n}]", table.words, tell)
    for n, name in enumerate(table.drop, 1):
        _check_names((name,), f"{path}.drop[{n}]", PLACEHOLDERS, _OPEN, tell)
    return BriefPolicy(table.words, table.lines, table.drop)


def insight(table: InsightTable, tell: Tell) -> InsightPolicy:
    """The policy; tells of words that cannot be read, and of times that are none."""
    rules = []
    for n, rule in enumerate(table.moments, 1):
        path = f"insight.moments[{n}]"
        if line := _line(rule.says, f"{path}.says", tell):
            _check_names(line.names, f"{path}.says", MOMENT_PLACEHOLDERS, (), tell)
        if not rule.activity:
            tell(f"{path}.activity", "This names no activity.", 'For example: activity = "form.submitted".')
        if rule.deal and not rule.says:
            tell(f"{path}.deal", "Nobody can be told of what has no words.", 'Write says = "Looked at the prices".')
        rules.append(MomentRule(rule.activity, rule.says, rule.asset, rule.deal))
    if not 1 <= table.shown <= 10:
        tell("insight.shown", f"{table.shown} moments cannot be shown.", "Write a number from 1 to 10.")
    for glob, title in table.titles.items():
        if not title.strip():
            tell(f"insight.titles.{glob}", "This title is empty.", "Write what people call it.")
    return InsightPolicy(
        moments=tuple(rules),
        titles=table.titles,
        shown=table.shown,
        within=_duration(table.within, "insight.within", tell),
        again=_duration(table.again, "insight.again", tell),
    )


def _check_line(text: str, path: str, words: int, tell: Tell) -> None:
    line = _line(text, path, tell)
    if line is None:
        return
    _check_names(line.names, path, PLACEHOLDERS, _OPEN, tell)
    several = [name for name in line.names if name in LISTS]
    if len(several) > 1:
        told = " and ".join(f"{{{name}}}" for name in several)
        tell(path, f"{told} have several values each: a line can go through one of them.", "Make a line for each.")
    if line.words > words:
        tell(path, f"This line alone has {line.words} words; the brief has {words}.", "Make it shorter.")


def _line(text: str, path: str, tell: Tell) -> Line | None:
    try:
        return line_of(text)
    except ValueError as error:
        tell(path, str(error), "")
        return None


def _check_names(given: Iterable[str], path: str, names: Iterable[str], begins: tuple[str, ...], tell: Tell) -> None:
    for name in given:
        if name not in names and not (name.startswith(begins) and name.partition(".")[2]):
            tell(path, f"{{{name}}} is no placeholder.", nearest(name, names))


def _duration(text: str, path: str, tell: Tell) -> Duration:
    try:
        return duration(text)
    except ValueError as error:
        tell(path, str(error), "")
        return Duration(days=1)
