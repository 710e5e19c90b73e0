"""Drawings inside a page: SVG whose looks the stylesheet gives, for no page may carry styles of its own."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from markupsafe import Markup

from syncagent.reports.person import Scored

_W, _H, _LEFT, _RIGHT, _TOP, _FOOT = 720, 240, 38, 12, 14, 30


def curve(scores: Sequence[Scored], line: float | None, zone: ZoneInfo) -> Markup:
    """Fit and, above it, interest over time; the line to be handed off as a rule across. Every point stands in a table
    beside it, so that nobody needs to see it.
    """
    if len(scores) < 2:
        return Markup("")
    most = max(100.0, *(one.total for one in scores), line or 0.0)
    least = min(0.0, *(one.total for one in scores), *(one.fit for one in scores))
    begin, end = scores[0].at, scores[-1].at
    whole = max((end - begin).total_seconds(), 1.0)

    def x(one: Scored) -> float:
        return round(_LEFT + (_W - _LEFT - _RIGHT) * (one.at - begin).total_seconds() / whole, 1)

    def y(points: float) -> float:
        return round(_TOP + (_H - _TOP - _FOOT) * (most - points) / (most - least), 1)

    floor = y(least)
    total = " ".join(f"{x(one)},{y(one.total)}" for one in scores)
    fit = " ".join(f"{x(one)},{y(one.fit)}" for one in scores)
    parts = [
        Markup('<svg class="curve" viewBox="0 0 {} {}" role="img" aria-labelledby="curve-title">').format(_W, _H),
        Markup('<title id="curve-title">{}</title>').format(
            f"Score over time: {scores[0].total:.0f} points at the beginning, {scores[-1].total:.0f} now."
        ),
    ]
    for step in _ticks(least, most):
        parts.append(
            Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(_LEFT, _W - _RIGHT, y(step), y(step))
        )
        parts.append(
            Markup('<text class="axis" x="{}" y="{}" text-anchor="end">{}</text>').format(
                _LEFT - 6, y(step) + 4, f"{step:.0f}"
            )
        )
    parts.append(
        Markup('<polygon class="fit" points="{},{} {} {},{}"/>').format(x(scores[0]), floor, fit, x(scores[-1]), floor)
    )
    parts.append(Markup('<polyline class="total" points="{}"/>').format(total))
    if line is not None:
        parts.append(
            Markup('<line class="threshold" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(
                _LEFT, _W - _RIGHT, y(line), y(line)
            )
        )
        parts.append(
            Markup('<text class="threshold-label" x="{}" y="{}">{}</text>').format(
                _LEFT + 6, y(line) - 6, f"line {line:g}"
            )
        )
    parts.append(Markup('<circle class="now" cx="{}" cy="{}" r="4"/>').format(x(scores[-1]), y(scores[-1].total)))
    days = f"{begin.astimezone(zone):%Y-%m-%d}", f"{end.astimezone(zone):%Y-%m-%d}"
    parts.append(Markup('<text class="axis" x="{}" y="{}">{}</text>').format(_LEFT, _H - 8, days[0]))
    parts.append(
        Markup('<text class="axis" x="{}" y="{}" text-anchor="end">{}</text>').format(_W - _RIGHT, _H - 8, days[1])
    )
    return Markup("").join((*parts, Markup("</svg>")))


def _ticks(least: float, most: float) -> list[float]:
    """Round figures between them, four to six of them."""
    steps = (size * 10**power for power in range(1, 300) for size in (1, 2, 5))
    step = next(size for size in steps if (most - least) / size <= 6)
    first = int(least // step)
    return [float(step * n) for n in range(first, int(most // step) + 1) if least <= step * n <= most]
