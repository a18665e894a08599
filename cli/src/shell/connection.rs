//! The shell's connection: runs statements and prints what comes back.

use std::future::{Future, poll_fn};
use std::io::Read;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use env::task::JoinHandle;
use futures::{SinkExt, StreamExt, TryStreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, SimpleQueryMessage};

use super::block::Block;
use super::format::{Format, Rows, Style, Writer};
use super::password;
use super::printing::{print_notice, tag};
use super::server::Server;
use super::sink::Outlet;
use super::splitter::{is_copy_to_stdout, words};
use super::tls::Tls;
use crate::failure::{Failure, chain};
use crate::output::errln;

/// Rows that are formatted as one piece.
const ROWS_PER_PIECE: usize = 10_000;

/// Bytes of values that are formatted as one piece, if that is fewer rows.
const BYTES_PER_PIECE: usize = 16 << 20;

/// What the client library says where the server wants a password and none was given.
const NO_PASSWORD: &str = "password missing";

/// How long it may take to leave.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// Bytes of one message of COPY.
const COPY_BYTES: usize = 64 * 1024;

/// A connection to a server.
pub(super) struct Connection {
    client: Client,
    pub(super) database: String,
    pub(super) user: String,
    /// Host and port.
    pub(super) place: String,
    /// The version of PostgreSQL that the server speaks as.
    pub(super) version: String,
    tls: Option<Tls>,
    /// Ends once the client is dropped and has taken its leave.
    driven: JoinHandle<()>,
}

/// How a query string went.
pub(super) struct Ran {
    /// Statements that ended well.
    pub(super) done: usize,
    /// What ended the one after them.
    pub(super) error: Option<tokio_postgres::Error>,
}

/// Has the connection work in the background, in the task that it answers with; what version the server says it is.
fn drive<S, T>(mut connection: tokio_postgres::Connection<S, T>) -> (String, JoinHandle<()>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: TlsStream + Unpin + Send + 'static,
{
    let version = connection.parameter("server_version").unwrap_or("an unknown version").to_owned();
    let driven = env::task::spawn(async move {
        loop {
            match poll_fn(|cx| connection.poll_message(cx)).await {
                Some(Ok(AsyncMessage::Notice(notice))) => print_notice(&notice),
                Some(Ok(AsyncMessage::Notification(told))) => errln!(
                    "Asynchronous notification \"{}\" with payload \"{}\" received from server process with PID {}.",
                    told.channel(),
                    told.payload(),
                    told.process_id()
                ),
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    // Why the server ends a session that has asked nothing.
                    if let Some(error) = error.as_db_error() {
                        print_notice(error);
                    }
                    tracing::debug!(error = %chain(&error), "connection lost");
                    break;
                }
                None => break,
            }
        }
    });
    (version, driven)
}

/// A client of a server, for a command that asks by itself.
pub(crate) async fn connect(server: &Server) -> Result<Client, Failure> {
    Ok(Connection::open(server).await?.client)
}

/// The same of a session at the other end of a stream, which believes whoever is there; and what ends once the client is dropped and has
/// taken its leave.
pub(crate) async fn connect_over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<(Client, JoinHandle<()>), Failure> {
    let mut config = Config::new();
    config.user("nunatak").dbname("nunatak").application_name("nunatak");
    let connected = config.connect_raw(stream, NoTls).await;
    let (client, connection) = connected.map_err(|error| Failure::failed(chain(&error)))?;
    let (_, driven) = drive(connection);
    Ok((client, driven))
}

impl Connection {
    /// Connects; a person is asked for the password where the server wants one and none is known.
    pub(super) async fn open(server: &Server) -> Result<Self, Failure> {
        let config = server.config()?;
        if config.get_password().is_some() || !password::can_be_asked() {
            return Self::open_with(server, config).await;
        }
        let user = config.get_user().unwrap_or_default().to_owned();
        match Self::open_with(server, config).await {
            Err(Failure::Usage(why)) if why.contains(NO_PASSWORD) => {
                let whose = user.clone();
                let asked = env::task::blocking(move || password::ask(&whose)).await;
                match asked.map_err(Failure::failed)?? {
                    None => Err(Failure::Usage(why)),
                    Some(password) => {
                        *server.said.lock() = Some((user, password));
                        let opened = Self::open_with(server, server.config()?).await;
                        if opened.is_err() {
                            // It may have been mistyped.
                            *server.said.lock() = None;
                        }
                        opened
                    }
                }
            }
            opened => opened,
        }
    }

    async fn open_with(server: &Server, mut config: Config) -> Result<Self, Failure> {
        let user = config.get_user().unwrap_or("nunatak").to_owned();
        let database = config.get_dbname().unwrap_or(&user).to_owned();
        let place = Server::place(&config);
        let failed = |error: tokio_postgres::Error| {
            let why = error.as_db_error().map_or_else(|| chain(&error), ToString::to_string);
            Failure::usage(format!("cannot connect to {user}@{place}/{database}: {why}"))
        };
        let (client, (version, driven)) = match &server.tls {
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
        Ok(Self { client, database, user, place, version, tls: server.tls.clone(), driven })
    }

    /// Takes its leave: a server that ends a session itself says so.
    pub(super) async fn leave(self) {
        let Self { client, driven, .. } = self;
        drop(client);
        let _ = env::clock::timeout(LEAVE_MAX, driven).await;
    }

    /// Whether it is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether the server or the network has closed the connection.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs a query string that holds `statements` in a session that stands there, and prints their results.
    pub(super) async fn run(
        &self,
        text: &str,
        statements: &[String],
        block: Block,
        style: &Style,
        outlet: &mut Outlet<'_>,
    ) -> Ran {
        let mut done = 0;
        let running = async {
            if let ([_], true) = (statements, is_copy_to_stdout(text)) {
                self.copy_out(text, outlet).await?;
                done = 1;
                return Ok(());
            }
            self.run_and_print(text, statements, block, style, outlet, &mut done).await
        };
        let error = self.cancellable(running).await.err();
        Ran { done, error }
    }

    /// Waits for what runs; Ctrl-C asks the server to end it.
    async fn cancellable<T>(
        &self,
        running: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, tokio_postgres::Error> {
        let mut running = pin!(running);
        loop {
            tokio::select! {
                outcome = &mut running => break outcome,
                Ok(()) = tokio::signal::ctrl_c() => {
                    errln!("Cancelling.");
                    self.cancel().await;
                }
            }
        }
    }

    /// Asks the server to end what runs.
    pub(super) async fn cancel(&self) {
        let cancel = self.client.cancel_token();
        let cancelled = match &self.tls {
            Some(tls) => cancel.cancel_query(tls.clone()).await,
            None => cancel.cancel_query(NoTls).await,
        };
        if let Err(error) = cancelled {
            errln!("Could not cancel: {}", chain(&error));
        }
    }

    async fn run_and_print(
        &self,
        text: &str,
        statements: &[String],
        mut block: Block,
        style: &Style,
        outlet: &mut Outlet<'_>,
        done: &mut usize,
    ) -> Result<(), tokio_postgres::Error> {
        let types = self.types(text, statements, style.format).await?;
        let mut messages = pin!(self.client.simple_query_raw(text).await?);
        let mut writer: Option<Writer<'_>> = None;
        let (mut rows, mut bytes): (Rows, usize) = (Vec::new(), 0);
        while let Some(message) = messages.try_next().await? {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    let names = columns.iter().map(|column| column.name().to_owned()).collect();
                    writer = Some(Writer::new(style, names, types.clone()));
                }
                SimpleQueryMessage::Row(row) => {
                    let values: Vec<_> = (0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect();
                    bytes += values.iter().flatten().map(String::len).sum::<usize>();
                    rows.push(values);
                    if let Some(writer) = &mut writer
                        && (rows.len() >= ROWS_PER_PIECE || bytes >= BYTES_PER_PIECE)
                    {
                        outlet.print(&writer.rows(std::mem::take(&mut rows)));
                        bytes = 0;
                    }
                }
                SimpleQueryMessage::CommandComplete(count) => {
                    let statement = statements.get(*done).map_or("", String::as_str);
                    match writer.take() {
                        Some(mut writer) => {
                            let last = if rows.is_empty() {
                                String::new()
                            } else {
                                writer.rows(std::mem::take(&mut rows))
                            };
                            outlet.print(&(last + &writer.end()));
                        }
                        None if style.format.is_for_people() => {
                            let tag =
                                block.tag(statement).map_or_else(|| tag(statement, count), str::to_owned);
                            outlet.print(&format!("{tag}\n"));
                        }
                        None => {}
                    }
                    block = block.after(statement);
                    bytes = 0;
                    *done += 1;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The types of a statement's columns, where the format shows them: rows by the simple protocol do not tell.
    async fn types(
        &self,
        text: &str,
        statements: &[String],
        format: Format,
    ) -> Result<Vec<Type>, tokio_postgres::Error> {
        let first = words(text).into_iter().next().unwrap_or_default();
        let has_rows = matches!(
            first.as_str(),
            "select" | "with" | "values" | "table" | "insert" | "update" | "delete" | "merge"
        );
        if format != Format::Json || statements.len() != 1 || !has_rows {
            return Ok(Vec::new());
        }
        let statement = self.client.prepare(text).await?;
        Ok(statement.columns().iter().map(|column| column.type_().clone()).collect())
    }

    async fn copy_out(&self, statement: &str, outlet: &mut Outlet<'_>) -> Result<(), tokio_postgres::Error> {
        let mut data = pin!(self.client.copy_out(statement).await?);
        while let Some(piece) = data.next().await {
            // A reader that is gone, such as head, has seen enough.
            if !outlet.write(&piece?) {
                break;
            }
        }
        Ok(())
    }

    /// Runs COPY … TO STDOUT.
    pub(super) async fn copy_to(
        &self,
        statement: &str,
        outlet: &mut Outlet<'_>,
    ) -> Result<(), tokio_postgres::Error> {
        self.cancellable(self.copy_out(statement, outlet)).await
    }

    /// Runs COPY … FROM STDIN with all that can be read: how many rows went, or what went wrong with the reading.
    pub(super) async fn copy_from(
        &self,
        statement: &str,
        mut data: impl Read,
    ) -> Result<Result<u64, std::io::Error>, tokio_postgres::Error> {
        let copying = async {
            let mut sink = pin!(self.client.copy_in::<_, Bytes>(statement).await?);
            let mut buffer = vec![0; COPY_BYTES];
            loop {
                match data.read(&mut buffer) {
                    Ok(0) => return Ok(Ok(sink.finish().await?)),
                    Ok(length) => {
                        let piece = buffer.get(..length).unwrap_or_default();
                        sink.send(Bytes::copy_from_slice(piece)).await?;
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    // Dropped without its end, the copy fails, and does nothing.
                    Err(error) => return Ok(Err(error)),
                }
            }
        };
        self.cancellable(copying).await
    }

    /// The rows of a query of the shell's own, or of one whose values it keeps.
    pub(super) async fn query(&self, sql: &str) -> Result<(Vec<String>, Rows), tokio_postgres::Error> {
        let messages = self.cancellable(self.client.simple_query(sql)).await?;
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
