"""Pages as a browser takes them, and what must never stand in one of ours."""

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "img", "input"}
_RUNS = {"script", "iframe", "object", "embed", "base", "x-owned"}


class Read(HTMLParser):
    """A page as a browser takes it: its tags, their attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def strange(page: str) -> list[str]:
    """What in a page is not ours: tags and attributes that somebody's text has become, and ways out of these pages."""
    try:
        read = Read(page)
    except (AssertionError, IndexError):
        return ["a tag ends that was not begun"]
    found = [f"<{tag}> is not ended" for tag in read.open]
    for tag, attrs in read.tags:
        found += [f"<{tag}>"] if tag in _RUNS else []
        found += [
            f"<{tag} {name}>" for name in attrs if name.startswith("on") or name in ("style", "srcset", "x-owned")
        ]
        for name in ("href", "src", "action", "formaction", "xlink:href"):
            way = attrs.get(name) or "#"
            if way.startswith("//") or way[0] not in "/#":
                found.append(f'<{tag} {name}="{way[:40]}">')
    return found
