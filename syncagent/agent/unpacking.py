"""What was posted to us becomes facts: deliveries leave the inbox in the transaction that stores what they say.

Killed anywhere, it is done again from the inbox: the same delivery makes the same facts. One that cannot be read is
refused, with a reason, and holds up nobody.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from syncagent.connectors.base import Delivered, Delivery, Webhook
from syncagent.errors import SyncagentError, UnreadableDeliveryError
from syncagent.model import Hint, Page
from syncagent.state.store import Accepted, Post, Store

log = logging.getLogger("syncagent")

BATCH = 200
"""Deliveries a transaction: whoever posts meanwhile waits behind it for theirs."""


class Unpacked(Struct, frozen=True):
    """What became of a batch: how many deliveries, how many facts were new, and whether to look somebody up."""

    posts: int = 0
    new: int = 0
    hints: bool = False


def unpack(
    store: Store, webhook: Webhook, now: Callable[[], datetime], mistrust: Callable[[Page, str], None], keep: float
) -> Unpacked:
    """Read the oldest deliveries of a source that wait, store what they say, and let go of them.

    `mistrust` raises when so many endings at once are not to be believed: then they wait. Refused ones that
    are older than `keep` seconds are given up, and so are the oldest of too many.
    """
    name = webhook.name
    posts = store.inbox(name, BATCH)
    if not posts:
        _expire(store, now() - timedelta(seconds=keep))
        return Unpacked()
    said = _read_all(store, webhook, posts)
    facts = tuple(fact for one in said for fact in one.facts)
    mistrust(Page(facts, ""), name)
    new = _store(store, name, posts, said, now)
    if any(one.refused for one in said):
        _expire(store, now() - timedelta(seconds=keep))
    return Unpacked(len(posts), new, any(isinstance(fact, Hint) for fact in facts))


def _expire(store: Store, before: datetime) -> None:
    if expired := store.expire_posts(before):
        log.warning("%d deliveries that could not be read were kept long enough, and are given up.", expired)


def _read_all(store: Store, webhook: Webhook, posts: Sequence[Post]) -> list[Delivered]:
    """What each says; an undated one that came before says it of the moment at which it came first."""
    said = [_read(webhook, post, post.arrived) for post in posts]
    names = tuple({one.undated for one in said if one.undated})
    first = dict(store.heard(webhook.name, names)) if names else {}
    for place, post in enumerate(posts):
        name = said[place].undated
        if name and (arrived := first.setdefault(name, post.arrived)) != post.arrived:
            said[place] = _read(webhook, post, arrived)
    return said


def _read(webhook: Webhook, post: Post, arrived: datetime) -> Delivered:
    try:
        return webhook.read(Delivery(post.method, post.url, post.headers, post.body), arrived)
    except UnreadableDeliveryError as error:
        return Delivered(refused=(str(error),))
    except Exception as error:  # noqa: BLE001 - one delivery that trips us up must not stop the others; it is shown
        log.error("%s: delivery %d could not be read (%s); it is kept.", webhook.name, post.id, type(error).__name__)
        return Delivered(refused=(f"Reading it failed ({type(error).__name__}): a mistake of syncagent's.",))


def _store(
    store: Store, name: str, posts: Sequence[Post], said: Sequence[Delivered], now: Callable[[], datetime]
) -> int:
    """How many facts were new. What cannot be stored together is tried one by one; who is at fault is refused."""
    refused = {post.id: " ".join(one.refused) for post, one in zip(posts, said, strict=True) if one.refused}
    heard: dict[str, datetime] = {}
    for post, one in zip(posts, said, strict=True):
        if one.undated:
            heard.setdefault(one.undated, post.arrived)
    try:
        accepted: Accepted = store.unpack(
            [fact for one in said for fact in one.facts],
            name,
            read=[post.id for post in posts if post.id not in refused],
            refused=refused,
            heard=heard,
            now=now(),
        )
    except SyncagentError:  # a full disk and the like: no fault of theirs
        raise
    except Exception as error:  # noqa: BLE001 - whatever a state says of a value that it cannot hold
        if len(posts) > 1:
            return sum(_store(store, name, [post], [one], now) for post, one in zip(posts, said, strict=True))
        log.error("%s: delivery %d could not be stored (%s); it is kept.", name, posts[0].id, type(error).__name__)
        why = f"What it says cannot be stored ({type(error).__name__})."
        store.unpack((), name, read=(), refused={posts[0].id: why}, heard={}, now=now())
        return 0
    return accepted.new
