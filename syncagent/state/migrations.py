"""The schema. This list only grows: what a release has shipped is never edited, a new function is added below it.

person     one human. `dirty_since` NULL: clean. `held` is the brake's cause. A merged one stays as a tombstone with
           `merged_into`, so that ids are never reused and an old revision can never win.
identity   (system, object, ext) -> person; `wanted` 0: no; 1: known only from what hangs on it; above: hinted then
hinted     identities to be looked up that nobody has yet
email      address as compared -> person
said       what the systems say besides activities (codec.Said); written by accept and confirm only
judged     our decision, and those of persons merged into this one; written by settle only (and by merges)
activity   one JSON text a fact; the number keeps one person's together, and each one once (activities.py)
child      which person holds a task's or an opportunity's copy, for updates that name only its own id
inbox      a row a delivery that was answered and is not read yet, or could not be (`refused`: why)
heard      names of undated deliveries, for some days: when they arrived first
gone       what was deleted or merged away, so that a late older fact does not bring it back
outbox     one row a command key; `next_*` is a newer revision that came while this one was being sent
handoff    a projection of the decisions, for counts
company    a row each: `told` by the CRM; `name`, `owner` as a person's record tells them; how many people are of it
company_title  the titles of those who have done something · company_key: what names it (model/company.py)
clue       what could name the company of somebody (model/company.py)
company_wake   companies whose people are being woken, up to `after` (NULL: they rest until `rest_until`)
result     what models said of "person:7", "deal:006", "account:001", and when
member     who is of which company, told by the CRM or matched by us · deal: each deal (`open`: for its company)
unanswered what a hint named and its system did not know: asked again at `again_at`, NULL: given up, and shown
apart      two people whom an admin has split, both ways round, and when
edit       which CRM user did something to whom in which second (not ms), for a week: many at once are a bulk edit
entry      how each living person came in, and stands · promise: each promise, to each owner (both for views.py)
visit      every stay in a stage of the process map; `left_at` NULL: they are there
journal    what was decided, a chained line each · journal_told, journal_basis, journal_pool: see journal.py
brake      what was settled when, counted by the second, for the sliding hour

`agent_id`, `lease_until`, `epoch` are for stores with several agents; one SQLite file has one agent and leaves them.
All moments are integers, UTC milliseconds.
"""

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Raw, Struct
from sqlite_utils import Database, Migrations

from syncagent.state import deals, journal
from syncagent.state.activities import LAST, SHIFT, slot
from syncagent.state.figures import OF_DEALS, OF_HANDOFFS, TABLES

migrations = Migrations("syncagent")

_FIRST = """
create table meta (name text primary key, value text not null) strict, without rowid;
create table person (
  id integer primary key autoincrement,
  revision integer not null default 1,
  dirty_since integer,
  lane integer not null default 0,
  wake_at integer,
  held text,
  held_why text,
  held_since integer,
  released integer not null default 0,
  erased integer not null default 0,
  merged_into integer,
  agent_id text,
  lease_until integer,
  epoch integer not null default 0
) strict;
create index person_dirty on person (lane, dirty_since, id) where dirty_since is not null and held is null;
create index person_wake on person (wake_at, id) where wake_at is not null and held is null;
create index person_held on person (held_since, id) where held is not null;
create index person_merged on person (merged_into) where merged_into is not null;
create index person_erased on person (id) where erased = 1;
create table identity (
  id integer primary key,
  ext text not null,
  object text not null,
  system text not null,
  person integer not null,
  wanted integer not null default 0
) strict;
create unique index identity_name on identity (ext, object, system);
create index identity_person on identity (person, system, object, ext);
create index identity_wanted on identity (system, id) where wanted > 0;
create table hinted (
  ext text not null,
  object text not null,
  system text not null,
  wanted integer not null,
  primary key (ext, object, system)
) strict, without rowid;
create table email (address text primary key, person integer not null) strict, without rowid;
create index email_person on email (person);
create table said (person integer primary key, body text not null) strict;
create table judged (person integer primary key, decision text, absorbed text) strict;
create table activity (
  person integer not null,
  at integer not null,
  source text not null,
  key text not null,
  body text not null,
  primary key (person, at, source, key)
) strict, without rowid;
create table child (
  ext text not null,
  object text not null,
  system text not null,
  person integer not null,
  primary key (ext, object, system, person)
) strict, without rowid;
create index child_person on child (person);
create table gone (
  ext text not null,
  object text not null,
  system text not null,
  body text not null,
  primary key (ext, object, system)
) strict, without rowid;
create table crm_user (
  system text not null,
  id text not null,
  name text not null,
  active integer not null,
  queue integer not null,
  primary key (system, id)
) strict, without rowid;
create table stream (
  name text primary key,
  cursor text,
  seen_until integer,
  accepted_at integer
) strict, without rowid;
create table outbox (
  id integer primary key,
  key text not null unique,
  person integer not null,
  target text not null,
  lane integer not null,
  verb text not null,
  handoff text not null,
  state text not null,
  revision integer not null default 0,
  attempt integer not null default 0,
  not_before integer,
  blocked_by text,
  why text not null default '',
  queued_at integer,
  done_at integer,
  once integer not null default 0,
  body text not null,
  next_revision integer,
  next_body text,
  receipt text,
  agent_id text,
  lease_until integer,
  epoch integer not null default 0
) strict;
create index outbox_person on outbox (person);
create index outbox_due on outbox (target, lane, id, not_before) where state = 'queued' and blocked_by is null;
create index outbox_blocked on outbox (blocked_by) where blocked_by is not null;
create index outbox_state on outbox (state, id) where state <> 'done';
create table handoff (
  id text primary key,
  person integer not null,
  number integer not null,
  state text not null,
  owner text not null,
  cause text not null,
  outcome text not null,
  opened_at integer not null,
  clock_started_at integer,
  touched_at integer,
  closed_at integer
) strict, without rowid;
create index handoff_state on handoff (state, owner);
create index handoff_person on handoff (person);
create table journal (
  id integer primary key autoincrement,
  at integer not null,
  person integer not null,
  kind text not null,
  why text not null,
  handoff text not null,
  data text not null,
  config text not null
) strict;
create index journal_person on journal (person, id);
create table brake (
  id integer primary key,
  at integer not null,
  cause text not null,
  owner text not null
) strict;
create index brake_at on brake (at);
create table waits (
  what text not null,
  person integer not null,
  primary key (what, person)
) strict, without rowid;
create index waits_person on waits (person);
insert into meta values ('epoch', 'e1');
"""


def _execute(db: Database, script: str) -> None:
    """A script's statements one by one: `executescript` would commit what the step has done so far."""
    for statement in script.split(";\n"):
        if statement.strip():
            db.conn.execute(statement)


@migrations()
def first(db: Database) -> None:
    """All tables of 0.1."""
    _execute(db, _FIRST)


_BRAKE_BY_SECOND = """
alter table brake rename to brake_before;
drop index brake_at;
create table brake (
  at integer not null,
  cause text not null,
  owner text not null,
  count integer not null,
  primary key (at, cause, owner)
) strict, without rowid;
insert into brake select (at + 999) / 1000 * 1000, cause, owner, count(*) from brake_before group by 1, 2, 3;
drop table brake_before;
"""


@migrations()
def brake_by_second(db: Database) -> None:
    """What the brake counts is asked for at every batch: a row a second, not one a plan."""
    _execute(db, _BRAKE_BY_SECOND)


_ACTIVITY_BY_NUMBER = """
alter table activity rename to activity_before;
create table activity (id integer primary key, body text not null) strict;
"""


class _ActivityBefore(Struct):
    """As it was told until then; what is not looked at stays as it was written."""

    identity: Raw
    key: str
    at: Raw
    kind: Raw
    asset: Raw = Raw(b'""')
    attributes: Raw = Raw(b"{}")


@migrations()
def activity_by_number(db: Database) -> None:
    """A fraction of the pages, and each found with fewer: a number for a key, and bodies without names."""
    _execute(db, _ACTIVITY_BY_NUMBER)
    before = db.conn.execute("select person, body from activity_before order by person, at, source, key")
    db.conn.executemany("insert into activity values (?, ?)", _numbered(before))
    db.conn.execute("drop table activity_before")


def _numbered(before: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    decode, encode = msgspec.json.Decoder(_ActivityBefore).decode, msgspec.json.Encoder().encode
    last, taken = 0, set[int]()
    for person, body in before:
        if person != last:
            last, taken = person, set()
        told = decode(body)
        number = slot(told.key)
        while number in taken:
            number = (number + 1) & LAST
        taken.add(number)
        array = (told.identity, told.key, told.at, told.kind, told.asset, told.attributes)
        yield person << SHIFT | number, encode(array).decode()


_INBOX = """
create table inbox (
  id integer primary key autoincrement,
  source text not null,
  arrived integer not null,
  head text not null,
  body blob not null,
  refused text
) strict;
create index inbox_waiting on inbox (source, id) where refused is null;
create index inbox_refused on inbox (id) where refused is not null;
create table heard (
  source text not null,
  name text not null,
  at integer not null,
  primary key (source, name)
) strict, without rowid;
create index heard_at on heard (at);
"""


@migrations()
def inbox(db: Database) -> None:
    """What is posted to us stands on the disk before it is answered."""
    _execute(db, _INBOX)


_APART = """
create table apart (
  person integer not null,
  other integer not null,
  at integer not null,
  primary key (person, other)
) strict, without rowid
"""


@migrations()
def apart(db: Database) -> None:
    """A split by an admin is remembered: the same address must not join the two again."""
    db.conn.execute(_APART)


_UNANSWERED = """
create table unanswered (
  ext text not null,
  object text not null,
  system text not null,
  tries integer not null,
  again_at integer,
  primary key (ext, object, system)
) strict, without rowid
"""


@migrations()
def unanswered(db: Database) -> None:
    """A look-up that found nothing is repeated ever more seldom, and shown."""
    db.conn.execute(_UNANSWERED)


_ACCOUNT = """
create table account (
  id text not null,
  kind text not null,
  ext text not null,
  person integer not null,
  name text not null default '',
  owner text not null default '',
  primary key (id, kind, ext, person)
) strict, without rowid;
create index account_person on account (person)
"""


@migrations()
def account(db: Database) -> None:
    """Who is of one company, for the company's picture in a dossier; filled as people's records are told again."""
    _execute(db, _ACCOUNT)


_POLICY = """
create table policy (digest text primary key, body blob not null, first_used integer not null) strict, without rowid;
create table policy_use (since integer primary key, digest text not null) strict
"""


@migrations()
def policy(db: Database) -> None:
    """The policies that decide are kept, each once, and when they were in use: the past is explained by its own."""
    _execute(db, _POLICY)


_COMPANY = """
create table company (id text primary key, told text, name text not null default '',
  owner text not null default '', at integer not null default 0, people integer not null default 0,
  engaged integer not null default 0) strict, without rowid;
create table company_title (id text not null, title text not null, people integer not null,
  primary key (id, title)) strict, without rowid;
create table company_key (key text not null, id text not null, told integer not null default 0,
  people integer not null default 0, primary key (key, id)) strict, without rowid;
create index company_key_told on company_key (id) where told = 1;
create table company_wake (id text primary key, after integer, again integer not null default 0,
  rest_until integer) strict, without rowid;
create table member (person integer not null, id text not null, matched integer not null,
  engaged integer not null, title text not null, domains text not null, primary key (person, id)) strict, without rowid;
create index member_matched on member (person) where matched = 1;
create table deal (ext text primary key, account text not null, owner text not null, open integer not null,
  created integer not null, modified integer not null) strict, without rowid;
create index deal_open on deal (account, created) where open = 1;
insert into member select distinct account.person, account.id, 0, exists (select 1 from activity
  where activity.id between account.person << 32 and account.person << 32 | 4294967295), '', ''
  from account where kind = 'person';
insert into company (id, name, owner, people, engaged) select account.id, max(name), max(owner),
  count(distinct account.person), (select sum(engaged) from member where member.id = account.id)
  from account where kind = 'person' group by account.id;
insert or ignore into deal select json_extract(one.value, '$.identity.id'), json_extract(one.value, '$.account'),
  json_extract(one.value, '$.owner'), 1,
  cast(strftime('%s', json_extract(one.value, '$.created_at')) as integer) * 1000,
  cast(strftime('%s', json_extract(one.value, '$.modified_at')) as integer) * 1000
  from account join said on said.person = account.person join json_each(said.body, '$.opportunities') as one
  where account.kind = 'deal' and json_extract(one.value, '$.identity.id') = account.ext;
drop table account
"""


@migrations()
def company(db: Database) -> None:
    """Companies in rows of their own, counted as their people come. Keys and titles come as records are told again."""
    _execute(db, _COMPANY)


_EDIT = """
create table edit (at integer not null, by text not null, person integer not null, primary key (at, by, person))
  strict, without rowid;
create index edit_person on edit (person)
"""


@migrations()
def edit(db: Database) -> None:
    """Who did something to whom in which second, to tell a bulk edit from a touch; filled as facts come in."""
    _execute(db, _EDIT)


_VISIT = """
create table visit (person integer not null, entered_at integer not null, stage text not null, left_at integer,
  handoff text not null, primary key (person, entered_at)) strict, without rowid;
create index visit_stage on visit (stage, left_at);
insert or replace into visit select person, at, json_extract(data, '$.stage'),
  lead(at) over (partition by person order by id), handoff from journal where kind = 'stage' order by id
"""


@migrations()
def visit(db: Database) -> None:
    """Every visit to a stage, from what the journal knows of it."""
    _execute(db, _VISIT)


_CLUE = """
create table clue (person integer primary key, keys text not null) strict;
create table result (subject text not null, model text not null, at integer not null, fit real not null,
  interest real not null, grade text not null, primary key (subject, model, at)) strict, without rowid;
update member set title = coalesce((select json_extract(one.value, '$.fields.title')
  from said, json_each(said.body, '$.records') as one
  where said.person = member.person and json_extract(one.value, '$.account') = member.id limit 1), '') where title = '';
delete from company_title;
insert into company_title select id, title, count(*) from member where engaged and title <> '' group by id, title
"""


@migrations()
def clue(db: Database) -> None:
    """What could name somebody's company is worked out once; what models have said is kept."""
    _execute(db, _CLUE)


@migrations()
def absences(db: Database) -> None:
    """When CRM users say that they are out."""
    db.conn.execute("alter table crm_user add column away_from integer")
    db.conn.execute("alter table crm_user add column away_until integer")


@migrations()
def figures(db: Database) -> None:
    """What reports count, in columns. Everybody who was decided is planned again in the cold lane: that fills them."""
    for table, columns in (("handoff", OF_HANDOFFS), ("deal", OF_DEALS)):
        for column in columns.split(";"):
            db.conn.execute(f"alter table {table} add column {column.strip()}")
    _execute(db, TABLES)
    deals.fill(db.conn)


@migrations()
def journal_sealed(db: Database) -> None:
    """The journal is chained, so that nobody changes the past unseen; what it says of people stands apart."""
    _execute(db, journal.TABLES)
    journal.seal_older(db.conn)
