"""The policies that have decided here: each is kept once, and when it was in use, so that the past can be explained."""

import zlib
from datetime import datetime

import msgspec
from sqlite_utils.utils import sqlite3

from syncagent.policy import Policy
from syncagent.state.codec import moment, ms
from syncagent.state.store import InUse

_decode = msgspec.json.Decoder(Policy).decode


def body_of(policy: Policy) -> bytes:
    """As it is kept: a config of a few hundred lines takes two or three KB."""
    return zlib.compress(msgspec.json.encode(policy), 9)


def use(db: sqlite3.Connection, digest: str, body: bytes, now: datetime) -> None:
    """Decisions are made by this policy from `now` on, if they were not already."""
    db.execute(
        "insert into policy (digest, body, first_used) values (?, ?, ?)"
        " on conflict (digest) do update set body = excluded.body where body is not excluded.body",
        (digest, body, ms(now)),
    )
    last = db.execute("select digest from policy_use order by since desc limit 1").fetchone()
    if last is None or last[0] != digest:
        db.execute("insert or replace into policy_use (since, digest) values (?, ?)", (ms(now), digest))


def in_use(db: sqlite3.Connection, at: datetime) -> InUse | None:
    """Which policy decided at that moment; None: none was known yet."""
    row = db.execute(
        "select since, policy_use.digest, body from policy_use join policy on policy.digest = policy_use.digest"
        " where since <= ? order by since desc limit 1",
        (ms(at),),
    ).fetchone()
    if row is None:
        return None
    since, digest, body = row
    try:
        return InUse(digest, moment(since), _decode(zlib.decompress(body)))
    except msgspec.MsgspecError:  # written by a version whose words this one no longer knows
        return InUse(digest, moment(since), None)


def of(db: sqlite3.Connection, digest: str) -> Policy | None:
    """The policy of this digest; None: it was not kept, or this version does not know its words."""
    row = db.execute("select body from policy where digest = ?", (digest,)).fetchone()
    try:
        return None if row is None else _decode(zlib.decompress(row[0]))
    except msgspec.MsgspecError:
        return None
