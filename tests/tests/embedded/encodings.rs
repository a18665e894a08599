//! Clients that speak another encoding than UTF-8, byte by byte, and what is reported to them: as PostgreSQL does.

use nunatak_tests::embedded::Embedded;
use nunatak_tests::postgres::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a client says.
enum Step {
    /// A simple query.
    Query(&'static [u8]),
    /// The data of a COPY FROM STDIN, and its end.
    Data(&'static [u8]),
    /// A statement, its parameters with their formats (1: binary), and the format of the results.
    Extended(&'static [u8], &'static [(u16, &'static [u8])], u16),
}

use Step::{Data, Extended, Query};

const SCRIPT: &[Step] = &[
    Query(b"show client_encoding"),
    Query(b"create table encoded (n int primary key, t text, \"\xe9t\xe9\" varchar(10), j jsonb)"),
    Query(b"insert into encoded values (1, 'na\xefve', '\xfc', '{\"\xe4\": \"\xf6\"}')"),
    Query(b"select * from encoded"),
    Query(b"select length(t), octet_length(t), convert_to(t, 'UTF8'), convert_to(t, 'LATIN1') from encoded"),
    Query(b"select U&'\\20ac'"),
    Query(b"select 1 as \"\xe9\", U&'\\00e9' || 'x'"),
    Query(b"select 1 as U&\"\\20ac\""),
    Query(b"select \xe9"),
    Query(b"do_\xe9 it"),
    Query(b"insert into encoded values (1, '\xe9')"),
    Extended(b"select $1::text, $2::text, $1 = '\xe9', 1 as \"\xe9\"", &[(0, b"\xe9"), (1, b"\xe9")], 0),
    Extended(b"select $1::text, 'a'::\"char\", $2::jsonb, $3::bytea", &[(0, b"\xe9"), (0, b"{\"a\": \"\xe9\"}"), (1, b"\xe9")], 1),
    Extended(b"select $1::text", &[(1, b"\xc3\xa9")], 1),
    Query(b"copy encoded (n, t) from stdin"),
    Data(b"2\t\xe9\\\\\n3\t\\xe9\n"),
    Query(b"copy encoded (n, t) from stdin"),
    Data(b"4\tZ\xfcrich\n5\tplain\n"),
    Query(b"copy encoded (n, t) from stdin with (encoding 'UTF8')"),
    Data(b"6\tZ\xc3\xbcrich\n"),
    Query(b"copy (select n, t from encoded where n <> 3 order by n) to stdout with (format csv, header)"),
    Query(b"copy (select t from encoded where n = 1) to stdout with (encoding 'UTF8')"),
    Query(b"copy (select t from encoded where n = 1) to stdout with (encoding 'nope')"),
    Query(b"copy (select U&'\\20ac') to stdout"),
    Query(b"set client_encoding = 'WIN1252'"),
    Query(b"select '\x80', ascii('\x80'), pg_client_encoding(), getdatabaseencoding()"),
    Query(b"select '\x81'"),
    Extended(b"select '\x81'", &[], 0),
    Query(b"set names 'KOI8R'; select 'after'"),
    Query(b"select '\xd0\xd2\xc9\xd7\xc5\xd4', convert_to('\xd0', 'WIN1251')"),
    Query(b"set client_encoding to utf8"),
    Query(b"select '\xd0\xd2'"),
    Query(b"select 'pr\xc3\xaat'"),
    Query(b"set client_encoding to 'nope'"),
    Query(b"set client_encoding to ''"),
    Query(b"set client_encoding to 'mule_internal'"),
    Query(b"begin; set local client_encoding = latin9; select U&'\\20ac'"),
    Query(b"rollback"),
    Query(b"select U&'\\20ac'"),
    Query(b"set client_encoding = sql_ascii"),
    Query(b"select 'pr\xc3\xaat'"),
    Query(b"reset client_encoding"),
    Query(b"select '\xe9'"),
    Query(b"select pg_char_to_encoding('iso-8859-1'), pg_encoding_to_char(24), pg_encoding_max_length(6), pg_encoding_max_length(8)"),
    Query(b"select convert_from('\\xe9'::bytea, 'LATIN1'), convert_from('\\x81'::bytea, 'WIN1252')"),
    Query(b"select convert_from('\\xe9'::bytea, 'nope')"),
    // What else is told of settings.
    Query(b"set datestyle = 'german'; set intervalstyle = 'iso_8601'; set timezone = 'Asia/Tokyo'; set application_name = 'a\xe9'"),
    Query(b"begin; set datestyle = 'sql, ymd'; set local intervalstyle = 'sql_standard'"),
    Query(b"commit"),
    Query(b"begin; set datestyle = 'postgres'"),
    Query(b"rollback"),
    Query(b"discard all"),
    // What cannot be answered is not done either.
    Query(b"insert into encoded (n, t) values (10, U&'\\20ac') returning t"),
    Query(b"insert into encoded (n, t) values (11, 'x') returning 1 as U&\"\\20ac\""),
    Query(b"insert into encoded (n, t) select g, U&'\\20ac' from generate_series(20, 23) g returning n, t"),
    Query(b"insert into encoded (n, t) values (12, U&'\\20ac') on conflict (n) do update set t = excluded.t returning t"),
    Query(b"update encoded set t = U&'\\20ac' where n = 1 returning t"),
    Query(b"update encoded set t = U&'\\20ac' where n + 0 < 3 returning t"),
    Query(b"delete from encoded where n = 1 returning t || U&'\\20ac'"),
    Query(b"with w as (insert into encoded (n, t) values (13, U&'\\20ac') returning t) select t from w"),
    Extended(b"insert into encoded (n, t) values (14, U&'\\20ac') returning t", &[], 0),
    Extended(b"insert into encoded (n, t) values (15, U&'\\20ac') returning t", &[], 1),
    Extended(b"insert into encoded (n, j) values (16, '{\"a\": \"\\u20ac\"}') returning j", &[], 1),
    Query(b"prepare p as insert into encoded (n, t) values (17, U&'\\20ac') returning t"),
    Query(b"execute p"),
    Query(b"insert into encoded (n) values (18); insert into encoded (n, t) values (19, U&'\\20ac') returning t"),
    Query(b"set my.own = 'before'"),
    Query(b"select set_config('my.own', 'after', false), U&'\\20ac'"),
    Query(b"select current_setting('my.own')"),
    Query(b"insert into encoded (n, t) values (30, '\xe9') returning t, 1 as \"\xe9\""),
    Query(b"select n from encoded where n >= 10 order by n"),
    Query(b"select n, length(t) from encoded where n = 1"),
    // By what a statement has set itself.
    Query(b"insert into encoded (n, t) values (40, U&'\\20ac') returning set_config('client_encoding', 'UTF8', false), t"),
    Query(b"show client_encoding"),
    Query(b"insert into encoded (n, t) values (41, U&'\\20ac') returning set_config('client_encoding', 'LATIN1', false), t"),
    Query(b"show client_encoding"),
    Query(b"select n from encoded where n >= 40 order by n"),
    Query(b"drop table encoded"),
];

async fn receive(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let kind = stream.read_u8().await.expect("a message");
    let length = stream.read_u32().await.expect("its length");
    let mut body = vec![0; length as usize - 4];
    stream.read_exact(&mut body).await.expect("its body");
    (kind, body)
}

fn message(kind: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(&(body.len() as u32 + 4).to_be_bytes());
    out.extend_from_slice(body);
}

/// What of a message counts, as text.
fn shown(kind: u8, body: &[u8]) -> Option<String> {
    let escaped = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let strings = |body: &[u8]| body.split(|byte| *byte == 0).map(escaped).collect::<Vec<_>>();
    Some(match kind {
        b'S' => {
            let parts = strings(body);
            let told = ["client_encoding", "DateStyle", "IntervalStyle", "TimeZone", "application_name"];
            if !told.contains(&parts[0].as_str()) {
                return None;
            }
            format!("{} is {}", parts[0], parts[1])
        }
        b'D' | b'd' => format!("{} {}", char::from(kind), escaped(&body[if kind == b'D' { 2 } else { 0 }..])),
        b'T' => {
            let (mut rest, mut names) = (&body[2..], Vec::new());
            while let Some(end) = rest.iter().position(|byte| *byte == 0) {
                names.push(escaped(&rest[..end]));
                rest = &rest[end + 19..];
            }
            format!("= {}", names.join(" | "))
        }
        b'E' | b'N' => {
            let parts: Vec<&[u8]> = body.split(|byte| *byte == 0).collect();
            let field = |code: u8| {
                parts.iter().find(|part| part.first() == Some(&code)).map(|part| escaped(&part[1..]))
            };
            let [code, text, detail] = [b'C', b'M', b'D'].map(|code| field(code).unwrap_or_default());
            format!("{code} {text} {detail}")
        }
        b'C' => format!("ok {}", escaped(body)),
        b'Z' => format!("ready {}", escaped(body)),
        _ => return None,
    })
}

/// Plays the script as a client of this encoding.
async fn transcript(address: &str, encoding: &str) -> Vec<String> {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let mut packet = (3u32 << 16).to_be_bytes().to_vec();
    for part in ["user", "postgres", "database", "postgres", "client_encoding", encoding, ""] {
        packet.extend_from_slice(part.as_bytes());
        packet.push(0);
    }
    let mut bytes = (packet.len() as u32 + 4).to_be_bytes().to_vec();
    bytes.extend_from_slice(&packet);
    stream.write_all(&bytes).await.expect("sent");
    let mut out = Vec::new();
    let mut asks_for_data = false;
    for step in std::iter::once(None).chain(SCRIPT.iter().map(Some)) {
        let mut bytes = Vec::new();
        match step {
            None => {}
            Some(Query(sql)) => {
                out.push(format!("--- {}", sql.escape_ascii()));
                message(b'Q', &[sql, &b"\0"[..]].concat(), &mut bytes);
            }
            Some(Data(_)) if !asks_for_data => continue,
            Some(Data(data)) => {
                message(b'd', data, &mut bytes);
                message(b'c', b"", &mut bytes);
            }
            Some(Extended(sql, parameters, format)) => {
                out.push(format!("--- {} by steps", sql.escape_ascii()));
                message(b'P', &[&b"\0"[..], sql, &b"\0\0\0"[..]].concat(), &mut bytes);
                let mut bind = vec![0, 0];
                bind.extend_from_slice(&(parameters.len() as u16).to_be_bytes());
                parameters.iter().for_each(|(format, _)| bind.extend_from_slice(&format.to_be_bytes()));
                bind.extend_from_slice(&(parameters.len() as u16).to_be_bytes());
                for (_, value) in *parameters {
                    bind.extend_from_slice(&(value.len() as u32).to_be_bytes());
                    bind.extend_from_slice(value);
                }
                bind.extend_from_slice(&1u16.to_be_bytes());
                bind.extend_from_slice(&format.to_be_bytes());
                message(b'B', &bind, &mut bytes);
                message(b'D', b"P\0", &mut bytes);
                message(b'E', b"\0\0\0\0\0", &mut bytes);
                message(b'S', b"", &mut bytes);
            }
        }
        stream.write_all(&bytes).await.expect("sent");
        loop {
            let (kind, body) = receive(&mut stream).await;
            // The order in which settings are told is nobody's business.
            out.extend(shown(kind, &body));
            asks_for_data = kind == b'G';
            if matches!(kind, b'Z' | b'G') {
                break;
            }
        }
    }
    // Whether columns are told before an error is found is nobody's business either, nor what a server's own zone is called.
    let follows =
        |place: usize| out.get(place + 1).is_some_and(|next: &String| next.as_bytes().get(5) == Some(&b' '));
    let is_told = |place: usize, line: &str| {
        !(line.starts_with("= ") && follows(place) && !out[place + 1].starts_with("ready"))
    };
    let mut out: Vec<String> = (0..out.len())
        .filter(|place| is_told(*place, &out[*place]) && !out[*place].starts_with("TimeZone is"))
        .map(|place| out[place].clone())
        .collect();
    // What is told of several settings at once is told in some order.
    let mut from = 0;
    while from < out.len() {
        let count =
            out[from..].iter().take_while(|line| line.contains(" is ") && !line.starts_with("---")).count();
        out[from..from + count].sort();
        from += count.max(1);
    }
    out
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_other_encodings_are_answered_as_by_postgresql() {
    let cluster = Embedded::start().await;
    let ours = transcript(&cluster.address(), "latin1").await;
    assert!(ours.iter().any(|line| line == "client_encoding is LATIN1"), "{ours:?}");
    assert!(ours.iter().any(|line| line.contains("na\\xefve")), "{ours:?}");
    if let Some(server) = Postgres::start().await {
        let port =
            server.url().split("port=").nth(1).and_then(|rest| rest.split(' ').next().map(str::to_owned));
        let theirs = transcript(&format!("127.0.0.1:{}", port.expect("a port")), "latin1").await;
        let differ: Vec<String> = (0..ours.len().max(theirs.len()))
            .filter(|place| ours.get(*place) != theirs.get(*place))
            .take(20)
            .map(|place| format!("ours   {:?}\ntheirs {:?}", ours.get(place), theirs.get(place)))
            .collect();
        assert!(differ.is_empty(), "{}", differ.join("\n"));
    }
    cluster.stop().await;
}
