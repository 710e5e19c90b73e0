"""[score.model]: a trained model's file, read with the config: what cannot be used is told before the agent starts."""

from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from syncagent.config.tables import ScoreTable, TrainedTable
from syncagent.errors import Problem
from syncagent.model import Scorecard

PATH = "score.model.file"
_SURE = 100
TRAIN = "Make one with `syncagent model train`, or leave [score.model] out."


class _Verdict(Struct, frozen=True):
    verdict: str


class _Model(Struct, frozen=True):
    """What of the file concerns those who use it."""

    scorecard: Scorecard
    card: _Verdict


def read_scorecard(table: ScoreTable, folder: Path, problems: list[Problem]) -> tuple[Scorecard | None, bytes]:
    """The scorecard that the config names, and the file's bytes, which are part of what was agreed."""
    if table.model is None:
        return None, b""
    path = folder / table.model.file
    try:
        content = path.read_bytes()
        model = msgspec.json.decode(content, type=_Model)
    except FileNotFoundError:
        problems.append(Problem(PATH, f"There is no model at {path}.", TRAIN))
    except OSError as error:
        problems.append(Problem(PATH, f"{path} cannot be read: {error.strerror}.", TRAIN))
    except msgspec.DecodeError as error:
        problems.append(Problem(PATH, f"{path} is no model of this version: {error}.", TRAIN))
    else:
        if model.card.verdict == "useful" and _is_whole(model.scorecard):
            return replace(model.scorecard, letters=_letters(table.model, problems)), content
        says = "its card says that it is useless" if _is_whole(model.scorecard) else "bins and weights do not match"
        problems.append(Problem(PATH, f"The model at {path} cannot be used: {says}.", TRAIN))
    return None, b""


def _letters(table: TrainedTable, problems: list[Problem]) -> tuple[float, ...]:
    if table.grade is None:
        return ()
    first, second, third = table.grade
    if not _SURE >= first > second > third > 0:
        says = "The percentages from which on a likelihood is an A, a B, a C fall from at most 100 to above 0."
        problems.append(Problem("score.model.grade", says, "For example: [30, 10, 3]."))
    return table.grade


def _is_whole(card: Scorecard) -> bool:
    """Whether every bin that can fit has its weight."""
    for one in card.features:
        bins = len(one.values) + 2 if one.kind in ("value", "first") else len(one.cuts) + 2
        if not bins == len(one.labels) == len(one.weights) or tuple(sorted(one.cuts)) != one.cuts:
            return False
    return True
