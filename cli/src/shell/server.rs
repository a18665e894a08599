//! Where the shell connects, and as whom.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio_postgres::Config;
use tokio_postgres::config::Host;
use zeroize::Zeroizing;

use super::tls::Tls;
use crate::failure::{Failure, chain};

/// A role, and the password that a person has said is its.
pub(crate) type Said = Arc<Mutex<Option<(String, Zeroizing<String>)>>>;

/// Where to connect, and how.
#[derive(Clone, Default)]
pub(crate) struct Server {
    /// A PostgreSQL URL.
    pub(crate) url: String,
    /// TLS, if it is to be spoken.
    pub(crate) tls: Option<Tls>,
    /// What goes before the URL.
    pub(crate) instead: Target,
    /// Whoever connects again does not ask again.
    pub(crate) said: Said,
}

/// Parts of where to connect, each as given or as the URL has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// The host's name or address, or a directory with a socket.
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) user: Option<String>,
    pub(crate) database: Option<String>,
}

impl Server {
    /// The URL for messages: without its password.
    pub(super) fn shown(&self) -> String {
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

    /// The place for messages: the host and port where they are known.
    pub(super) fn place(config: &Config) -> String {
        let host = match config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        };
        format!("{host}:{}", config.get_ports().first().copied().unwrap_or(5432))
    }

    /// What the client library takes.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        let parsed: Config = self.url.parse().map_err(|error| {
            Failure::usage(format!("'{}' is no PostgreSQL URL: {}", self.shown(), chain(&error)))
        })?;
        let mut config = self.placed(parsed);
        if let Some(user) = &self.instead.user {
            config.user(user);
        }
        if let Some(database) = &self.instead.database {
            config.dbname(database);
        }
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
        if config.get_password().is_none()
            && let Some((user, password)) = self.said.lock().as_ref()
            && config.get_user() == Some(user.as_str())
        {
            config.password(password.as_bytes());
        }
        Ok(config)
    }

    /// The same at another host or port; the library only adds hosts to a configuration.
    fn placed(&self, parsed: Config) -> Config {
        let Target { host, port, .. } = &self.instead;
        if host.is_none() && port.is_none() {
            return parsed;
        }
        let mut config = Config::new();
        match (host, parsed.get_hosts().first()) {
            (Some(host), _) => config.host(host),
            (None, Some(Host::Tcp(host))) => config.host(host),
            #[cfg(unix)]
            (None, Some(Host::Unix(path))) => config.host_path(path),
            (None, None) => config.host("127.0.0.1"),
        };
        config.port(port.or_else(|| parsed.get_ports().first().copied()).unwrap_or(5433));
        if let Some(user) = parsed.get_user() {
            config.user(user);
        }
        if let Some(password) = parsed.get_password() {
            config.password(password);
        }
        if let Some(database) = parsed.get_dbname() {
            config.dbname(database);
        }
        if let Some(options) = parsed.get_options() {
            config.options(options);
        }
        if let Some(name) = parsed.get_application_name() {
            config.application_name(name);
        }
        if let Some(timeout) = parsed.get_connect_timeout() {
            config.connect_timeout(*timeout);
        }
        config.ssl_mode(parsed.get_ssl_mode()).channel_binding(parsed.get_channel_binding());
        config
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_go_before_the_url() {
        let url = "postgresql://ann:secret@db.example:5433/one?application_name=x".to_owned();
        let mut server = Server { url, ..Server::default() };
        assert_eq!(server.shown(), "postgresql://ann@db.example:5433/one");
        server.instead = Target {
            port: Some(7),
            user: Some("bob".to_owned()),
            database: Some("two".to_owned()),
            host: None,
        };
        let config = server.config().unwrap();
        assert_eq!((config.get_user(), config.get_dbname()), (Some("bob"), Some("two")));
        assert_eq!(config.get_hosts(), [Host::Tcp("db.example".to_owned())]);
        assert_eq!((config.get_ports(), config.get_application_name()), (&[7][..], Some("x")));
        assert_eq!(config.get_password(), Some(&b"secret"[..]));
    }
}
