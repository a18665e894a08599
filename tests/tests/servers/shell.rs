//! `nunatak sql` as scripts and people meet it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use nunatak_tests::processes::{Listener, binary, free_address, installed, start_single};

fn sql(address: &str, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(binary())
        .args(["sql", "--url", &format!("postgresql://postgres@{address}/postgres")])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it is read");
    child.wait_with_output().expect("it ends")
}

/// Standard output of what goes well.
fn printed(address: &str, arguments: &[&str], input: &str) -> String {
    let output = sql(address, arguments, input);
    assert!(output.status.success(), "{arguments:?} {input}: {output:?}");
    assert!(output.stderr.is_empty(), "{arguments:?} {input}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().expect("a UTF-8 path").to_owned()
}

fn with_table(folder: &Path) -> Listener {
    let server = start_single(folder);
    let tables = "create table t (a int primary key, b text default 'x', c numeric(10,2) unique);\n\
        create table child (id bigint primary key, a int not null);\n\
        insert into t values (1, 'one', 1.5), (2, null, null);\n";
    printed(&server.address, &[], tables);
    server
}

#[test]
fn results_have_the_form_that_is_asked_for() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = with_table(folder.path());
    let show = |arguments: &[&str]| {
        printed(&server.address, &[&["-c", "select * from t order by a"], arguments].concat(), "")
    };
    assert_eq!(
        show(&["--null", "∅"]),
        " a |  b  |  c   \n---+-----+------\n 1 | one | 1.50\n 2 | ∅   |    ∅\n(2 rows)\n\n"
    );
    assert_eq!(show(&["--format", "csv"]), "a,b,c\n1,one,1.50\n2,,\n");
    assert_eq!(show(&["--format", "raw"]), "1\tone\t1.50\n2\t\t\n");
    assert_eq!(show(&["-x"]), "-[ RECORD 1 ]\na | 1\nb | one\nc | 1.50\n-[ RECORD 2 ]\na | 2\nb |\nc |\n\n");
    let rows: serde_json::Value = serde_json::from_str(&show(&["--format", "json"])).expect("JSON");
    assert_eq!(rows, serde_json::json!([{"a": 1, "b": "one", "c": 1.5}, {"a": 2, "b": null, "c": null}]));
    // Tags are for people.
    assert_eq!(printed(&server.address, &["--format", "json", "-c", "delete from child"], ""), "");
    assert_eq!(printed(&server.address, &["-c", "delete from child"], ""), "DELETE 0\n");
}

#[test]
fn commands_do_what_they_do_in_psql() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = with_table(folder.path());
    let run = |input: &str| printed(&server.address, &[], input);
    assert_eq!(
        run("select 1 as a \\gx\nselect 2 as b;\n"),
        "-[ RECORD 1 ]\na | 1\n\n b \n---\n 2\n(1 row)\n\n"
    );
    assert_eq!(
        run(
            "\\set n 7\n\\set who 'o''hara'\nselect :n + 1 as x, :'who' as y, ':n' as z \\gset\n\\echo :x :y :z\n"
        ),
        "8 o'hara :n\n"
    );
    assert!(run("\\x\nselect 1 as a;\n").contains("-[ RECORD 1 ]"));
    assert!(run("\\pset null '<>'\nselect null as a;\n").contains(" <>\n"));
    assert_eq!(run("select 1 as a \\watch 0 c=2\n").matches("(1 row)").count(), 2);
    let timed = run("\\timing on\nselect 1;\n");
    assert!(timed.contains("Timing is on.\n") && timed.contains("Time: "), "{timed}");
    let (out, data, more) =
        (path(folder.path(), "out"), path(folder.path(), "it's"), path(folder.path(), "more"));
    let quoted = data.replace('\'', "''");
    assert_eq!(run(&format!("\\o {out}\nselect 1 as a;\n\\o\nselect 2 as b \\g {more}\n")), "");
    assert_eq!(std::fs::read_to_string(&out).expect("a file"), " a \n---\n 1\n(1 row)\n\n");
    assert_eq!(std::fs::read_to_string(&more).expect("a file"), " b \n---\n 2\n(1 row)\n\n");
    assert_eq!(run(&format!("\\copy (select * from t order by a) to '{quoted}' csv header\n")), "COPY\n");
    assert_eq!(std::fs::read_to_string(&data).expect("a file"), "a,b,c\n1,one,1.50\n2,,\n");
    let copied = run(&format!(
        "create table u (like t);\n\\copy u from '{quoted}' with (format csv, header)\n\\copy u from stdin\n3\tthree\t\\N\n\\.\n\\copy u (a) from program 'echo 4'\ntable u order by a;\n"
    ));
    assert!(copied.contains("COPY 2\nCOPY 1\nCOPY 1\n"), "{copied}");
    assert!(copied.contains(" 3 | three |") && copied.contains("(4 rows)"), "{copied}");
    std::fs::write(&more, "select 'included' as a;\n\\q\nselect 'unreached';\n").expect("a file");
    let included = run(&format!("\\i {more}\nselect 'after' as b;\n"));
    assert!(included.contains("included") && included.contains("after"), "{included}");
    assert!(!included.contains("unreached"), "{included}");
    assert!(run("\\conninfo\n").contains("database \"postgres\" as user \"postgres\" at 127.0.0.1:"));
    assert!(run("\\c - nunatak\nselect current_user;\n").contains(" nunatak\n"));
    for (command, words) in [
        ("\\?", "\\copy"),
        ("\\h insert", "INSERT INTO table"),
        ("\\d", " public | child | table"),
        ("\\dt t*", " public | t    | table"),
        ("\\di", " public | t_pkey"),
        ("\\dn", " public  | "),
        ("\\du", " postgres"),
        ("\\l", " postgres"),
        ("\\df now", " pg_catalog | now"),
        ("\\dp t", "Access privileges"),
        ("\\dS pg_class", "Table \"pg_catalog.pg_class\""),
        ("\\dtS pg_class", " pg_catalog | pg_class"),
        ("\\d t", "\"t_c_key\" UNIQUE CONSTRAINT, btree (c)"),
        ("\\d t", "\"t_pkey\" PRIMARY KEY, btree (a)"),
        ("\\p", "Nothing has been entered."),
    ] {
        let text = run(&format!("{command}\n"));
        assert!(text.contains(words), "{command}: {text}");
    }
}

/// What SHOW CREATE answers is run elsewhere, and answers the same there.
#[test]
fn relations_are_made_again_by_what_is_shown() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = start_single(folder.path());
    let run = |input: &str| printed(&server.address, &["--format", "raw"], input);
    run("create schema \"S\"; create schema \"K t\"; create type \"K t\".mood as enum ('ok', 'bad'); create domain few as int;
        create sequence \"S\".draws as smallint increment -2 minvalue -7 maxvalue 9 start 5 cache 3 cycle;
        create table \"S\".parent (a int, \"B c\" text, primary key (a, \"B c\"), unique (\"B c\"));
        create table \"S\".t (
            id serial primary key, big bigserial, n numeric(10,2) default 1.5 not null, v varchar(7) default 'it''s',
            d int default nextval('\"S\".draws'), i int generated always as identity (start 3 increment 2), k bigint generated by default as identity,
            \"B c\" text, ts timestamptz(3) default now(), l text[],
            mood \"K t\".mood default 'ok', moods \"K t\".mood[], few few,
            constraint made check (few > 0 and mood <> 'bad' and moods <> '{bad}'),
            constraint positive check (n > 0), constraint named check (v <> '\"S\".parent'::regclass::text) no inherit,
            constraint up foreign key (d, \"B c\") references \"S\".parent match full on delete cascade deferrable initially deferred,
            constraint self foreign key (id) references \"S\".t);
        alter sequence \"S\".draws owned by \"S\".t.d;
        create index on \"S\".t (n desc, v nulls first);
        create unique index \"Odd\" on \"S\".t (d);
        alter table \"S\".t add constraint later check (n < 100) not valid;
        comment on table \"S\".t is 'it''s'; comment on column \"S\".t.n is 'a\\b'; comment on constraint up on \"S\".t is 'up';
        comment on index \"S\".\"Odd\" is 'odd';
        create table \"S\".bare ();
        create view \"S\".v (x, \"Y\", b, z) as select t.id, \"S\".t.n, p.\"B c\", nextval('\"S\".draws') from \"S\".t join \"S\".parent p on p.a = t.d
            where /* it's */ p.\"B c\" <> all (select \"B c\" from \"S\".parent);
        create view \"S\".all_of with (security_invoker) as select * from \"S\".parent;
        create materialized view \"S\".m as select *, '\"S\".draws'::regclass as r from \"S\".parent with no data;");
    let shown = || {
        let names = ["parent", "t", "bare", "v", "all_of", "m"];
        names.map(|name| {
            let answer = run(&format!("show create \"S\".{name};"));
            answer.split_once('\t').expect("a name and statements").1.to_owned()
        })
    };
    let before = shown();
    let [parent, t, bare, v, all_of, m] = &before;
    assert_eq!(bare, "CREATE TABLE \"S\".bare (\n);\n");
    assert!(t.contains("    id serial,\n    big bigserial,\n"), "{t}");
    for column in ["mood \"K t\".mood DEFAULT 'ok'::\"K t\".mood", "moods \"K t\".mood[]", "few public.few"] {
        assert!(t.contains(&format!("    {column},\n")), "{t}");
    }
    assert!(t.contains("CREATE SEQUENCE \"S\".draws AS smallint START WITH 5 INCREMENT BY -2"), "{t}");
    let again = |statements: &str| {
        run(&format!(
            "set client_min_messages = warning; drop schema \"S\" cascade; create schema \"S\";
            set search_path = pg_catalog; {statements}"
        ));
    };
    again(&[parent.as_str(), t, bare, v, all_of, m].concat());
    assert_eq!(shown(), before);
    // Whatever has become of the names since, the same view is made.
    run("alter table \"S\".parent rename column \"B c\" to renamed; alter table \"S\".parent add column more int;
        alter table \"S\".t rename to u; alter schema \"S\" rename to \"T\"; alter sequence \"T\".draws rename to drawn;
        alter schema \"T\" rename to \"S\"; alter table \"S\".u rename column n to m;");
    let columns = "select string_agg(attname || atttypid::text, ',' order by attnum) from pg_attribute where attrelid in ('\"S\".v'::regclass, '\"S\".all_of'::regclass, '\"S\".m'::regclass)";
    let before = run(columns);
    let shown =
        ["view \"S\".v", "view \"S\".all_of", "\"S\".m"].map(|what| run(&format!("show create {what};")));
    let statements = shown.map(|shown| shown.split_once('\t').expect("two columns").1.to_owned()).concat();
    run(&format!(
        "drop view \"S\".v, \"S\".all_of; drop materialized view \"S\".m; set search_path = pg_catalog; {statements}"
    ));
    assert_eq!(run(columns), before, "{statements}");
    run("insert into \"S\".parent values (1, 'x', 2)");
    assert_eq!(run("select * from \"S\".all_of"), "1\tx\n");
}

#[test]
fn what_there_is_is_shown() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = with_table(folder.path());
    let run = |input: &str| printed(&server.address, &["--format", "csv"], input);
    run("create schema app; create view app.v as select 1 as one; create index on t (b desc, a)");
    assert_eq!(
        run("show tables"),
        "schema_name,table_name,type,owner\napp,v,view,postgres\npublic,child,table,postgres\npublic,t,table,postgres\n"
    );
    assert_eq!(run("show tables from app"), "schema_name,table_name,type,owner\napp,v,view,postgres\n");
    assert!(run("show databases").starts_with("database_name,owner\n"));
    assert!(run("show schemas").contains("\napp,postgres\n"));
    assert_eq!(
        run("show columns from t"),
        "column_name,data_type,is_nullable,column_default,indices\na,integer,f,,\"{t_b_a_idx,t_pkey}\"\n\
        b,text,t,'x'::text,{t_b_a_idx}\nc,\"numeric(10,2)\",t,,{t_c_key}\n"
    );
    assert_eq!(
        run("show indexes from t"),
        "table_name,index_name,non_unique,seq_in_index,column_name,direction,storing\nt,t_b_a_idx,t,1,b,DESC,f\n\
        t,t_b_a_idx,t,2,a,ASC,f\nt,t_c_key,f,1,c,ASC,f\nt,t_pkey,f,1,a,ASC,f\n"
    );
    for (wrong, said) in [
        ("show create view t", "42809: \"t\" is not a view"),
        ("show create table nosuch", "42P01: relation \"nosuch\" does not exist"),
        ("show tables from nosuch", "3F000: schema \"nosuch\" does not exist"),
        ("show columns t", "42601: "),
    ] {
        let output = sql(&server.address, &["-v", "VERBOSITY=verbose", "-c", wrong], "");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(said), "{wrong}: {told}");
    }
}

#[test]
fn errors_say_where_and_the_exit_status_says_what_failed() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = with_table(folder.path());
    let complaint = |arguments: &[&str], input: &str, status: i32| {
        let output = sql(&server.address, arguments, input);
        assert_eq!(output.status.code(), Some(status), "{arguments:?} {input}: {output:?}");
        String::from_utf8(output.stderr).expect("UTF-8")
    };
    assert_eq!(
        complaint(&["-c", "select 1,\n  nothing"], "", 1),
        "ERROR:  column \"nothing\" does not exist\nLINE 2:   nothing\n          ^\n"
    );
    let doubled = complaint(&[], "insert into t values (1);\n", 3);
    assert!(doubled.contains("\nDETAIL:  Key (a)=(1) already exists."), "{doubled}");
    assert!(
        complaint(&["-v", "VERBOSITY=verbose", "-c", "select 1/0"], "", 1)
            .starts_with("ERROR:  22012: division")
    );
    assert!(complaint(&["-c", "\\nonsense"], "", 1).contains("\\nonsense: no command of this shell"));
    let going_on = sql(&server.address, &["-v", "ON_ERROR_STOP=off"], "select 1/0;\nselect 'reached';\n");
    assert_eq!(going_on.status.code(), Some(0), "{going_on:?}");
    assert!(String::from_utf8_lossy(&going_on.stdout).contains("reached"), "{going_on:?}");
    let nobody = sql(&free_address(), &["-c", "select 1"], "");
    assert_eq!(nobody.status.code(), Some(2), "{nobody:?}");
    let gone = "set idle_session_timeout = 100;\n\\! sleep 1\nselect 1;\n";
    complaint(&["-v", "ON_ERROR_STOP=off"], gone, 2);
}

/// Enters lines at a pseudo-terminal; each step waits for what is to be shown after it.
const TYPIST: &str = r#"
import fcntl, json, os, pty, select, struct, sys, termios, time
steps, command = json.loads(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    os.execv(command[0], command)
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
seen = ""
for keys, wanted in steps:
    os.write(terminal, keys.encode())
    deadline = time.time() + 60
    while wanted not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.time()))
        try:
            piece = os.read(terminal, 65536) if ready else b""
        except OSError:
            piece = b""
        if not piece:
            sys.exit("after %r nobody said %r, but %r" % (keys, wanted, seen))
        seen += piece.decode(errors="replace")
    seen = seen[seen.index(wanted) + len(wanted):]
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

#[test]
fn a_person_finds_what_psql_has() {
    if !installed("python3") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let server = with_table(folder.path());
    let wide = "select repeat('w', 50) as one, repeat('w', 50) as two;\r";
    let steps = [
        ("", "postgres=> "),
        ("help\r", "\\conninfo"),
        ("begin;\r", "postgres*> "),
        ("select 1/0;\r", "division by zero"),
        ("", "postgres!> "),
        ("rollback;\r", "postgres=> "),
        ("select 6 *\r", "postgres-> "),
        ("7 as x;\r", "\n 42"),
        ("select ('open\r", "postgres'> "),
        ("' ||\r", "postgres(> "),
        ("'shut');\r", "(1 row)"),
        ("select 'kept' as y \\p\r", "select 'kept' as y"),
        ("", "postgres-> "),
        ("\\g\r", " kept"),
        ("selec\t", "select "),
        ("* from chi\t", "child"),
        (";\r", "(0 rows)"),
        (wide, "-[ RECORD 1 ]-"),
        ("select generate_series(1, 100) as n;\r", "paged 104"),
        ("select 'edit' as z \\e\r", " edited"),
        ("quit\r", ""),
    ];
    let output = Command::new("python3")
        .args([
            "-c",
            TYPIST,
            &serde_json::to_string(&steps).expect("JSON"),
            binary().to_str().expect("UTF-8"),
        ])
        .args(["sql", "--url", &format!("postgresql://postgres@{}/postgres", server.address)])
        .env("HOME", folder.path())
        .env("TERM", "xterm")
        .env("NO_COLOR", "1")
        .env("PAGER", "sh -c 'echo paged $(wc -l)'")
        .env("EDITOR", "sed -i 's/edit.*/edited'\"'\"' as z;/'")
        .output()
        .expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(folder.path().join(".nunatak_history").exists());
}

#[test]
fn results_that_cannot_be_written_are_an_error() {
    let folder = tempfile::tempdir().expect("a directory");
    let server = with_table(folder.path());
    let output = sql(&server.address, &["-o", "/dev/full"], "select 1; select 2");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(told.matches("cannot write /dev/full").count(), 1, "{told}");
}
