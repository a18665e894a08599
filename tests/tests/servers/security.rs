//! Attacks on a gateway's port, and what comes of them: through the real wire, with psql, openssl and raw bytes.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nunatak_tests::processes::{Process, binary, free_address, installed, output, start_single};
use nunatak_tests::secured::{Secured, nunatak, run, text};

/// A client that speaks bytes to the server.
fn connect(server: &Secured) -> Raw {
    let stream = TcpStream::connect(&server.address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    Raw(stream)
}

/// A client that speaks bytes.
struct Raw(TcpStream);

const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

impl Raw {
    fn send(&mut self, bytes: &[u8]) {
        // The server may have closed already: what it said then is looked at.
        let _ = self.0.write_all(bytes);
    }

    /// Everything up to the end of the connection.
    fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn startup(user: &str) -> Vec<u8> {
    let body = format!("\0\u{3}\0\0user\0{user}\0database\0postgres\0\0");
    let mut packet = u32::try_from(body.len() + 4).expect("short").to_be_bytes().to_vec();
    packet.extend_from_slice(body.as_bytes());
    packet
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&u32::try_from(body.len() + 4).expect("short").to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

#[test]
fn nobody_gets_in_without_a_proof() {
    if !installed("psql") {
        return;
    }
    let server = Secured::start();
    server.run("create user ann password 'k9-true'");
    server.run("create user late password 'k9-true' valid until '2001-01-01'");
    server.run("create role mute password 'k9-true' nologin");
    server.run("create user bare");
    assert_eq!(
        server.psql("user=ann sslmode=require", Some("k9-true"), "select current_user"),
        Ok("ann".to_owned())
    );
    // Whoever fails learns the same, whatever there is.
    for (user, password) in [
        ("ann", "k9-false"),
        ("ann", ""),
        ("late", "k9-true"),
        ("bare", "k9-true"),
        ("nobody", "k9-true"),
        ("bare", ""),
    ] {
        let refused = server.psql(&format!("user={user} sslmode=require"), Some(password), "select 1");
        let said = refused.expect_err("a refusal");
        if password.is_empty() {
            assert!(said.contains("no password supplied"), "{user}: {said}");
        } else {
            let expected = format!("FATAL:  password authentication failed for user \"{user}\"");
            assert!(said.contains(&expected), "{user}: {said}");
        }
    }
    // What a role may not do is told to whom proved to be it.
    let said = server.psql("user=mute sslmode=require", Some("k9-true"), "select 1").expect_err("a refusal");
    assert!(said.contains("role \"mute\" is not permitted to log in"), "{said}");
    // Without TLS no rule is about ann.
    let said = server.psql("user=ann sslmode=disable", Some("k9-true"), "select 1").expect_err("a refusal");
    assert!(said.contains("no pg_hba.conf entry for host \"127.0.0.1\", user \"ann\""), "{said}");
    assert!(said.contains("no encryption"), "{said}");
    // A statement instead of a proof, a proof instead of a message, a message that is no proof.
    for bytes in [
        message(b'Q', b"select 1\0"),
        message(b'p', b"SCRAM-SHA-256\0\0\0\0\x05n,,x"),
        message(b'p', b"nonsense"),
    ] {
        let mut raw = connect(&server);
        raw.send(&startup("plain"));
        raw.send(&bytes);
        let rest = raw.rest();
        assert!(rest.contains("08P01") && !rest.contains("SELECT"), "{rest:?}");
    }
    assert_no_secret(&server, &["k9-true", "k9-false"]);
    let audit = std::fs::read_to_string(server.folder.path().join("audit")).expect("the audit log");
    let lines: Vec<serde_json::Value> =
        audit.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect();
    let has = |field: &str, value: &str| lines.iter().any(|line| line[field].as_str() == Some(value));
    assert!(has("command", "CREATE ROLE") && audit.contains("\"name\":\"late\""), "{audit}");
    assert!(has("reason", "password authentication failed for user \"nobody\""), "{audit}");
    assert!(!audit.contains("k9-true"), "{audit}");
}

/// Nothing that the server has written down holds any of these.
fn assert_no_secret(server: &Secured, secrets: &[&str]) {
    let log = server.process.log();
    for secret in secrets {
        assert!(!log.contains(secret), "the log holds {secret:?}:\n{log}");
    }
}

#[test]
fn certificates_are_checked_on_both_sides() {
    if !installed("psql") {
        return;
    }
    let server = Secured::start();
    server.run("create user certified; create user other; create user ann password 'k9-true'");
    assert_eq!(
        server.psql("user=ann sslmode=verify-full channel_binding=require", Some("k9-true"), "select 1"),
        Ok("1".to_owned())
    );
    let cert = |name: &str| {
        let file = |ending: &str| text(&server.certs.join(format!("{name}.{ending}"))).to_owned();
        format!("sslcert={} sslkey={}", file("crt"), file("key"))
    };
    let with = |user: &str, certificate: &str| {
        let parameters = format!("user={user} sslmode=verify-full {}", cert(certificate));
        server.psql(&parameters, None, "select current_user")
    };
    assert_eq!(with("certified", "client.certified"), Ok("certified".to_owned()));
    // Another role's, a process's, none.
    for certificate in ["client.other", "gateway"] {
        let said = with("certified", certificate).expect_err("a refusal");
        assert!(said.contains("certificate authentication failed for user \"certified\""), "{said}");
    }
    let said =
        server.psql("user=certified sslmode=verify-full sslcert=", None, "select 1").expect_err("a refusal");
    assert!(said.contains("connection requires a valid client certificate"), "{said}");
    // One of another authority ends in the handshake.
    let elsewhere = server.folder.path().join("elsewhere");
    nunatak(&["cert", "create-ca", "--dir", text(&elsewhere)]);
    nunatak(&["cert", "create-client", "certified", "--dir", text(&elsewhere)]);
    let forged = format!(
        "user=certified sslmode=require sslcert={} sslkey={}",
        text(&elsewhere.join("client.certified.crt")),
        text(&elsewhere.join("client.certified.key"))
    );
    server.psql(&forged, None, "select 1").expect_err("a refusal");
    // A client that trusts another authority does not speak to this server.
    let wrong_root = format!("user=ann sslmode=verify-full sslrootcert={}", text(&elsewhere.join("ca.crt")));
    let said = server.psql(&wrong_root, Some("k9-true"), "select 1").expect_err("a refusal");
    assert!(said.contains("certificate verify failed"), "{said}");
}

#[test]
fn tls_is_not_talked_down() {
    if !installed("psql") || !installed("openssl") {
        return;
    }
    let server = Secured::start();
    let handshake = |version: &str| {
        let out = Command::new("openssl")
            .args(["s_client", "-starttls", "postgres", "-connect", &server.address, version])
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs");
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    assert!(handshake("-tls1_3").contains("New, TLSv1.3, Cipher is TLS_"));
    for old in ["-tls1_2", "-tls1_1"] {
        let said = handshake(old);
        assert!(!said.contains("Cipher is TLS_") && !said.contains("Cipher is EC"), "{old}: {said}");
    }
    // What came before the handshake was not encrypted, and is not taken for what comes after it.
    let mut raw = connect(&server);
    raw.send(&[TLS_REQUEST.as_slice(), &startup("postgres")].concat());
    assert!(raw.rest().contains("received unencrypted data after SSL request"));
    // Garbage instead of a handshake ends the connection.
    let mut raw = connect(&server);
    raw.send(&TLS_REQUEST);
    let mut answer = [0];
    raw.0.read_exact(&mut answer).expect("an answer");
    assert_eq!(answer, *b"S");
    raw.send(&[0x16; 4096]);
    let rest = raw.rest();
    assert!(!rest.contains("SELECT"), "{rest:?}");
}

#[test]
fn what_was_overheard_is_of_no_use() {
    if !installed("psql") {
        return;
    }
    let server = Secured::start();
    server.run("create user plain password 'k9-true'");
    let (address, overheard) = overhear(&server.address);
    let port = address.rsplit_once(':').expect("host:port").1;
    let connection = format!("host=127.0.0.1 port={port} user=plain dbname=postgres sslmode=disable");
    let answer = output(
        Command::new("psql")
            .args(["-X", "-q", "-A", "-t", "-w", "-c", "select 'in'", &connection])
            .env("PGPASSWORD", "k9-true"),
    );
    assert_eq!(answer, Ok("in".to_owned()));
    let said = overheard.lock().expect("no panic").clone();
    assert!(!String::from_utf8_lossy(&said).contains("k9-true"));
    let mut raw = connect(&server);
    raw.send(&said);
    let rest = raw.rest();
    assert!(rest.contains("the nonce is not the one of this exchange"), "{rest:?}");
}

/// An address that leads to another, and what clients have said there.
fn overhear(to: &str) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address").to_string();
    let (to, said) = (to.to_owned(), Arc::new(Mutex::new(Vec::new())));
    let noted = said.clone();
    std::thread::spawn(move || {
        let (client, _) = listener.accept().expect("a client");
        let server = TcpStream::connect(to).expect("the server");
        let (mut down, mut up) = (server.try_clone().expect("a copy"), client.try_clone().expect("a copy"));
        std::thread::spawn(move || std::io::copy(&mut down, &mut up));
        let (mut from, mut into, mut buffer) = (client, server, [0; 4096]);
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            noted.lock().expect("no panic").extend_from_slice(&buffer[..count]);
            if into.write_all(&buffer[..count]).is_err() {
                break;
            }
        }
    });
    (address, said)
}

#[test]
fn oversized_and_slow_handshakes_hold_up_nobody() {
    if !installed("psql") {
        return;
    }
    let server = Secured::start();
    server.run("create user plain password 'k9-true'");
    for bytes in [
        [0x7f, 0xff, 0xff, 0xff].to_vec(),
        [[0, 0, 0x27, 0x11].as_slice(), &[0; 10]].concat(),
        [startup("plain"), vec![b'p', 0x7f, 0xff, 0xff, 0xff]].concat(),
        [startup("plain"), vec![b'Q', 0x00, 0xff, 0xff, 0xff]].concat(),
    ] {
        let mut raw = connect(&server);
        raw.send(&bytes);
        let rest = raw.rest();
        assert!(rest.contains("08P01"), "{bytes:?}: {rest:?}");
    }
    // Half of everything, held open: none of it is in the way of others.
    let mut held = Vec::new();
    for _ in 0..64 {
        for begun in [&TLS_REQUEST[..5], &TLS_REQUEST, &startup("plain")[..9], &startup("plain")] {
            let mut raw = connect(&server);
            raw.send(begun);
            held.push(raw);
        }
    }
    assert_eq!(server.psql("user=plain sslmode=disable", Some("k9-true"), "select 1"), Ok("1".to_owned()));
    drop(held);
}

#[test]
fn guessing_ends() {
    if !installed("psql") {
        return;
    }
    let server = Secured::start();
    server.run("create user ann password 'k9-true'");
    let guess = |password: String| {
        server.psql("user=ann sslmode=require", Some(&password), "select 1").expect_err("a refusal")
    };
    // Failures are forgiven as time goes by: there are more of them than that, however slow the machine is.
    let waits = |round: usize| {
        std::thread::scope(|scope| {
            let guesses: Vec<_> =
                (0..40).map(|number| scope.spawn(move || guess(format!("guess{round}.{number}")))).collect();
            let said = guesses.into_iter().map(|guess| guess.join().expect("no panic"));
            said.filter(|said| said.contains("too many failed logins from this address; try again in"))
                .count()
        })
    };
    assert!((0..20).any(|round| waits(round) > 0));
}

#[test]
fn names_are_names_whatever_they_hold() {
    if !installed("psql") {
        return;
    }
    let server = Secured::start();
    let names = ["a\"b", "x'; drop table t; --", "$1", "a,b=r/c", "\\", "sp ace", "{}", "select"];
    server.run("create table t (a int)");
    for name in names {
        let quoted = format!("\"{}\"", name.replace('"', "\"\""));
        let literal = name.replace('\'', "''");
        server.run(&format!("create user {quoted} password 'k9-true'"));
        server.run(&format!("grant select on t to {quoted}; grant {quoted} to current_user"));
        let answer = server.run(&format!(
            "select has_table_privilege('{literal}', 't', 'select'), pg_has_role('{literal}', 'member'),
                    (select rolname from pg_roles where rolname = '{literal}') = '{literal}'"
        ));
        assert_eq!(answer, "t|t|t", "{name}");
        let escaped = name.replace('\\', "\\\\").replace('\'', "\\'");
        let answer = server.psql(
            &format!("user='{escaped}' sslmode=require"),
            Some("k9-true"),
            "select current_user from t right join (select 1) x on true",
        );
        assert_eq!(answer, Ok(name.to_owned()));
    }
    for command in [r"\du", r"\dp", r"\dt", r"\z t", r"\dn+", r"\l"] {
        server.run(command);
    }
    assert_eq!(server.run("select count(*) from t"), "0");
}

#[test]
fn taken_rights_end_with_what_was_prepared() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let single = start_single(folder.path());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let admin = nunatak_tests::processes::connect(&single.address).await;
        let run = async |sql: &str| admin.batch_execute(sql).await.expect(sql);
        run("create table t (a int primary key, b text); insert into t values (1, 'one'), (2, 'two')").await;
        run("create user ann; grant select, insert, update on t to ann").await;
        let (host, port) = single.address.rsplit_once(':').expect("host:port");
        let parameters = format!("host={host} port={port} user=ann dbname=postgres");
        let connecting = tokio_postgres::connect(&parameters, tokio_postgres::NoTls);
        let (ann, connection) = connecting.await.expect("a connection");
        tokio::spawn(connection);
        let scan = ann.prepare("select b from t order by a").await.expect("a statement");
        let point = ann.prepare("select b from t where a = $1").await.expect("a statement");
        let update = ann.prepare("update t set b = b where a = $1").await.expect("a statement");
        ann.batch_execute("prepare p as select count(*) from t").await.expect("a statement");
        let texts = [
            "select b from t where a = 1",
            "execute p",
            "explain select * from t",
            "explain analyze select * from t",
            "copy t to stdout",
            "copy (select * from t) to stdout",
            "insert into t values (7, 'seven') on conflict do nothing",
            "with w as (select * from t) select count(*) from w",
            "select (select max(b) from t)",
            "select 1 from t for update",
        ];
        for round in 0..2 {
            assert_eq!(ann.query(&scan, &[]).await.expect("rows").len(), 2 + round.min(1));
            assert_eq!(ann.query(&point, &[&1]).await.expect("rows").len(), 1);
            assert_eq!(ann.execute(&update, &[&1]).await.expect("an update"), 1);
            for sql in texts {
                if sql.starts_with("copy") {
                    assert!(ann.copy_out(sql).await.is_ok(), "{sql}");
                } else {
                    ann.simple_query(sql).await.expect(sql);
                }
            }
        }
        run("revoke all on t from ann").await;
        let denied = |error: tokio_postgres::Error| {
            let error = error.as_db_error().expect("an answer");
            assert_eq!(error.code().code(), "42501", "{error}");
        };
        denied(ann.query(&scan, &[]).await.expect_err("a refusal"));
        denied(ann.query(&point, &[&1]).await.expect_err("a refusal"));
        denied(ann.execute(&update, &[&1]).await.expect_err("a refusal"));
        for sql in texts {
            match sql.starts_with("copy") {
                true => match ann.copy_out(sql).await {
                    Ok(_) => panic!("{sql}"),
                    Err(error) => denied(error),
                },
                false => denied(ann.simple_query(sql).await.expect_err(sql)),
            }
        }
        // Nor within a transaction that began when it still might.
        run("grant select on t to ann").await;
        ann.batch_execute("begin; select * from t").await.expect("rows");
        run("revoke all on t from ann").await;
        let error = ann.query(&scan, &[]).await.expect_err("a refusal");
        let code = error.as_db_error().expect("an answer").code().code().to_owned();
        assert!(["42501", "40001"].contains(&code.as_str()), "{code}");
        ann.batch_execute("rollback").await.expect("a rollback");
        // A role that is gone may do nothing more, where it is still connected.
        run("drop role ann").await;
        let error = ann.simple_query("select 1").await.expect_err("a refusal");
        assert_eq!(error.as_db_error().expect("an answer").code().code(), "28000");
    });
}

#[test]
fn errors_and_looks_at_the_cluster_show_nothing_that_may_not_be_read() {
    if !installed("psql") {
        return;
    }
    let server = Secured::start();
    server.run(
        "create table t (id int primary key, a int not null, secret text unique); insert into t values (1, 1, 'hush');
         create user eve password 'k9-true'; grant select (id), update (a, secret), insert on t to eve",
    );
    let eve = |sql: &str| server.psql("user=eve sslmode=require", Some("k9-true"), sql);
    for sql in [
        "update t set a = null where id = 1",
        "update t set a = null",
        "insert into t values (2, null, 'mine')",
        "insert into t values (2, 2, 'hush')",
    ] {
        let said = eve(sql).expect_err("a refusal");
        assert!(said.contains("constraint") && !said.contains("hush") && !said.contains("DETAIL"), "{said}");
    }
    for sql in ["show ranges", "show ranges from table t", "show nodes", "alter table t split at values (7)"]
    {
        let said = eve(sql).expect_err("a refusal");
        assert!(said.contains("must be"), "{said}");
    }
    server.run("show ranges; alter table t split at values (7); alter table t owner to eve");
    eve("alter table t split at values (9)").expect("the owner's");
}

#[test]
fn bounds_of_roles_and_databases_hold() {
    if !installed("psql") {
        return;
    }
    let server = Secured::start();
    server.run("create user limited password 'k9-true' connection limit 0");
    let said =
        server.psql("user=limited sslmode=require", Some("k9-true"), "select 1").expect_err("a refusal");
    assert!(said.contains("too many connections for role \"limited\""), "{said}");
    server.run("create user ann password 'k9-true'; revoke connect on database postgres from public");
    let said = server.psql("user=ann sslmode=require", Some("k9-true"), "select 1").expect_err("a refusal");
    assert!(said.contains("permission denied for database \"postgres\""), "{said}");
    server.run("grant connect on database postgres to ann");
    assert_eq!(server.psql("user=ann sslmode=require", Some("k9-true"), "select 1"), Ok("1".to_owned()));
    let said = server
        .psql("user=ann sslmode=require dbname=nope", Some("k9-true"), "select 1")
        .expect_err("a refusal");
    assert!(said.contains("database \"nope\" does not exist"), "{said}");
}

#[test]
fn a_verifier_made_elsewhere_is_a_password() {
    if !installed("psql") {
        return;
    }
    let server = Secured::start();
    let mut child = Command::new(binary())
        .arg("gen-password-hash")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    child.stdin.take().expect("its input").write_all(b"k9-true\n").expect("it reads");
    let made = child.wait_with_output().expect("it ends").stdout;
    let verifier = String::from_utf8(made).expect("UTF-8").trim().to_owned();
    assert!(verifier.starts_with("SCRAM-SHA-256$4096:"), "{verifier}");
    server.run(&format!("create user ann password '{verifier}'"));
    assert_eq!(server.run("select rolpassword from pg_authid where rolname = 'ann'"), verifier);
    assert_eq!(server.psql("user=ann sslmode=require", Some("k9-true"), "select 1"), Ok("1".to_owned()));
    // What is kept is no password.
    server.psql("user=ann sslmode=require", Some(&verifier), "select 1").expect_err("a refusal");
}

#[test]
fn certificates_and_rules_are_read_again() {
    if !installed("psql") || !installed("openssl") {
        return;
    }
    let server = Secured::start();
    server.run("create user ann password 'k9-true'");
    let shown = || {
        let out = Command::new("openssl")
            .args(["s_client", "-starttls", "postgres", "-connect", &server.address])
            .stdin(Stdio::null())
            .output()
            .expect("openssl runs");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        text.split("-----END CERTIFICATE-----").next().unwrap_or_default().to_owned()
    };
    let before = shown();
    assert!(before.contains("BEGIN CERTIFICATE"), "{before}");
    // A session from before goes on.
    let mut psql = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-w"])
        .arg(format!("host=127.0.0.1 port={} user=ann dbname=postgres sslmode=require", server.port()))
        .env("PGPASSWORD", "k9-true")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("psql starts");
    let mut input = psql.stdin.take().expect("its input");
    input.write_all(b"select 'before';\n").expect("psql reads");
    let mut answer = [0; 7];
    psql.stdout.as_mut().expect("its output").read_exact(&mut answer).expect("an answer");
    for file in ["gateway.crt", "gateway.key"] {
        std::fs::remove_file(server.certs.join(file)).expect("a file");
    }
    nunatak(&["cert", "create-gateway", "localhost", "127.0.0.1", "--dir", text(&server.certs)]);
    std::fs::write(server.folder.path().join("hba.conf"), "hostnossl all postgres 127.0.0.1/32 trust\n")
        .expect("a file");
    let pid = server.process.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().expect("kill runs").success());
    let deadline = Instant::now() + Duration::from_secs(30);
    while shown() == before {
        assert!(Instant::now() < deadline, "the certificate was not read again:\n{}", server.process.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    loop {
        let answer = server.psql("user=ann sslmode=require", Some("k9-true"), "select 1");
        if answer.is_err_and(|said| said.contains("no pg_hba.conf entry")) {
            break;
        }
        assert!(Instant::now() < deadline, "the rules were not read again:\n{}", server.process.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    input.write_all(b"select 'after';\n").expect("psql reads");
    drop(input);
    let rest = psql.wait_with_output().expect("psql ends").stdout;
    assert_eq!(String::from_utf8_lossy(&rest), "after\n");
}

#[test]
fn certificates_decide_what_processes_may_ask() {
    if !installed("psql") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let certs = folder.path().join("certs");
    nunatak(&["cert", "create-ca", "--dir", text(&certs)]);
    nunatak(&["cert", "create-node", "127.0.0.1", "--dir", text(&certs)]);
    nunatak(&["cert", "create-gateway", "127.0.0.1", "--dir", text(&certs)]);
    nunatak(&["cert", "create-client", "postgres", "--dir", text(&certs)]);
    let file = |name: String| text(&certs.join(name)).to_owned();
    let flags = |name: &str| {
        let (cert, key, ca) =
            (file(format!("{name}.crt")), file(format!("{name}.key")), file("ca.crt".to_owned()));
        ["--tls-cert".to_owned(), cert, "--tls-key".to_owned(), key, "--tls-ca".to_owned(), ca]
    };
    let with = |arguments: &[&str], name: &str| {
        let flags = flags(name);
        let arguments: Vec<&str> =
            arguments.iter().copied().chain(flags.iter().map(String::as_str)).collect();
        arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>()
    };
    let start = |arguments: &[&str], name: &str, log: &str| {
        let arguments = with(arguments, name);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Process::start(&arguments, &folder.path().join(log))
    };
    let ask = |arguments: &[&str], name: &str| {
        let out = Command::new(binary()).args(with(arguments, name)).stdin(Stdio::null()).output();
        let out = out.expect("the binary runs");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        if out.status.success() { Ok(()) } else { Err(said) }
    };
    let (address, sql) = (free_address(), free_address());
    let data = folder.path().join("data");
    let node =
        ["node", "--data", text(&data), "--listen", &address, "--join", &address, "--http", "127.0.0.1:0"];
    let node = start(&node, "node", "node.log");
    ask(&["init", "--host", &address], "gateway").unwrap_or_else(|error| panic!("{error}\n{}", node.log()));
    ask(&["admin", "nodes", "--host", &address], "gateway").expect("an answer");
    let said = ask(&["admin", "nodes", "--host", &address], "client.postgres").expect_err("a refusal");
    assert!(said.contains("does not allow calls of nodes"), "{said}");
    assert!(!run(&["admin", "nodes", "--host", &address]).status.success());
    let gateway = ["gateway", "--listen", &sql, "--join", &address, "--http", "127.0.0.1:0"];
    let gateway = start(&gateway, "gateway", "gateway.log");
    nunatak_tests::processes::await_ready("SQL", &gateway, || {
        nunatak_tests::processes::psql(&sql, "select 1").is_ok_and(|answer| answer == "1")
    });
    // What nodes say among themselves a gateway may not.
    let tls = |name: &str| proto::grpc::Tls {
        authority_pem: std::fs::read(file("ca.crt".to_owned())).expect("a file"),
        certificate_pem: std::fs::read(file(format!("{name}.crt"))).expect("a file"),
        key_pem: std::fs::read(file(format!("{name}.key"))).expect("a file"),
        peer_name: None,
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        use proto::Network as _;
        for (name, is_refused) in [("gateway", true), ("client.postgres", true), ("node", false)] {
            let tls = proto::grpc::MutualTls::new(&tls(name)).expect("certificates");
            let node = proto::grpc::GrpcNetwork::new(Some(tls)).connect(&address);
            let answer = node.raft_vote(Default::default()).await;
            let refused = answer.err().is_some_and(|status| status.code() == proto::Code::PermissionDenied);
            assert_eq!(refused, is_refused, "{name}");
        }
    });
}

#[test]
fn what_others_reach_is_not_served_without_protection() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let hba = folder.path().join("hba.conf");
    std::fs::write(&hba, "# all\nhost all all 0.0.0.0/0 trust\n").expect("a file");
    let certs = folder.path().join("certs");
    nunatak(&["cert", "create-ca", "--dir", text(&certs)]);
    nunatak(&["cert", "create-gateway", "localhost", "--dir", text(&certs)]);
    let (cert, key) = (certs.join("gateway.crt"), certs.join("gateway.key"));
    let single = ["start-single", "--data", text(&data), "--http", "127.0.0.1:0", "--listen", "0.0.0.0:0"];
    let node = ["node", "--data", text(&data), "--http", "127.0.0.1:0", "--join", "127.0.0.1:1"];
    for (arguments, said) in [
        ([single.as_slice(), &[]].concat(), "nothing would be encrypted"),
        (
            [single.as_slice(), &["--tls-cert", text(&cert), "--tls-key", text(&key), "--hba", text(&hba)]]
                .concat(),
            "line 2 of --hba believes others without proof",
        ),
        (
            [node.as_slice(), &["--listen", "0.0.0.0:0", "--advertise", "127.0.0.1:2"]].concat(),
            "could read and write everything",
        ),
        (
            [node.as_slice(), &["--listen", "127.0.0.1:0", "--sql", "0.0.0.0:0"]].concat(),
            "nothing would be encrypted",
        ),
        ([single.as_slice(), &["--tls-cert", text(&cert)]].concat(), "--tls-key"),
        (
            [single.as_slice(), &["--tls-cert", text(&key), "--tls-key", text(&key)]].concat(),
            "it holds no certificate",
        ),
        ([single.as_slice(), &["--insecure", "--hba", text(&data)]].concat(), "cannot read"),
    ] {
        let out = run(&arguments);
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(2) && error.contains(said), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
