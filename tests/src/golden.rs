//! Golden SQL scripts: what a script answers, as text that can be compared with what PostgreSQL answered.
//!
//! A script is a file of statements; each piece that a line ending in `;` closes is sent as one simple query. The
//! transcript repeats the piece and what came back: rows, counts, errors with SQLSTATE, detail, hint and position,
//! notices and notifications.

use std::fmt::Write;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use tokio_postgres::error::DbError;
use tokio_postgres::{AsyncMessage, NoTls, SimpleQueryMessage};

/// Runs a script over a connection and answers the transcript.
pub async fn transcript(url: &str, script: &str) -> String {
    let (client, mut connection) = tokio_postgres::connect(url, NoTls).await.expect("a connection");
    let notices = Arc::new(Mutex::new(String::new()));
    let noted = notices.clone();
    let driver = tokio::spawn(async move {
        let mut messages = futures::stream::poll_fn(move |cx| connection.poll_message(cx));
        while let Some(message) = messages.next().await {
            match message {
                Ok(AsyncMessage::Notice(notice)) => put_report(&notice, &mut noted.lock().expect("no panic")),
                Ok(AsyncMessage::Notification(told)) => {
                    let mut noted = noted.lock().expect("no panic");
                    let _ = writeln!(noted, "told {}: {}", told.channel(), told.payload());
                }
                _ => {}
            }
        }
    });
    let mut out = String::new();
    for piece in pieces(script) {
        let _ = writeln!(out, "{piece}");
        let answer = client.simple_query(&piece).await;
        out.push_str(&std::mem::take(&mut *notices.lock().expect("no panic")));
        match answer {
            Ok(messages) => messages.iter().for_each(|message| put_message(message, &mut out)),
            Err(error) => match error.as_db_error() {
                Some(error) => put_report(error, &mut out),
                None => {
                    let _ = writeln!(out, "CONNECTION LOST: {error}");
                    break;
                }
            },
        }
        out.push('\n');
    }
    drop(client);
    let _ = driver.await;
    out
}

/// The pieces of a script: comments between them are dropped.
fn pieces(script: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece: Vec<&str> = Vec::new();
    for line in script.lines() {
        if piece.is_empty() && (line.trim().is_empty() || line.starts_with("--")) {
            continue;
        }
        piece.push(line);
        if line.trim_end().ends_with(';') {
            pieces.push(piece.join("\n"));
            piece.clear();
        }
    }
    assert!(piece.is_empty(), "the script's last statement does not end in a semicolon");
    pieces
}

fn put_message(message: &SimpleQueryMessage, out: &mut String) {
    match message {
        SimpleQueryMessage::RowDescription(columns) => {
            let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
            let _ = writeln!(out, "= {}", names.join(" | "));
        }
        SimpleQueryMessage::Row(row) => {
            let values: Vec<&str> = (0..row.len()).map(|place| row.get(place).unwrap_or("∅")).collect();
            let _ = writeln!(out, "| {}", values.join(" | "));
        }
        SimpleQueryMessage::CommandComplete(count) => {
            let _ = writeln!(out, "ok {count}");
        }
        _ => {}
    }
}

fn put_report(report: &DbError, out: &mut String) {
    let _ = writeln!(out, "{} {}: {}", report.severity(), report.code().code(), report.message());
    if let Some(detail) = report.detail() {
        let _ = writeln!(out, "  detail: {detail}");
    }
    if let Some(hint) = report.hint() {
        let _ = writeln!(out, "  hint: {hint}");
    }
    if let Some(position) = report.position() {
        let _ = writeln!(out, "  position: {position:?}");
    }
    if let Some(constraint) = report.constraint() {
        let _ = writeln!(out, "  constraint: {constraint}");
    }
}
