CREATE INDEX child_person on child (person);
CREATE INDEX company_key_told on company_key (id) where told = 1;
CREATE INDEX deal_open on deal (account, created) where open = 1;
CREATE INDEX edit_person on edit (person)
;
CREATE INDEX email_person on email (person);
CREATE INDEX handoff_person on handoff (person);
CREATE INDEX handoff_state on handoff (state, owner);
CREATE INDEX heard_at on heard (at);
CREATE UNIQUE INDEX identity_name on identity (ext, object, system);
CREATE INDEX identity_person on identity (person, system, object, ext);
CREATE INDEX identity_wanted on identity (system, id) where wanted > 0;
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX inbox_refused on inbox (id) where refused is not null;
CREATE INDEX inbox_waiting on inbox (source, id) where refused is null;
CREATE INDEX journal_person on journal (person, id);
CREATE INDEX journal_pool_used on journal_pool (used)
;
CREATE INDEX member_matched on member (person) where matched = 1;
CREATE INDEX outbox_blocked on outbox (blocked_by) where blocked_by is not null;
CREATE INDEX outbox_due on outbox (target, lane, id, not_before) where state = 'queued' and blocked_by is null;
CREATE INDEX outbox_person on outbox (person);
CREATE INDEX outbox_state on outbox (state, id) where state <> 'done';
CREATE INDEX person_dirty on person (lane, dirty_since, id) where dirty_since is not null and held is null;
CREATE INDEX person_erased on person (id) where erased = 1;
CREATE INDEX person_held on person (held_since, id) where held is not null;
CREATE INDEX person_merged on person (merged_into) where merged_into is not null;
CREATE INDEX person_wake on person (wake_at, id) where wake_at is not null and held is null;
CREATE INDEX visit_stage on visit (stage, left_at);
CREATE INDEX waits_person on waits (person);
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
CREATE TABLE activity (id integer primary key, body text not null) strict;
CREATE TABLE apart (
  person integer not null,
  other integer not null,
  at integer not null,
  primary key (person, other)
) strict, without rowid
;
CREATE TABLE brake (
  at integer not null,
  cause text not null,
  owner text not null,
  count integer not null,
  primary key (at, cause, owner)
) strict, without rowid;
CREATE TABLE child (
  ext text not null,
  object text not null,
  system text not null,
  person integer not null,
  primary key (ext, object, system, person)
) strict, without rowid;
CREATE TABLE clue (person integer primary key, keys text not null) strict;
CREATE TABLE company (id text primary key, told text, name text not null default '',
  owner text not null default '', at integer not null default 0, people integer not null default 0,
  engaged integer not null default 0) strict, without rowid;
CREATE TABLE company_key (key text not null, id text not null, told integer not null default 0,
  people integer not null default 0, primary key (key, id)) strict, without rowid;
CREATE TABLE company_title (id text not null, title text not null, people integer not null,
  primary key (id, title)) strict, without rowid;
CREATE TABLE company_wake (id text primary key, after integer, again integer not null default 0,
  rest_until integer) strict, without rowid;
CREATE TABLE crm_user (
  system text not null,
  id text not null,
  name text not null,
  active integer not null,
  queue integer not null, away_from integer, away_until integer,
  primary key (system, id)
) strict, without rowid;
CREATE TABLE deal (ext text primary key, account text not null, owner text not null, open integer not null,
  created integer not null, modified integer not null, system text not null default '', object text not null default '', stage text not null default '', amount
  integer, currency text not null default '', closed integer not null default 0, won integer not null default 0, closed_on text not null default '', closed_at integer, deleted integer not null default 0) strict, without rowid;
CREATE TABLE edit (at integer not null, by text not null, person integer not null, primary key (at, by, person))
  strict, without rowid;
CREATE TABLE email (address text primary key, person integer not null) strict, without rowid;
CREATE TABLE entry (person integer primary key, entered_at integer not null, told_by text not null,
  system text not null, source text not null, campaign text not null, content text not null, medium text not null,
  segment text not null, stage text not null, fit real not null, interest real not null, grade text not null,
  owner text not null, handoffs integer not null) strict;
CREATE TABLE gone (
  ext text not null,
  object text not null,
  system text not null,
  body text not null,
  primary key (ext, object, system)
) strict, without rowid;
CREATE TABLE handoff (
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
, first_owner text not null default '', queue integer not null default 0, route text not null default '', grade
  text not null default '', score real, segment text not null default '', sla text not null default '', reason
  text not null default '', attempts integer not null default 0, assignments integer not null default 0, raised_at
  integer, come_back_at integer, system text, campaign text, rule text, team text, working integer) strict, without rowid;
CREATE TABLE heard (
  source text not null,
  name text not null,
  at integer not null,
  primary key (source, name)
) strict, without rowid;
CREATE TABLE hinted (
  ext text not null,
  object text not null,
  system text not null,
  wanted integer not null,
  primary key (ext, object, system)
) strict, without rowid;
CREATE TABLE identity (
  id integer primary key,
  ext text not null,
  object text not null,
  system text not null,
  person integer not null,
  wanted integer not null default 0
) strict;
CREATE TABLE inbox (
  id integer primary key autoincrement,
  source text not null,
  arrived integer not null,
  head text not null,
  body blob not null,
  refused text
) strict;
CREATE TABLE journal (
  id integer primary key autoincrement,
  at integer not null,
  person integer not null,
  kind text not null,
  handoff text not null,
  data text not null,
  config text not null,
  format integer not null,
  engine text not null,
  sealed blob not null,
  hash blob not null
) strict;
CREATE TABLE journal_basis (id integer primary key, body blob not null) strict;
CREATE TABLE journal_pool (digest blob primary key, body blob not null, used integer not null) strict, without rowid;
CREATE TABLE journal_told (id integer primary key, salt blob not null, why text not null, inputs blob not null,
  plan blob not null) strict;
CREATE TABLE judged (person integer primary key, decision text, absorbed text) strict;
CREATE TABLE member (person integer not null, id text not null, matched integer not null,
  engaged integer not null, title text not null, domains text not null, primary key (person, id)) strict, without rowid;
CREATE TABLE meta (name text primary key, value text not null) strict, without rowid;
CREATE TABLE outbox (
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
CREATE TABLE person (
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
CREATE TABLE policy (digest text primary key, body blob not null, first_used integer not null) strict, without rowid;
CREATE TABLE policy_use (since integer primary key, digest text not null) strict
;
CREATE TABLE promise (handoff text not null, clock integer not null, turn integer not null, promised text not null,
  name text not null, owner text not null, started_at integer not null, due_at integer, ended_at integer, met integer,
  minutes real, primary key (handoff, clock, turn)) strict, without rowid;
CREATE TABLE result (subject text not null, model text not null, at integer not null, fit real not null,
  interest real not null, grade text not null, primary key (subject, model, at)) strict, without rowid;
CREATE TABLE said (person integer primary key, body text not null) strict;
CREATE TABLE stream (
  name text primary key,
  cursor text,
  seen_until integer,
  accepted_at integer
) strict, without rowid;
CREATE TABLE unanswered (
  ext text not null,
  object text not null,
  system text not null,
  tries integer not null,
  again_at integer,
  primary key (ext, object, system)
) strict, without rowid
;
CREATE TABLE visit (person integer not null, entered_at integer not null, stage text not null, left_at integer,
  handoff text not null, primary key (person, entered_at)) strict, without rowid;
CREATE TABLE waits (
  what text not null,
  person integer not null,
  primary key (what, person)
) strict, without rowid;
CREATE VIEW report_deal as select ext as deal, system, object, account, owner, stage, amount,
  currency, closed, won, not closed as open, closed_on, strftime('%Y-%m-%dT%H:%M:%SZ', created / 1000, 'unixepoch') as created_at, created as created_ms, strftime('%Y-%m-%dT%H:%M:%SZ', closed_at / 1000, 'unixepoch') as closed_at, closed_at as closed_ms,
  strftime('%Y-%m-%dT%H:%M:%SZ', modified / 1000, 'unixepoch') as modified_at, modified as modified_ms,
  (select count(*) from child as c where (c.ext, c.object, c.system) = (deal.ext, deal.object, deal.system)) as people
from deal where deleted = 0;
CREATE VIEW report_deal_person as select d.ext as deal, c.person
from deal as d join child as c on (c.ext, c.object, c.system) = (d.ext, d.object, d.system) where d.deleted = 0;
CREATE VIEW report_handoff as select h.id as handoff, h.person, h.number,
  h.number > 1 as is_return, strftime('%Y-%m-%dT%H:%M:%SZ', h.opened_at / 1000, 'unixepoch') as opened_at, h.opened_at as opened_ms, h.state, h.outcome, h.reason, h.cause, h.route, h.team,
  h.owner, h.first_owner, h.queue, h.assignments, h.attempts, h.grade, h.score, cast(h.score / 20 as integer) * 20 as score_band,
  h.segment, e.source, e.campaign, e.content, e.medium, e.entered_at as entered_ms,
  h.system as trigger_system, h.campaign as trigger_campaign, h.rule as trigger_rule, strftime('%Y-%m-%dT%H:%M:%SZ', h.raised_at / 1000, 'unixepoch') as raised_at, h.raised_at as raised_ms,
  strftime('%Y-%m-%dT%H:%M:%SZ', h.clock_started_at / 1000, 'unixepoch') as delivered_at, h.clock_started_at as delivered_ms, strftime('%Y-%m-%dT%H:%M:%SZ', h.touched_at / 1000, 'unixepoch') as touched_at, h.touched_at as touched_ms,
  max(h.touched_at - h.opened_at, 0) / 1000.0 as seconds_to_touch,
  case when h.touched_at is not null then h.working end as working_seconds_to_touch,
  strftime('%Y-%m-%dT%H:%M:%SZ', h.closed_at / 1000, 'unixepoch') as closed_at, h.closed_at as closed_ms, strftime('%Y-%m-%dT%H:%M:%SZ', h.come_back_at / 1000, 'unixepoch') as come_back_at, h.come_back_at as come_back_ms, h.sla
from handoff as h left join entry as e on e.person = h.person;
CREATE VIEW report_lead as select person, strftime('%Y-%m-%dT%H:%M:%SZ', entered_at / 1000, 'unixepoch') as entered_at, entered_at as entered_ms, told_by, system,
  source, campaign, content, medium, segment, stage, fit, interest, fit + interest as score,
  cast((fit + interest) / 20 as integer) * 20 as score_band, grade, owner, handoffs,
  strftime('%Y-%m-%dT%H:%M:%SZ', (select min(v.entered_at) from visit as v where v.person = entry.person) / 1000, 'unixepoch') as moved_at, (select min(v.entered_at) from visit as v where v.person = entry.person) as moved_ms
from entry;
CREATE VIEW report_missing as select count(*) as people from person as p
where dirty_since is not null and held is null and erased = 0 and exists (select 1 from judged where person = p.id)
and not exists (select 1 from entry where person = p.id);
CREATE VIEW report_promise as select p.handoff, p.clock, p.turn, p.promised, p.name as sla,
  p.owner, h.team, h.route, h.person, h.number > 1 as is_return, h.grade, h.score, cast(h.score / 20 as integer) * 20 as score_band,
  h.segment, e.source, e.campaign, e.content, e.medium, strftime('%Y-%m-%dT%H:%M:%SZ', p.started_at / 1000, 'unixepoch') as started_at, p.started_at as started_ms, strftime('%Y-%m-%dT%H:%M:%SZ', p.due_at / 1000, 'unixepoch') as due_at, p.due_at as due_ms,
  strftime('%Y-%m-%dT%H:%M:%SZ', p.ended_at / 1000, 'unixepoch') as ended_at, p.ended_at as ended_ms, p.met, p.minutes
from promise as p join handoff as h on h.id = p.handoff left join entry as e on e.person = h.person;
CREATE VIEW report_rep as select id as owner, name, active, queue, system from crm_user;
CREATE VIEW report_since as select (select min(entered_at) from entry) as entered_ms,
  (select min(entered_at) from visit) as stage_ms,
  (select min(closed_at) from deal where won and not deleted) as won_ms;
CREATE VIEW report_stage as select v.person, v.stage, strftime('%Y-%m-%dT%H:%M:%SZ', v.entered_at / 1000, 'unixepoch') as entered_at, v.entered_at as entered_ms,
  strftime('%Y-%m-%dT%H:%M:%SZ', v.left_at / 1000, 'unixepoch') as left_at, v.left_at as left_ms, (v.left_at - v.entered_at) / 1000.0 as seconds,
  (select stage from visit as n where n.person = v.person and n.entered_at = v.left_at) as next_stage,
  v.handoff, case when e.handoffs > 1 then v.handoff <> '' and substr(v.handoff, -2) <> '.1' else 0 end as is_return,
  e.source, e.campaign, e.content, e.medium, e.segment, cast((e.fit + e.interest) / 20 as integer) * 20 as score_band, e.grade, e.owner
from visit as v join entry as e on e.person = v.person;
