//! COPY beside PostgreSQL 15: what is sent in binary format and as CSV is the same, byte for byte, and what PostgreSQL has
//! sent is taken. Both refuse the same data and options.

use std::pin::pin;

use bytes::Bytes;
use futures::{SinkExt as _, TryStreamExt as _};
use nunatak_tests::clients::{connect, rows, run};
use nunatak_tests::embedded::Embedded;
use nunatak_tests::postgres::Postgres;
use tokio_postgres::{Client, Error};

const TABLES: &str = "
    create table many (b bool, i2 smallint, i4 int, i8 bigint, f4 real, f8 double precision, n numeric, t text,
      v varchar(10), c char(4), y bytea, d date, ts timestamp, tz timestamptz, iv interval, u uuid, j json, jb jsonb,
      ai int[], at text[], r int4range, ip inet, o oid, k \"char\");
    insert into many values
      (true, 1, -2, 3000000000, 1.5, -2.25, 12345.6789, 'ä\tb', 'var', 'ch', '\\x00ff', '2024-02-29', '2024-02-29 12:34:56.789',
       '2024-02-29 12:34:56+02', '1 mon 2 days 03:04:05', '6f1b3c1e-0d4a-4b6e-9d0f-0123456789ab', '{\"a\": 1}', '{\"b\": [1, null]}',
       '{{1,2},{3,null}}', '{\"x,y\",null,\"\"}', '[1,5)', '10.0.0.0/8', 77, 'k'),
      (null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null,
       null, null, null, null),
      (false, -32768, 2147483647, -1, 'nan', 'infinity', 'nan', '', '', '', '', 'infinity', '-infinity', 'infinity', '-1 mons',
       '00000000-0000-0000-0000-000000000000', 'null', '\"\"', '{}', '{}', 'empty', '::1', 0, '');
    create table texts (a text, b text);
    insert into texts values ('x', null), ('', 'a,b'), (null, 'q\"q'), ('\\N', '');
    create table copied (a int, b text);";

async fn out(client: &Client, sql: &str) -> Vec<u8> {
    let pieces = client.copy_out(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let pieces: Vec<Bytes> = pieces.try_collect().await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    pieces.concat()
}

/// Sends data in pieces of so many bytes.
async fn put(client: &Client, sql: &str, data: &[u8], piece_bytes: usize) -> Result<u64, Error> {
    let mut sink = pin!(client.copy_in::<_, Bytes>(sql).await?);
    for piece in data.chunks(piece_bytes) {
        sink.send(Bytes::copy_from_slice(piece)).await?;
    }
    sink.finish().await
}

/// What a COPY that fails says.
async fn refusal(client: &Client, sql: &str, data: &[u8]) -> (String, String) {
    let error = match put(client, sql, data, usize::MAX).await {
        Ok(count) => return ("ok".to_owned(), count.to_string()),
        Err(error) => error,
    };
    let told = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}"));
    (told.code().code().to_owned(), told.message().to_owned())
}

/// What a COPY says that does not begin.
async fn refused(client: &Client, sql: &str) -> (String, String) {
    let error = client.simple_query(sql).await.expect_err("an error");
    let told = error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error:?}"));
    (told.code().code().to_owned(), told.message().to_owned())
}

async fn both() -> Option<(Postgres, Client, Embedded, Client)> {
    let postgres = Postgres::start().await?;
    let theirs = connect(&postgres.url()).await;
    let cluster = Embedded::start().await;
    let ours = connect(&cluster.url()).await;
    for client in [&theirs, &ours] {
        run(client, "set timezone = 'UTC'").await;
        run(client, TABLES).await;
    }
    Some((postgres, theirs, cluster, ours))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_what_postgresql_sends_and_it_is_taken_again() {
    let Some((_postgres, theirs, cluster, ours)) = both().await else { return };
    for sql in [
        "copy many to stdout (format binary)",
        "copy many (t, i4) to stdout binary",
        "copy binary many (n) to stdout",
        "copy (select * from many where false) to stdout (format binary)",
        "copy (select i4, t from many order by i4) to stdout (format binary)",
        "copy texts to stdout (format csv, force_quote *)",
        "copy texts to stdout (format csv, force_quote (b), header)",
        "copy texts to stdout csv force quote a",
        "copy (select a, b from texts order by b) to stdout (format csv, force_quote (a), null 'NIL')",
    ] {
        assert_eq!(out(&ours, sql).await, out(&theirs, sql).await, "{sql}");
    }
    let sent = out(&theirs, "copy many to stdout (format binary)").await;
    let expected = rows(&ours, "select * from many").await;
    for (number, piece_bytes) in [1, 7, 100, usize::MAX].into_iter().enumerate() {
        run(&ours, &format!("create table taken{number} (like many)")).await;
        let sql = format!("copy taken{number} from stdin (format binary)");
        assert_eq!(put(&ours, &sql, &sent, piece_bytes).await.expect("rows"), 3, "{piece_bytes}");
        assert_eq!(rows(&ours, &format!("select * from taken{number}")).await, expected, "{piece_bytes}");
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_such_data_is_refused_as_postgresql_does() {
    let Some((_postgres, theirs, cluster, ours)) = both().await else { return };
    let signature = b"PGCOPY\n\xff\r\n\0";
    let begun = |rest: &[u8]| [signature, rest].concat();
    let header = begun(&[0; 8]);
    let row = [&[0, 2, 0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 1][..], b"x"].concat();
    let after = |rest: &[u8]| [&header[..], &row, rest].concat();
    for data in [
        Vec::new(),
        b"1\tx\n".to_vec(),
        signature.to_vec(),
        begun(&[0, 1, 0, 0, 0, 0, 0, 0]),
        begun(&[0, 2, 0, 0, 0, 0, 0, 0]),
        begun(&[0, 0]),
        begun(&[0; 4]),
        begun(&[0, 0, 0, 0, 255, 255, 255, 255]),
        header.clone(),
        after(&[]),
        after(&[255, 255]),
        after(&[255, 255, 0]),
        after(&[0, 3]),
        after(&[0, 2, 255, 255, 255, 251]),
        after(&row[..row.len() - 1]),
        after(&row[..4]),
        after(&[0, 2, 0, 0, 0, 2, 0, 1, 0, 0, 0, 1, b'x']),
        after(&[0, 2, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, b'x']),
        after(&[0, 2, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0, 1, 255]),
    ] {
        let sql = "copy copied from stdin (format binary)";
        assert_eq!(refusal(&ours, sql, &data).await, refusal(&theirs, sql, &data).await, "{data:?}");
    }
    for sql in [
        "copy copied from stdin (format binary, delimiter 'x')",
        "copy copied from stdin (format binary, null 'x')",
        "copy copied from stdin (format binary, header)",
        "copy copied from stdin (format csv, force_quote *)",
        "copy copied from stdin (force_null (a))",
        "copy copied from stdin (force_not_null (a))",
        "copy copied from stdin (format csv, force_null (c))",
        "copy copied (a) from stdin (format csv, force_null (b))",
        "copy copied from stdin (format csv, force_not_null *)",
        "copy copied from stdin csv force null a, c",
        "copy binary copied from stdin csv",
    ] {
        assert_eq!(refused(&ours, sql).await, refused(&theirs, sql).await, "{sql}");
    }
    for sql in [
        "copy texts from stdin csv",
        "copy texts from stdin csv force not null a",
        "copy texts from stdin (format csv, force_null (a, b))",
        "copy texts from stdin (format csv, null 'NIL', force_null (a), force_not_null (a, b))",
    ] {
        let data = b",\n\"\",\"\"\nNIL,\"NIL\"\n\"NIL\",NIL\nx,y\n";
        for client in [&theirs, &ours] {
            run(client, "truncate texts").await;
            assert_eq!(put(client, sql, data, usize::MAX).await.expect("rows"), 5, "{sql}");
        }
        let kept = "select * from texts order by a nulls first, b nulls first";
        assert_eq!(rows(&ours, kept).await, rows(&theirs, kept).await, "{sql}");
    }
    cluster.stop().await;
}
