"""Scripts of messages. A step sends some and reads up to a message of one of the awaited types."""

import dataclasses
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "e2e"))
from wire import (  # noqa: E402
    COPY_DONE, FLUSH, SYNC, bind, close, copy_data, copy_fail, describe, execute, int16, int32, message, parse, query)


@dataclasses.dataclass
class Step:
    label: str
    messages: list
    until: tuple


@dataclasses.dataclass
class Script:
    name: str
    steps: list
    parameters: dict = dataclasses.field(default_factory=dict)
    show_login: bool = False
    gap: str = ""


SCRIPTS = []


def step(*messages, until="Z"):
    label = " ".join(f"{m[:1].decode()}{bytes(m[5:60])!r}" for m in messages)
    return Step(label, list(messages), tuple(until))


def script(name, *steps, show_login=False, gap="", **parameters):
    """A string is a simple query. `gap` says what the gateway doesn't do yet."""
    SCRIPTS.append(Script(name, [step(query(s)) if isinstance(s, str) else s for s in steps], parameters, show_login, gap))


def one(sql, *values, types=(), **more):
    """A statement by the extended protocol, described both ways."""
    return step(parse(sql, types=types), describe("S"), bind(values, **more), describe("P"), execute(), SYNC)


T = "create table t (a int primary key, b text)"
FILL = "insert into t select g, 'row ' || g from generate_series(1, 10) g"

# --- logging in
script("login_reports_parameters", "select 1", show_login=True)
script("login_with_settings", "show datestyle", "show timezone", "show application_name", "show client_encoding",
       "reset datestyle", "show datestyle", "reset all", "show timezone", "set timezone to default", "show timezone",
       show_login=True, datestyle="german", TimeZone="Europe/Berlin", application_name="some thing",
       client_encoding="latin1")
script("login_with_options", "show work_mem", "show intervalstyle", "set work_mem = '1MB'", "reset work_mem",
       "show work_mem", "discard all", "show work_mem", show_login=True,
       options="-c work_mem=7MB --intervalstyle=iso_8601 -c application_name=a\\ b")

# --- simple protocol
script("simple_values", "select 1", "select 1 as a, null as b, ''", "select", "values (1, 'x'), (2, 'y')",
       "select 1::int2, 1::int8, 1.5::numeric, 'a'::char(3), 'b'::varchar(5), now()::date is null, true, '{1,2}'::int[]",
       "select row(1, 'x'), '1 day'::interval, 'a'::name, 'x'::\"char\", '\\x00ff'::bytea")
script("simple_nothing", "", " ", ";", ";;", "-- x", "/* x */ ; /* y */", "select 1;", ";select 1", "select 1;;select 2;")
script("simple_tags", T, FILL, "select * from t where a < 3", "update t set b = 'x' where a < 4", "delete from t where a = 1",
       "insert into t values (100, 'z') returning a, b", "truncate t", "create index on t (b)", "drop table t",
       "create view v as select 1 as one", "select * from v", "create table u as select 1 as x", "select 7 as y into w",
       "create sequence s", "select nextval('s')", "comment on table u is 'x'", "lock table u", "analyze u", "vacuum u",
       "checkpoint", "grant select on u to public", "begin", "lock table u", "commit", "do 'begin null; end'",
       "create function f() returns int language sql as 'select 1'", "select f()", "alter table u add y int",
       "refresh materialized view nosuch", "explain (costs off) select * from u", "create materialized view m as select 1",
       "refresh materialized view m", "reindex table u", "cluster u", "notify x", "notify x, 'payload'")
script("simple_errors", "selekt 1", "select 1 +", "select 1/0", "select * from nosuch", "select nosuch", "select 'x",
       "create table t (a int primary key)", "create table t (a int)", "insert into t values (1)",
       "insert into t values (1)", "insert into t values (null)", "insert into t values ('x')", "select $1",
       "select a from t group by b", "select f(1)", "select 'ü' + nosuch", "select 1;\nselect 2 frm t",
       "alter table t add check (a > 0)", "insert into t values (-1)", "do $$ begin raise exception 'x' using"
       " detail = 'd', hint = 'h', errcode = 'ABCDE', column = 'c', constraint = 'n', table = 't', schema = 's',"
       " datatype = 'dt'; end $$", "do $$ begin perform 1/0; end $$", "create table i.t (a int)", "drop table nosuch",
       "drop table if exists nosuch", "set search_path = x", "show nosuch", "set nosuch = 1", "select pg_sleep('x')")
script("simple_notices", "do $$ begin raise notice 'a'; raise warning 'b' using hint = 'h'; raise info 'c'; end $$",
       "do $$ begin raise debug 'd'; raise log 'l'; end $$", "set client_min_messages = debug1",
       "do $$ begin raise debug 'd'; end $$", "set client_min_messages = error",
       "do $$ begin raise warning 'b'; end $$", "reset client_min_messages",
       "create table if not exists t (a int); create table if not exists t (a int)",
       "do $$ begin raise notice 'in'; end $$; select 1; do $$ begin raise notice 'out'; end $$")
script("simple_batches", T, "insert into t values (1, 'x'); select * from t; delete from t", "select 1; select 1/0; select 2",
       "insert into t values (2, 'y'); select 1/0", "select count(*) from t", "begin; insert into t values (3, 'z'); commit",
       "begin; select 1/0; rollback", "select 1", "rollback", "begin; select 1", "select 2; commit; select 3",
       "commit; commit", "select 1; commit", "select 1; rollback", "create table u (a int); commit; insert into u values (1)",
       "select 1; begin", "select 2", "commit", "select 1; savepoint s", "select 1; vacuum", "vacuum; vacuum",
       "set local work_mem = '1MB'; show work_mem", "show work_mem", "select 1; set work_mem = '3MB'; show work_mem",
       "show work_mem")
script("simple_failed_transactions", "begin", "select 1/0", "select 1", "", "savepoint s", "commit", "begin",
       "select 1/0", "rollback and chain", "select 1", "rollback", "begin", "selekt", "select 1", "show work_mem",
       "set work_mem = '1MB'", "rollback", "begin", "savepoint a", "select 1/0", "rollback to a", "select 1",
       "release a", "commit", "begin; select 1/0", "select 1; rollback", "commit")
script("simple_savepoints", T, "begin", "savepoint a", "insert into t values (1, '')", "savepoint b",
       "insert into t values (2, '')", "rollback to b", "release b", "select count(*) from t", "rollback to a",
       "select count(*) from t", "release nosuch", "rollback to a", "savepoint a", "savepoint a", "release a", "release a",
       "commit", "savepoint x", "release x", "rollback to x")
script("simple_transaction_modes", "begin read only", "create table x (a int)", "rollback",
       "begin isolation level repeatable read, read only, not deferrable", "show transaction_isolation",
       "show transaction_read_only", "commit", "begin", "set transaction isolation level serializable",
       "show transaction_isolation", "select 1", "set transaction isolation level read committed", "rollback",
       "start transaction read write", "end", "begin work", "abort", "begin", "begin", "commit", "commit", "rollback",
       "set session characteristics as transaction read only", "show transaction_read_only",
       "set session characteristics as transaction read write, isolation level read committed",
       "begin isolation level nosuch", "prepare transaction 'x'", "begin", "prepare transaction 'x'", "rollback")
script("simple_settings", "set datestyle = 'sql, dmy'", "show datestyle", "set timezone = 'Asia/Tokyo'",
       "select '2024-01-01 00:00+00'::timestamptz", "set application_name = 'x'", "begin", "set timezone = 'UTC'",
       "rollback", "show timezone", "begin", "set local timezone = 'CET'", "commit", "show timezone",
       "reset timezone", "reset all", "set client_encoding = 'latin1'", "select 'x'", "set client_encoding to default",
       "set names 'utf8'", "set standard_conforming_strings = off", "select '\\101'",
       "set standard_conforming_strings = on", "set session authorization default", "show session authorization",
       "set extra_float_digits = 0", "select 0.1::float4", "set bytea_output = escape", "select '\\x41'::bytea",
       "discard all", "show bytea_output", "set default_transaction_read_only = on", "create table x (a int)",
       "reset default_transaction_read_only", "set intervalstyle = 'sql_standard'", "select '1 day 2 hours'::interval")
script("simple_set_config", "select set_config('timezone', 'CET', false)", "show timezone",
       "select set_config('timezone', 'UTC', true)", "show timezone", "begin",
       "select set_config('timezone', 'Asia/Tokyo', false), 1 as x", "rollback", "show timezone",
       "select current_setting('timezone')", "select set_config('my.own', 'v', false)", "show my.own",
       "select current_setting('my.none', true)", "select current_setting('my.none')", "select set_config('nosuch', 'x', false)")
script("simple_cursors", T, FILL, "begin", "declare c scroll cursor for select * from t order by a", "fetch c", "fetch 3 c",
       "fetch backward 2 c", "move 2 in c", "fetch absolute 9 c", "fetch all c", "close c", "fetch c", "rollback",
       "begin", "declare h cursor with hold for select a from t order by a", "fetch 2 h", "commit", "fetch 2 h",
       "close h", "fetch h", "begin", "declare h cursor with hold for select 1", "rollback", "fetch h",
       "declare c cursor for select 1", "begin", "declare u cursor for select * from t for update", "fetch u",
       "update t set b = 'cur' where current of u", "commit", "close all")
script("simple_prepare", "prepare p as select 1 as x", "execute p", "prepare p as select 2", "execute nosuch", "deallocate p",
       "execute p", "prepare q (int, text) as select $1, $2", "execute q (1, 'x')", "execute q (1)",
       "deallocate all", "deallocate nosuch", "prepare r as nonsense", "prepare s as select * from nosuch", "begin",
       "prepare t as select 3 as y", "rollback", "execute t", "explain (costs off) execute t")
script("simple_prepare_positions", "prepare q (int) as select $1", "execute q ('y')",
       gap="a position behind the statement's name is the pooler's")
script("simple_copy", T,
       step(query("copy t from stdin"), until="GE"), step(copy_data("1\tx\n2\t\\N\n"), copy_data("3\tz\n"), COPY_DONE),
       "copy t to stdout", "copy (select 1, null, 'a,b') to stdout with (format csv, header)",
       "copy (select 1::int4) to stdout with (format binary)", "copy (select 1 where false) to stdout",
       step(query("copy t from stdin"), until="GE"), step(copy_data("1\tdup\n"), COPY_DONE),
       step(query("copy t from stdin"), until="GE"), step(copy_data("x\tdup\n"), COPY_DONE),
       step(query("copy t from stdin"), until="GE"), step(copy_data("9\tgone\n"), copy_fail("changed my mind")),
       step(query("copy t from stdin"), until="GE"), step(FLUSH, SYNC, copy_data("10\tten\n"), COPY_DONE),
       "select * from t order by a", "copy nosuch from stdin", "copy t from stdin with (nosuch)", "copy nosuch to stdout",
       step(query("copy t (a) from stdin csv"), until="GE"), step(copy_data("11\n"), copy_data("12"), COPY_DONE),
       "begin", step(query("copy t from stdin"), until="GE"), step(copy_data("13\tx\n"), COPY_DONE), "rollback", "begin",
       step(query("copy t from stdin"), until="GE"), step(copy_data("y\tx\n"), COPY_DONE), "select 1", "rollback",
       step(query("copy t from stdin"), until="GE"), step(COPY_DONE), step(COPY_DONE, copy_data("stray"), query("select 1")),
       "select count(*) from t", "copy (select 1/0) to stdout", "copy (select 1/(3-g) from generate_series(1,5) g) to stdout")
script("simple_copy_batches", T,
       step(query("insert into t values (1, 'x'); copy t from stdin; select count(*) from t"), until="GE"),
       step(copy_data("2\ty\n"), COPY_DONE),
       step(query("copy t from stdin; copy t from stdin"), until="GE"), step(copy_data("3\ta\n"), COPY_DONE, until="GE"),
       step(copy_data("4\tb\n"), COPY_DONE), "select 1; copy t to stdout; select 2",
       step(query("copy t from stdin; select 1/0"), until="GE"), step(copy_data("5\ta\n"), COPY_DONE),
       "select count(*) from t")

# --- extended protocol
script("extended_values", one("select 1"), one("select $1::int + 1 as x", "41"), one("select $1", "x"), one("select"),
       one("select $1::text, $2::int8, $3::bool", "a", None, "t"), one("select 1 where false"),
       one("select $1 || $2", "a", "b", types=(25, 25)), one("select $2::int, $1::int", 1, 2), one(""), one(" -- x"),
       one(";"), one("select 1;"), one("select $1::int", 7, result_formats=(1,)),
       one("select $1::int, 'x'", int32(7), formats=(1,), result_formats=(1, 0)))
script("extended_tags", one("create table t (a int primary key, b text)"), one("insert into t values ($1, $2)", 1, "x"),
       one("insert into t values ($1, $2) returning *", 2, "y"), one("update t set b = $1", "z"),
       one("select * from t order by a"), one("delete from t where a = $1", 1), one("truncate t"), one("vacuum t"),
       one("drop table t"), one("begin"), one("select 1"), one("commit"), one("commit"), one("rollback"),
       one("set timezone = 'CET'"), one("show timezone"), one("reset timezone"), one("discard all"),
       one("explain (costs off) select 1"), one("do 'begin null; end'"), one("checkpoint"), one("values (1), (2)"),
       one("create table u as select 1 as x"), one("prepare p as select $1::int"), one("execute p (3)"),
       one("deallocate p"), one("notify ch, 'x'"), one("unlisten *"), one("lock table u"))
script("extended_listen", one("listen ch2"), one("unlisten *"), gap="LISTEN")
script("extended_errors", one("selekt"), one("select nosuch"), one("select 1/0"), one("select 1/$1::int", 0),
       one("select $1::int", "x"), one("select 1; select 2"), one("select $1::int + $2::int", 1),
       one("select * from nosuch where a = $1", 1), one("create table t (a int)"), one("create table t (a int)"),
       one("select 1"), one("select $1", "x", types=(99999,)), one("select $3::int, $1::int", 1, 2, 3),
       one("select $0"), one("select $1::int", int32(1) + b"x", formats=(1,)), one("select 1", "too many"),
       one("select $1::int", formats=(0, 0)), one("select $1::text", b"\xff"), one("select 1", result_formats=(0, 0)))
script("extended_missing", step(bind(statement="nosuch"), SYNC), step(describe("S", "nosuch"), SYNC),
       step(describe("P", "nosuch"), SYNC), step(execute("nosuch"), SYNC), step(close("S", "nosuch"), close("P", "nosuch"), SYNC),
       step(execute(), SYNC), step(bind(), SYNC), step(describe("S"), SYNC), step(describe("P"), SYNC))
script("extended_names", step(parse("select 1 as a", "s"), describe("S", "s"), SYNC), step(parse("select 2", "s"), SYNC),
       step(bind(portal="p", statement="s"), describe("P", "p"), execute("p"), SYNC), step(execute("p"), SYNC),
       step(close("S", "s"), parse("select 3 as c", "s"), describe("S", "s"), SYNC),
       step(bind(portal="p", statement="s"), bind(portal="p", statement="s"), SYNC),
       step(bind(portal="p", statement="s"), close("P", "p"), bind(portal="p", statement="s"), execute("p"), SYNC),
       step(parse("select 4"), SYNC), step(bind(), execute(), SYNC), step(parse("select 5"), bind(), execute(), SYNC),
       "select 6", step(bind(), execute(), SYNC), step(close("S", "s"), bind(statement="s"), SYNC))
script("extended_sql_prepared", "prepare s as select $1::int as v", step(bind([5], statement="s"), execute(), SYNC),
       step(describe("S", "s"), SYNC), step(parse("select 9 as nine", "w"), SYNC), "execute w", "deallocate w",
       step(bind(statement="w"), SYNC), step(parse("execute s (4)"), describe("S"), bind(), describe("P"), execute(), SYNC))
script("extended_portals", T, FILL,
       step(parse("select a from t order by a"), bind(), execute(rows=3), execute(rows=3), execute(rows=3), execute(rows=3), SYNC),
       step(parse("select a from t order by a"), bind(), describe("P"), execute(rows=3), SYNC), step(execute(rows=3), SYNC),
       "begin", step(parse("select a, b from t order by a", "s"), bind(portal="x", statement="s"), execute("x", 4), SYNC),
       "select 'between'", step(execute("x", 4), SYNC), step(describe("P", "x"), execute("x"), SYNC),
       step(close("P", "x"), SYNC), step(execute("x", 1), SYNC), "rollback",
       "begin", step(bind(portal="y", statement="s"), execute("y", 1), bind(portal="z", statement="s"), execute("z", 2), SYNC),
       step(execute("y", 2), execute("z", 2), execute("y", 2), SYNC), "commit", step(execute("y", 2), SYNC),
       step(parse("insert into t values (99, 'p') returning a"), bind(), execute(rows=1), execute(rows=1), SYNC),
       step(parse("select a from t where a = 1"), bind(), execute(rows=1), execute(rows=1), SYNC),
       step(parse("select a from t where a < 3 order by a"), bind(), execute(rows=2), execute(rows=2), SYNC),
       step(parse("update t set b = 'q'"), bind(), execute(rows=1), execute(rows=1), SYNC),
       step(parse(""), bind(), execute(rows=1), SYNC))
script("extended_portals_read_past_their_end", "begin",
       step(parse("select 1"), bind(portal="x"), execute("x"), execute("x"), SYNC), "rollback",
       gap="a portal that is done can't be run again")
script("extended_portal_fetch_by_name", T, FILL, "begin",
       step(parse("select a from t order by a"), bind(portal="cur"), execute("cur", 2), SYNC), "fetch 2 from cur",
       step(execute("cur", 2), SYNC), "close cur", step(execute("cur", 2), SYNC), "rollback")
script("extended_portal_names_again", "begin", step(parse("select 1 as a", "a"), parse("select 2 as b", "b"), SYNC),
       step(bind(portal="p", statement="a"), describe("P", "p"), SYNC), step(execute("p"), SYNC),
       step(close("P", "p"), bind(portal="p", statement="b"), describe("P", "p"), SYNC), step(execute("p"), SYNC),
       step(bind(portal="p", statement="a"), SYNC), "rollback", "begin",
       step(parse("select g from generate_series(1, 4) g", "g"), bind(portal="p", statement="g"), execute("p", 1), SYNC),
       step(describe("P", "p"), SYNC), step(execute("p", 1), SYNC), step(close("P", "p"), SYNC),
       step(bind(portal="p", statement="g"), execute("p", 1), SYNC), step(execute("p", 9), SYNC),
       step(parse("select g from generate_series(5, 9) g"), bind(), execute(rows=1), SYNC),
       step(bind(portal="q", statement="a"), describe("P", "q"), SYNC), step(execute(rows=1), SYNC), "commit")
script("extended_cursor_by_portal", T, FILL, "begin", "declare c cursor for select a from t order by a",
       step(execute("c", 2), SYNC), "rollback", gap="SQL cursors aren't portals of the protocol")
script("extended_flush", step(parse("select 1 as x"), FLUSH, until="1E"), step(describe("S"), FLUSH, until="TnE"),
       step(bind(), FLUSH, until="2E"), step(describe("P"), FLUSH, until="TnE"), step(execute(), FLUSH, until="CsE"),
       step(SYNC), step(FLUSH, SYNC), step(SYNC, until="Z"))
script("extended_query_without_sync", T, step(parse("insert into t values (1, 'a')"), bind(), execute(), query("select 1")),
       "select count(*) from t", step(parse("insert into t values (2, 'a')"), bind(), execute(), query("select 1/0")),
       "select count(*) from t", step(parse("begin"), bind(), execute(), query("insert into t values (3, 'a')")), "rollback",
       "select count(*) from t", step(parse("select 1"), query("select 2")), step(bind(), execute(), SYNC))
script("extended_parse_errors_at_once", step(parse("selekt"), FLUSH, until="1E"), step(SYNC), "begin",
       step(parse("select * from nosuch"), SYNC), "rollback", gap="Parse is lazy")
script("extended_discards_until_sync",
       step(bind(statement="x"), parse("select 1"), bind(), execute(), query("select 2"), FLUSH, SYNC), "select 3", step(bind(statement="nosuch"), query("select 4"), until="E"), step(SYNC),
       step(execute("nosuch"), close("S", "x"), SYNC), step(parse("select 1/0"), bind(), execute(), execute(), SYNC), step(SYNC))
script("extended_implicit_transactions", T,
       step(parse("insert into t values (1, 'a')"), bind(), execute(), parse("insert into t values (2, 'b')"), bind(), execute(), SYNC),
       step(parse("insert into t values (3, 'a')"), bind(), execute(), parse("insert into t values (1, 'b')"), bind(), execute(), SYNC),
       "select a from t order by a",
       step(parse("insert into t values (4, 'a')"), bind(), execute(), parse("select 1/0"), bind(), execute(), SYNC),
       "select a from t order by a",
       step(parse("begin"), bind(), execute(), parse("insert into t values (5, 'a')"), bind(), execute(), SYNC),
       step(parse("commit"), bind(), execute(), SYNC), "select a from t order by a",
       step(parse("insert into t values (6, 'a')"), bind(), execute(), parse("rollback"), bind(), execute(), SYNC),
       "select a from t order by a",
       step(parse("insert into t values (7, 'a')"), bind(), execute(), parse("commit"), bind(), execute(),
            parse("select 1/0"), bind(), execute(), SYNC), "select a from t order by a",
       step(parse("insert into t values (8, 'a')"), bind(), execute(), parse("begin"), bind(), execute(), SYNC), "rollback",
       "select a from t order by a",
       step(parse("insert into t values (9, 'a')"), bind(), execute(), parse("savepoint s"), bind(), execute(), SYNC),
       "select 'done'")
script("extended_vacuum_in_a_pipeline", T,
       step(parse("select 1"), bind(), execute(), parse("vacuum"), bind(), execute(), SYNC),
       step(parse("vacuum"), bind(), execute(), parse("select 1"), bind(), execute(), SYNC),
       gap="pipelines run in a transaction block")
script("extended_deferred_constraint", "create table p (a int primary key)",
       "create table f (a int references p deferrable initially deferred)", one("insert into f values (1)"),
       step(parse("insert into f values (1)"), bind(), execute(), parse("select 1"), bind(), execute(), SYNC),
       "select count(*) from f", "begin", one("insert into f values (2)"), one("commit"), "select count(*) from f")
script("extended_failed_transaction", "begin", one("select 1/0"), one("select 1"), step(parse("select 1"), SYNC),
       step(parse("rollback"), SYNC), step(bind(), SYNC), step(parse("commit"), bind(), execute(), SYNC), "begin",
       step(parse("select 1", "s"), SYNC), one("select 1/0"), step(bind(statement="s"), SYNC),
       step(describe("S", "s"), SYNC), step(close("S", "s"), SYNC), one("savepoint x"), one("rollback"))
script("extended_savepoints", T, one("begin"), one("savepoint a"), one("insert into t values (1, 'x')"), one("select 1/0"),
       one("rollback to a"), one("select count(*) from t"), one("release a"), one("commit"), one("savepoint a"))
script("extended_set_config_of_a_parameter", one("select set_config('timezone', $1, false)", "Asia/Tokyo"),
       one("show timezone"), gap="set_config() with parameters")
script("extended_settings", one("set timezone = 'CET'"), one("show timezone"), one("set application_name = 'y'"), one("begin"), one("set timezone = 'UTC'"), one("rollback"),
       one("show timezone"), one("reset all"), one("set local work_mem = '1MB'"), one("set nosuch = 1"),
       step(parse("set timezone = 'CET'"), bind(), execute(), parse("show timezone"), bind(), execute(), SYNC),
       step(parse("set timezone = 'UTC'"), bind(), execute(), parse("select 1/0"), bind(), execute(), SYNC), "show timezone")
script("extended_copy", T,
       step(parse("copy t from stdin"), describe("S"), bind(), describe("P"), execute(), FLUSH, until="GE"),
       step(copy_data("1\tx\n"), COPY_DONE, SYNC),
       step(parse("copy t to stdout"), bind(), describe("P"), execute(), SYNC),
       step(parse("copy t from stdin"), bind(), execute(), SYNC, copy_data("2\ty\n"), COPY_DONE, SYNC),
       step(parse("copy t from stdin"), bind(), execute(), SYNC, copy_data("x\ty\n"), COPY_DONE, SYNC),
       step(parse("copy t from stdin"), bind(), execute(), FLUSH, until="GE"), step(copy_fail("no"), SYNC),
       step(parse("copy nosuch from stdin"), bind(), execute(), SYNC),
       step(parse("select 1"), bind(), execute(), parse("copy t to stdout"), bind(), execute(), SYNC),
       "select * from t order by a")
script("extended_notices", one("do $$ begin raise notice 'a'; end $$"),
       one("create function f() returns int language plpgsql as $$ begin raise notice 'in f'; return 1; end $$"),
       one("select f() from generate_series(1, 3)"), one("begin"), one("begin"), one("commit"), one("commit"))
script("extended_describe_forms", T, step(parse("select * from t where a = $1 and b = $2", "s"), describe("S", "s"), SYNC),
       step(describe("S", "s"), describe("S", "s"), SYNC),
       step(bind([1, "x"], portal="p", statement="s", result_formats=(1,)), describe("P", "p"), SYNC),
       step(bind([1, "x"], portal="p", statement="s", result_formats=(1, 0)), describe("P", "p"), execute("p"), SYNC),
       step(parse("insert into t values ($1, $2)", "i"), describe("S", "i"), SYNC), step(parse("begin", "b"), describe("S", "b"), SYNC),
       step(parse("show timezone", "h"), describe("S", "h"), bind(statement="h"), describe("P"), SYNC),
       step(parse("set timezone = 'UTC'", "z"), describe("S", "z"), SYNC), step(parse("", "e"), describe("S", "e"), SYNC),
       step(parse("fetch 1 from c", "f"), describe("S", "f"), SYNC), step(parse("explain select 1", "x"), describe("S", "x"), SYNC))
script("extended_changed_result", "create table c (a int)", step(parse("select * from c", "s"), describe("S", "s"), SYNC),
       step(bind(statement="s"), execute(), SYNC), "alter table c add b text", "insert into c values (1, 'x')",
       step(close("S", "s"), parse("select * from c", "s"), bind(statement="s"), describe("P"), execute(), SYNC))
script("extended_describe_then_other", step(parse("select 1 as x"), bind(), describe("P"), SYNC), step(execute(), SYNC),
       step(parse("select 1 as x", "s"), bind(portal="a", statement="s"), bind(portal="b", statement="s"), describe("P", "a"),
            execute("b"), SYNC),
       step(parse("select 1 as x"), bind(), describe("P"), describe("P"), execute(), SYNC),
       step(parse("select 1/0 as x"), bind(), describe("P"), execute(), SYNC),
       step(parse("select 1 as x"), bind(), describe("P"), close("P"), execute(), SYNC))
script("extended_many_pipelined", T, step(*[m for i in range(1, 31) for m in (
    parse("insert into t values ($1, $2) returning a"), bind([i, f"v{i}"]), describe("P"), execute())], SYNC),
    step(*[m for i in range(1, 31) for m in (parse("select b from t where a = $1"), bind([i]), execute(), SYNC)]),
    step(until="Z"), step(until="Z"))

# --- bad messages
for name, bad in {
    "parse_without_end": message("P", b"name"),
    "parse_trailing": message("P", b"\0select 1\0\0\0x"),
    "parse_short_types": message("P", b"\0select 1\0\0\2\0\0\0\1"),
    "bind_nothing": message("B", b""),
    "bind_short_value": message("B", b"\0\0" + int16(0) + int16(1) + int32(10) + b"abc"),
    "bind_negative_length": message("B", b"\0\0" + int16(0) + int16(1) + int32(-2) + int16(0)),
    "bind_formats_mismatch": message("B", b"\0\0" + int16(3) + int16(0) * 3 + int16(1) + int32(1) + b"1" + int16(0)),
    "bind_bad_format": message("B", b"\0\0" + int16(1) + int16(7) + int16(1) + int32(1) + b"1" + int16(0)),
    "describe_bad_kind": message("D", b"X\0"),
    "describe_nothing": message("D", b""),
    "execute_short": message("E", b"\0\0\0"),
    "close_bad_kind": message("C", b"Q\0"),
    "close_trailing": message("C", b"Sx\0y"),
}.items():
    script(f"bad_{name}", step(parse("select $1::int"), SYNC), step(bad, SYNC), "select 'alive'")
for name, bad in {
    "sync_with_body": message("S", b"x"),
    "flush_with_body": message("H", b"x"),
    "query_without_end": message("Q", b"select 1"),
    "query_trailing": message("Q", b"select 1\0x"),
    "query_empty_body": message("Q", b""),
    "unknown_type": message("y", b"x"),
    "unknown_type_zero": message("\0", b""),
    "password_message": message("p", b"x\0"),
    "length_too_small": b"Q\0\0\0\3",
    "length_huge": b"Q\x7f\xff\xff\xff",
    "length_negative": b"Q\xff\xff\xff\xff",
    "sync_length_huge": b"S\0\1\0\0",
}.items():
    script(f"bad_{name}", "select 'before'", step(bad), "select 'alive'")
