//! The shell's connection: runs statements and prints what comes back.

use std::future::poll_fn;
use std::io::Write;
use std::pin::pin;

use futures::{SinkExt, StreamExt, TryStreamExt};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, SimpleQueryMessage, Socket};
use zeroize::Zeroizing;

use super::printing::{print_error, print_notice, print_rows, print_tag};
use super::tls::Tls;
use crate::failure::{Failure, chain};
use crate::output::{errln, outln};

/// Rows that are printed as one table; what follows begins a new one.
const ROWS_PER_TABLE: usize = 10_000;

/// A connection to a server.
pub(super) struct Connection {
    client: Client,
    database: String,
    server: String,
    tls: Option<Tls>,
}

/// Where to connect, and how.
#[derive(Clone)]
pub(crate) struct Server {
    /// A PostgreSQL URL.
    pub(crate) url: String,
    /// TLS, if it is to be spoken.
    pub(crate) tls: Option<Tls>,
}

impl Server {
    /// The URL for messages: without its password.
    fn shown(&self) -> String {
        match self.url.split_once("://") {
            Some((scheme, rest)) if rest.contains('@') => {
                let (account, host) = rest.rsplit_once('@').unwrap_or(("", rest));
                let user = account.split(':').next().unwrap_or_default();
                let host = host.split('?').next().unwrap_or_default();
                format!("{scheme}://{user}@{host}")
            }
            Some((scheme, rest)) => format!("{scheme}://{}", rest.split('?').next().unwrap_or_default()),
            None => "the given parameters".to_owned(),
        }
    }
}

/// Has the connection work in the background; what version the server says it is.
fn drive<T>(mut connection: tokio_postgres::Connection<Socket, T>) -> String
where
    T: TlsStream + Unpin + Send + 'static,
{
    let version = connection.parameter("server_version").unwrap_or("an unknown version").to_owned();
    env::task::spawn(async move {
        loop {
            match poll_fn(|cx| connection.poll_message(cx)).await {
                Some(Ok(AsyncMessage::Notice(notice))) => print_notice(&notice),
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    tracing::debug!(error = %chain(&error), "connection lost");
                    break;
                }
                None => break,
            }
        }
    });
    version
}

impl Connection {
    /// Connects to `url`.
    pub(super) async fn open(server: &Server) -> Result<Self, Failure> {
        let mut config: Config = server.url.parse().map_err(|error| {
            Failure::usage(format!("'{}' is no PostgreSQL URL: {}", server.shown(), chain(&error)))
        })?;
        if config.get_user().is_none() {
            config.user("nunatak");
        }
        if config.get_application_name().is_none() {
            config.application_name("nunatak sql");
        }
        if config.get_password().is_none()
            && let Ok(password) = std::env::var("PGPASSWORD")
        {
            config.password(Zeroizing::new(password).as_bytes());
        }
        let database = config.get_dbname().or(config.get_user()).unwrap_or("nunatak").to_owned();
        let failed = |error: tokio_postgres::Error| {
            Failure::usage(format!("cannot connect to {}: {}", server.shown(), chain(&error)))
        };
        let (client, version) = match &server.tls {
            Some(tls) => {
                config.ssl_mode(SslMode::Require);
                let (client, connection) = config.connect(tls.clone()).await.map_err(failed)?;
                (client, drive(connection))
            }
            None => {
                let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
                (client, drive(connection))
            }
        };
        Ok(Self { client, database, server: version, tls: server.tls.clone() })
    }

    /// What the server says of itself.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// The prompt.
    pub(super) fn prompt(&self) -> String {
        format!("{}=> ", self.database)
    }

    /// Whether the server or the network has closed the connection.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs a query string that holds `statements` and prints their results. False: there was an error.
    pub(super) async fn run(&self, text: &str, statements: &[String], timing: bool) -> bool {
        let started = env::clock::now();
        let outcome = {
            let cancel = self.client.cancel_token();
            let mut running = pin!(self.run_and_print(text, statements));
            loop {
                tokio::select! {
                    outcome = &mut running => break outcome,
                    Ok(()) = tokio::signal::ctrl_c() => {
                        errln!("Cancelling.");
                        let cancelled = match &self.tls {
                            Some(tls) => cancel.cancel_query(tls.clone()).await,
                            None => cancel.cancel_query(NoTls).await,
                        };
                        if let Err(error) = cancelled {
                            errln!("Could not cancel: {}", chain(&error));
                        }
                    }
                }
            }
        };
        report(text, outcome, started, timing)
    }

    async fn run_and_print(&self, text: &str, statements: &[String]) -> Result<(), tokio_postgres::Error> {
        if statements.len() == 1 && is_copy_to_stdout(text) {
            return self.copy_out(text).await;
        }
        let mut messages = pin!(self.client.simple_query_raw(text).await?);
        let mut statements = statements.iter();
        let mut names: Option<Vec<String>> = None;
        let mut rows = Vec::new();
        while let Some(message) = messages.try_next().await? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    names = Some(columns.iter().map(|column| column.name().to_owned()).collect());
                }
                SimpleQueryMessage::Row(row) => {
                    rows.push(
                        (0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect::<Vec<_>>(),
                    );
                    if rows.len() >= ROWS_PER_TABLE {
                        print_rows(names.as_deref().unwrap_or_default(), std::mem::take(&mut rows));
                    }
                }
                SimpleQueryMessage::CommandComplete(count) => {
                    let statement = statements.next().map_or("", String::as_str);
                    match names.take() {
                        Some(names) => print_rows(&names, std::mem::take(&mut rows)),
                        None => print_tag(statement, count),
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    async fn copy_out(&self, statement: &str) -> Result<(), tokio_postgres::Error> {
        let mut data = pin!(self.client.copy_out(statement).await?);
        while let Some(piece) = data.next().await {
            // A reader that is gone, such as head, has seen enough.
            if std::io::stdout().write_all(&piece?).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Runs COPY … FROM STDIN with `data`. False: there was an error.
    pub(super) async fn copy_in(&self, statement: &str, data: &[u8], timing: bool) -> bool {
        let started = env::clock::now();
        let outcome = async {
            let mut sink = pin!(self.client.copy_in(statement).await?);
            for piece in data.chunks(64 * 1024) {
                sink.send(bytes::Bytes::copy_from_slice(piece)).await?;
            }
            let count = sink.finish().await?;
            print_tag(statement, count);
            Ok(())
        };
        let outcome = outcome.await;
        report(statement, outcome, started, timing)
    }

    /// The rows of a query of the shell's own.
    pub(super) async fn query(&self, sql: &str) -> Result<(Vec<String>, Vec<Vec<Option<String>>>), Failure> {
        let messages = self.client.simple_query(sql).await.map_err(|error| {
            print_error(sql, &error);
            Failure::Told
        })?;
        let (mut names, mut rows) = (Vec::new(), Vec::new());
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    names = columns.iter().map(|column| column.name().to_owned()).collect();
                }
                SimpleQueryMessage::Row(row) => {
                    rows.push((0..row.len()).map(|index| row.get(index).map(str::to_owned)).collect());
                }
                _ => {}
            }
        }
        Ok((names, rows))
    }
}

fn is_copy_to_stdout(text: &str) -> bool {
    let words = text.to_ascii_lowercase();
    let words: Vec<&str> = words.split_whitespace().collect();
    words.first() == Some(&"copy")
        && words.windows(2).any(|pair| matches!(pair, ["to", last] if last.starts_with("stdout")))
}

fn report(
    text: &str,
    outcome: Result<(), tokio_postgres::Error>,
    started: env::clock::Instant,
    timing: bool,
) -> bool {
    let ok = outcome.is_ok();
    if let Err(error) = outcome {
        print_error(text, &error);
    }
    if timing {
        outln!("Time: {:.3} ms", started.elapsed().as_secs_f64() * 1000.0);
    }
    ok
}
