"""[pages]: who may see the admin's pages, and what they may do there."""

from ipaddress import ip_network
from pathlib import Path

from msgspec import Struct, structs

from syncagent.config.reading import read_leniently
from syncagent.config.secret import Secret
from syncagent.errors import Problem


class ProxyTable(Struct, frozen=True):
    """[pages.proxy]: a reverse proxy that signs people in. `header` names who it is; `trusted`: its addresses."""

    header: str
    trusted: tuple[str, ...]


class PagesTable(Struct, frozen=True):
    """[pages]. Without `token` and `proxy` the pages are for this machine alone, and need no login.

    `read_only`: nothing can be changed from them. `hosts`: names they may be asked for by, besides this machine's own.
    """

    serve: bool = True
    read_only: bool = False
    token: Secret | None = None
    proxy: ProxyTable | None = None
    hosts: tuple[str, ...] = ()


def read_pages(raw: object, folder: Path, problems: list[Problem]) -> PagesTable:
    """The table; what is wrong with it is told, and then it has its defaults."""
    table = read_leniently(PagesTable, raw, "pages", problems) or PagesTable()
    if table.proxy is not None and not _is_right(table.proxy, problems):
        table = structs.replace(table, proxy=None, serve=False)
    return structs.replace(table, token=table.token.beside(folder)) if table.token is not None else table


def _is_right(proxy: ProxyTable, problems: list[Problem]) -> bool:
    before = len(problems)
    if not proxy.header.strip():
        says = "Name the header in which the proxy tells who it is."
        problems.append(Problem("pages.proxy.header", says, 'For example: header = "X-Forwarded-User".'))
    if not proxy.trusted:
        says = "Name the addresses of the proxy: anybody else could claim to be anybody."
        problems.append(Problem("pages.proxy.trusted", says, 'For example: trusted = ["10.0.0.5"].'))
    for number, one in enumerate(proxy.trusted, 1):
        try:
            ip_network(one)
        except ValueError:
            says = f"{one!r} is neither an address nor a network."
            problems.append(
                Problem(f"pages.proxy.trusted[{number}]", says, "Write for example 10.0.0.5 or 10.0.0.0/24.")
            )
    return len(problems) == before
