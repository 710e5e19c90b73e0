"""A score model as a spreadsheet (CSV) that a workshop can fill in, and back.

One row is one choice; the first row of a rule also says what it is about and what it weighs. Rows that begin with "#",
and the columns total, points and help, are for people: they are never read. In a cell several values stand with ";"
between them; a text that would be taken for something else stands in quotes, as JSON writes it.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs, to_builtins

from syncagent.config.agreement import within
from syncagent.config.reading import join, nearest, read_leniently
from syncagent.config.scoring import ScoringTranslation
from syncagent.config.tables import (
    AgreementTables,
    CrmPolicyTable,
    DecayTable,
    FitTable,
    HandoffTable,
    InterestTable,
    ModelTable,
    MqlTable,
    RobotsTable,
    ScoreTable,
)
from syncagent.errors import ConfigError, Problem

Cells = dict[str, str]

_FIT = {"is": "values", "list": "list", "matches": "matches", "from": "min", "to": "max", "known": "present"}
_FIT |= {"newer": "newer", "older": "older"}
_TIMES = {"at least": "at_least", "exactly": "exactly", "within": "within", "each": "each", "idle": "idle"}
_DOING = {"asset": "asset", "not asset": "not_asset", "source": "source", "campaign": "campaign"}
_MORE = {"cap": "cap", "cap per day": "cap_per_day", "group": "group", "decay": "decay", "where": "where"}
COLUMNS = (
    "part", "name", "about", "asset", "weight", "total", "priority", "points",
    *_FIT, *_TIMES, "decay", "cap", "cap per day", "group", "not asset", "source", "campaign", "where", "help",
)  # fmt: skip
_SHOWN_ONLY = ("total", "points", "help")
_PARTS = ("fit", "interest", "cap", "list", "grade", "bots", "score", "model")
_SINGLE = {"score": ("write",), "model": ("of", "shadow", "above", "below", "says")}
_NAMES = (*_DOING, "about")
_NUMBERS = ("weight", "priority", "from", "to", "at least", "exactly", "cap", "cap per day")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_WORDS = {"yes": True, "true": True, "no": False, "false": False}

_GUIDE = (
    "fit: who they are. interest: what they do. All fit weights together at most 50; fit and interest 100 together.",
    "One row is one choice. Its priority is from -10 to 10; it gives weight x priority / 10 points.",
    "The first choice of a rule that holds counts: put the narrower one first. Leave about and weight empty below it.",
    "Several values in a cell: write ; between them. A * in an activity or asset stands for anything.",
    "total, points and help are shown only. When it is filled in: syncagent sheet import FILE",
)
_HELP = {
    "fit": "is: values; matches: a pattern; from, to: numbers; known: yes or no; newer, older: 90d",
    "interest": "at least or exactly so many times within 30d; each: yes; idle: nothing for 90d; decay: half-life 30d",
}


class Sheet(Struct):
    """A sheet as read: the tables as TOML would give them, in which row each path stands, and what cannot be read."""

    raw: dict[str, Any]
    rows: dict[str, int]
    problems: list[Problem]


# -- out


def write_sheet(table: ScoreTable | ModelTable, *, formulas: bool = False) -> str:
    """The model as CSV. With `formulas`, totals and points are worked out by the spreadsheet while it is filled in."""
    rows: list[Cells] = [{"part": f"# {line}"} for line in _GUIDE]
    rows.append({name: name for name in COLUMNS})
    for part, rules in (("fit", table.fit), ("interest", table.interest)):
        for rule in rules:
            rows += _rule_rows(part, rule)
        rows += [{"part": part, "help": _HELP[part]}, {"part": part}]
    rows += _setting_rows(table)
    _add_sums(rows, formulas=formulas)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([row.get(name, "") for name in COLUMNS] for row in rows)
    return out.getvalue()


def _rule_rows(part: str, rule: FitTable | InterestTable) -> Iterator[Cells]:
    first: Cells = {"name": _text(rule.name), "weight": _number(rule.weight)}
    if isinstance(rule, FitTable):
        first["about"] = _text(rule.attribute)
    else:
        first["about"] = _names(rule.activity)
        first |= {column: _names(getattr(rule, key)) for column, key in _DOING.items()}
        first |= {"group": _text(rule.group), "decay": _decay(rule.decay)}
        first |= {"cap": _number(rule.cap), "cap per day": _number(rule.cap_per_day)}
        first["where"] = json.dumps(to_builtins(rule.where), ensure_ascii=False) if rule.where else ""
    choices = [_choice(to_builtins(one)) for one in rule.choices]
    for cells in choices or [Cells()]:
        yield {"part": part, **first, **cells}
        first = {}


def _choice(choice: Mapping[str, Any]) -> Cells:
    cells: Cells = {"priority": _number(choice["priority"])}
    for column, key in (_FIT | _TIMES).items():
        value = choice.get(key)
        if column == "is" and "values" in choice:
            one, many = choice.get("value"), choice["values"]
            several = [*many, *([one] if one is not None else [])]
            alone = one is not None and not many
            cells[column] = _value(one) if alone else _several(map(_value, several)) if several else ""
        elif isinstance(value, bool):
            cells[column] = ("yes" if value else "no") if column == "known" or value else ""
        elif isinstance(value, str):
            cells[column] = _text(value)
        elif value is not None:
            cells[column] = _number(value)
    if choice.get("each") or choice.get("idle") or choice.get("exactly") is not None:
        cells["at least"] = "" if choice.get("at_least") == 1 else cells["at least"]
    return cells


def _setting_rows(table: ScoreTable | ModelTable) -> Iterator[Cells]:
    for name, cap in table.caps.items():
        yield {"part": "cap", "name": _text(name), "cap": _number(cap.most), "cap per day": _number(cap.per_day)}
    for name, shares in (("letters", table.grade.letters), ("numbers", table.grade.numbers)):
        begins = "A, B, C" if name == "letters" else "1, 2, 3"
        helps = f"the shares of all {'fit' if name == 'letters' else 'interest'} weights at which {begins} begin"
        yield {"part": "grade", "name": name, "is": _several(_number(one) for one in shares), "help": helps}
    bots = table.bots
    if bots is not None and (isinstance(table, ModelTable) or bots != RobotsTable()):
        for key, value in to_builtins(bots).items():
            cell = _names(value) if key in ("clicked", "delivered", "admit") else _value(value)
            yield {"part": "bots", "name": key, "is": cell}
    if isinstance(table, ScoreTable):
        for name, items in table.lists.items():
            yield {"part": "list", "name": _text(name), "is": _several(_item(one) for one in items)}
        if not table.write:
            yield {"part": "score", "name": "write", "is": "false"}
        return
    told: dict[str, Any] = {"of": table.of, "shadow": table.shadow}
    if table.alert is not None:
        told |= {key: value for key, value in to_builtins(table.alert).items() if value not in (None, "")}
    for key, value in told.items():
        yield {"part": "model", "name": key, "is": _value(value)}


def _add_sums(rows: list[Cells], *, formulas: bool) -> None:
    """Running totals of the weights, and what each choice gives."""
    w, t, p = (chr(ord("A") + COLUMNS.index(name)) for name in ("weight", "total", "priority"))
    totals: dict[str, tuple[float, int]] = {}
    rule_row, weight = 0, 0.0
    for number, row in enumerate(rows, 1):
        part = row.get("part", "")
        if part not in ("fit", "interest"):
            continue
        total, last = totals.get(part, (0.0, 0))
        if row.get("weight") or (formulas and not row.get("priority")):
            weight, rule_row = float(row.get("weight") or 0), number
            totals[part] = (total + weight, number)
            before = f"{t}{last}+" if last else ""
            row["total"] = f"={before}{w}{number}" if formulas else _number(round(total + weight, 9))
        if row.get("priority") or (formulas and rule_row == number):
            points = round(weight * float(row.get("priority") or 0) / 10, 9)
            row["points"] = f"={w}{rule_row}*{p}{number}/10" if formulas else _number(points)


def _text(text: str) -> str:
    """A text as a cell; what a spreadsheet or the reader would take for something else is quoted."""
    plain = text.strip() == text and text.isprintable() and not text.startswith(('"', "=", "+", "-", "@", "#"))
    return text if plain else json.dumps(text, ensure_ascii=True)


def _item(text: str) -> str:
    return json.dumps(text, ensure_ascii=True) if ";" in text or '"' in text or not text else _text(text)


def _value(value: Any) -> str:  # noqa: ANN401  (what a field can hold)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return _number(value)
    quoted = _NUMBER.fullmatch(value) or value.casefold() in _WORDS
    return json.dumps(value) if quoted else _item(value)


def _several(cells: Iterable[str]) -> str:
    given = list(cells)
    return "; ".join(given) + (";" if len(given) < 2 else "")


def _names(names: str | Sequence[str]) -> str:
    if isinstance(names, str):
        return _item(names) if names else ""
    return _several(_item(one) for one in names)


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(value)


def _decay(decay: DecayTable | None) -> str:
    if decay is None:
        return ""
    if decay.steps:
        return "; ".join(f"{age} {_number(share)}" for age, share in decay.steps.items())
    return f"half-life {decay.half_life}"


# -- in


def read_sheet(text: str, path: str) -> Sheet:
    """A filled-in sheet as the tables below `path` ("score" or "models.NAME")."""
    return _Reader(path).read(text)


class _Reader:
    def __init__(self, path: str) -> None:
        self._path = path
        self._sheet = Sheet({}, {}, [])
        self._row = 0
        self._rule: tuple[str, dict[str, Any]] | None = None

    def read(self, text: str) -> Sheet:
        lines = list(io.StringIO(text.removeprefix("\ufeff"), newline=""))
        header = next((line for line in lines if line.strip(" \"'").casefold().startswith("part")), "")
        separator = max(",;\t", key=header.count)
        columns: list[str] | None = None
        for number, cells in enumerate(csv.reader(lines, delimiter=separator), 1):
            self._row = number
            given = [cell.strip() for cell in cells]
            if not any(given) or given[0].startswith("#"):
                continue
            if columns is None:
                columns = self._columns(given)
                if columns is None:
                    break
                continue
            row = {name: cell for name, cell in zip(columns, given, strict=False) if cell and name not in _SHOWN_ONLY}
            self._take(row)
        if columns is None and not self._sheet.problems:
            self._tell("There is no row with the names of the columns.", "Start from `syncagent sheet export`.")
        return self._sheet

    def _tell(self, message: str, hint: str = "") -> None:
        self._sheet.problems.append(Problem(f"row {self._row}", message, hint))

    def _columns(self, given: list[str]) -> list[str] | None:
        columns = [name.casefold() for name in given]
        if "part" not in columns:
            says = "The names of the columns are missing: the first one is part."
            self._tell(says, "Start from `syncagent sheet export`.")
            return None
        for name in columns:
            if name and name not in COLUMNS:
                self._tell(f"The column {name!r} is not known.", nearest(name, COLUMNS))
        return [name if name in COLUMNS else "help" for name in columns]

    def _take(self, row: Cells) -> None:
        part = row.pop("part", "").casefold()
        if not row:
            return
        if part in ("fit", "interest"):
            self._rule_row(part, row)
        elif part in _PARTS:
            self._setting(part, row)
        else:
            self._tell(f"{part!r} is no part of a model." if part else "Say which part this is.", nearest(part, _PARTS))

    # -- rules
    def _rule_row(self, part: str, row: Cells) -> None:
        rules: list[dict[str, Any]] = self._sheet.raw.setdefault(part, [])
        if row.keys() & {"about", "weight", "name"}:
            made = {**self._cells(row, self._columns_of_rule(part)), "choices": []}
            rules.append(made)
            self._rule = (part, made)
            self._sheet.rows[f"{self._path}.{part}[{len(rules)}]"] = self._row
        elif self._rule is None or self._rule[0] != part:
            self._tell("This choice belongs to no rule.", "Fill in about and weight.")
            return
        tests, others = (_FIT, _TIMES) if part == "fit" else (_TIMES, _FIT)
        self._refuse(part, row, (*others, *(_MORE | _DOING if part == "fit" else ())))
        if not row.keys() & {"about", "weight", "name"}:
            self._refuse_late(row)
        choice = self._cells(row, {**tests, "priority": "priority"})
        if choice:
            choices = self._rule[1]["choices"]
            choices.append(choice)
            self._sheet.rows[f"{self._path}.{part}[{len(rules)}].choices[{len(choices)}]"] = self._row

    def _columns_of_rule(self, part: str) -> dict[str, str]:
        if part == "fit":
            return {"name": "name", "about": "attribute", "weight": "weight"}
        return {"name": "name", "about": "activity", **_DOING, "weight": "weight", **_MORE}

    def _refuse(self, part: str, row: Cells, columns: Iterable[str]) -> None:
        for column in columns:
            if column in row:
                self._tell(f"The column {column!r} says nothing of {part}.", "Leave it empty here.")

    def _refuse_late(self, row: Cells) -> None:
        for column in (*_MORE, *_DOING):
            if column in row:
                self._tell(f"{column!r} is the rule's: it stands in its first row.", "Move it up.")

    def _cells(self, row: Cells, columns: Mapping[str, str]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for column, key in columns.items():
            if column not in row:
                continue
            cell = row[column]
            if column == "is":
                values = self._values(cell)
                made |= {"values": values} if isinstance(values, list) else {"value": values}
            elif key == "attribute":
                made[key] = self._unquoted(cell)
            else:
                made[key] = self._cell(column, cell)
        return made

    def _cell(self, column: str, cell: str) -> Any:  # noqa: ANN401  (what TOML can hold)
        if column in _NUMBERS:
            return self._as_number(cell)
        if column in ("known", "each"):
            return _WORDS.get(cell.casefold(), cell)
        if column in _NAMES:
            return self._split(cell, self._unquoted)
        if column == "decay":
            return self._as_decay(cell)
        if column == "where":
            try:
                return json.loads(cell)
            except ValueError:
                self._tell(f"{cell!r} is no table of tests.", 'Write for example {"page": "~pricing"}.')
                return {}
        return self._unquoted(cell)

    def _as_number(self, cell: str) -> Any:  # noqa: ANN401  (a number, or what is not one)
        """With a point or, as many countries write it, a comma; "1,000" is a thousand to some, so it is refused."""
        text = cell.replace(",", ".") if re.fullmatch(r"-?\d+,(\d{1,2}|\d{4,})", cell) else cell
        if not _NUMBER.fullmatch(text):
            return cell
        if re.fullmatch(r"-?\d+", text):
            return int(text)
        value = float(text)
        return int(value) if math.isfinite(value) and value == int(value) else value

    def _as_decay(self, cell: str) -> dict[str, Any]:
        if cell.casefold().startswith("half-life"):
            return {"half_life": cell[len("half-life") :].strip()}
        steps: dict[str, Any] = {}
        for step in cell.split(";"):
            age, _, share = step.strip().rpartition(" ")
            steps[age.strip()] = self._as_number(share)
        return {"steps": steps}

    # -- values
    def _unquoted(self, cell: str) -> str:
        if not cell.startswith('"'):
            return cell
        try:
            found = json.loads(cell)
        except ValueError:
            self._tell(f"{cell} has a quote that does not end.", "Write the text between two quotes, or without any.")
            return ""
        return str(found)

    def _typed(self, item: str) -> Any:  # noqa: ANN401  (what a field can hold)
        if item.casefold() in _WORDS:
            return _WORDS[item.casefold()]
        if _NUMBER.fullmatch(item):
            return self._as_number(item)
        return self._unquoted(item)

    def _values(self, cell: str) -> Any:  # noqa: ANN401  (one value or several)
        return self._split(cell, self._typed)

    def _split(self, cell: str, read: Callable[[str], Any]) -> Any:  # noqa: ANN401  (one or several)
        items = [item.strip() for item in re.findall(r'((?:"(?:[^"\\]|\\.)*"|[^;])*)(?:;|$)', cell)]
        if ";" not in re.sub(r'"(?:[^"\\]|\\.)*"', "", cell):
            return read(cell)
        return [read(item) for item in items if item]

    # -- all else
    def _setting(self, part: str, row: Cells) -> None:
        name, raw = self._unquoted(row.get("name", "")), self._sheet.raw
        if not name:
            self._tell(f"A {part} needs a name.")
            return
        path = {"cap": "caps", "list": "lists"}.get(part, part)
        where = join(f"{self._path}.{path}", name)
        if part == "cap":
            raw.setdefault("caps", {})[name] = self._cells(row, {"cap": "most", "cap per day": "per_day"})
        elif part == "list":
            items = self._split(row.get("is", ""), self._unquoted)
            raw.setdefault("lists", {})[name] = items if isinstance(items, list) else [items] if items else []
        elif part in ("grade", "bots"):
            texts = part == "bots" and name in ("clicked", "delivered", "admit", "after_delivery")
            cell = row.get("is", "")
            raw.setdefault(part, {})[name] = self._split(cell, self._unquoted) if texts else self._values(cell)
        elif name not in _SINGLE[part]:
            self._tell(f"{name!r} is nothing that is said of a {part}.", nearest(name, _SINGLE[part]))
        elif name in ("above", "below", "says"):
            where = f"{self._path}.alert.{name}"
            cell = row.get("is", "")
            raw.setdefault("alert", {})[name] = self._unquoted(cell) if name == "says" else self._as_number(cell)
        else:
            where, raw[name] = f"{self._path}.{name}", self._values(row.get("is", ""))
        self._sheet.rows[where] = self._row


# -- checked


def check_sheet(sheet: Sheet, at: str, tables: AgreementTables | None = None) -> None:
    """Check a sheet as the config is checked, beside the other tables of a config if there is one.

    Raises `ConfigError` with every problem, each with its row.
    """
    problems = list(sheet.problems)
    whole = tables or AgreementTables(HandoffTable(MqlTable()), (), CrmPolicyTable({}))
    found: list[Problem] = []
    name = at.partition(".")[2]
    if name:
        model = read_leniently(ModelTable, sheet.raw, at, found)
        whole = structs.replace(whole, models={**whole.models, name: model or ModelTable()})
    else:
        whole = structs.replace(whole, score=read_leniently(ScoreTable, sheet.raw, at, found) or ScoreTable())
    broken = [one.path for one in found]

    def tell(path: str, message: str, hint: str = "") -> None:
        if not any(within(path, one) or within(one, path) for one in broken):
            found.append(Problem(path, message, hint))

    def is_whole(pattern: str) -> bool:
        return not any(re.match(pattern, one) for one in broken)

    translation = ScoringTranslation(whole, tell, is_whole, found)
    if name:
        translation.models()
    else:
        translation.live()
    problems += [_in_row(one, sheet.rows) for one in found if within(one.path, at)]
    if problems:
        raise ConfigError(problems)


def _in_row(problem: Problem, rows: Mapping[str, int]) -> Problem:
    at = max((one for one in rows if within(problem.path, one)), key=len, default="")
    return Problem(f"row {rows[at]}, {problem.path}", problem.message, problem.help) if at else problem
