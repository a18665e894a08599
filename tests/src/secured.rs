//! One node that asks who comes: TLS, passwords, certificates, by rules of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::processes::{Process, binary, free_address, output};

/// A server whose rules take passwords and certificates.
pub struct Secured {
    /// Its process.
    pub process: Process,
    /// Where it serves SQL.
    pub address: String,
    /// Where its object protocol is.
    pub objects: String,
    /// Where its key-value service is.
    pub kv: String,
    /// Where its GraphQL is.
    pub graphql: String,
    /// Where its pages are, and its GraphQL, too.
    pub http: String,
    /// Where its certificates are, and those of the clients `certified` and `other`.
    pub certs: PathBuf,
    /// Where everything of it is: `hba.conf`, `audit`, `log`.
    pub folder: tempfile::TempDir,
}

const RULES: &str = "\
# who comes how
hostssl   all  certified        all           cert
hostssl   all  all              all           scram-sha-256
hostnossl all  postgres         127.0.0.1/32  trust
hostnossl all  plain,limited 127.0.0.1/32  scram-sha-256
";

impl Secured {
    /// Starts it, and waits until it answers.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let certs = folder.path().join("certs");
        let hba = folder.path().join("hba.conf");
        std::fs::write(&hba, RULES).expect("a file");
        nunatak(&["cert", "create-ca", "--dir", text(&certs)]);
        nunatak(&["cert", "create-gateway", "localhost", "127.0.0.1", "--dir", text(&certs)]);
        for role in ["certified", "other"] {
            nunatak(&["cert", "create-client", role, "--dir", text(&certs)]);
        }
        let (address, objects, kv) = (free_address(), free_address(), free_address());
        let (graphql, http) = (free_address(), free_address());
        let file = |name: &str| text(&certs.join(name)).to_owned();
        let process = Process::start(
            &[
                "start-single",
                "--data",
                text(&folder.path().join("data")),
                "--listen",
                &address,
                "--http",
                &http,
                "--objects",
                &objects,
                "--kv",
                &kv,
                "--graphql",
                &graphql,
                "--tls-cert",
                &file("gateway.crt"),
                "--tls-key",
                &file("gateway.key"),
                "--tls-ca",
                &file("ca.crt"),
                "--hba",
                text(&hba),
                "--audit-log",
                text(&folder.path().join("audit")),
            ],
            &folder.path().join("log"),
        );
        let server = Self { process, address, objects, kv, graphql, http, certs, folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        while server.admin("select 1").is_err() {
            assert!(Instant::now() < deadline, "no answer:\n{}", server.process.log());
            std::thread::sleep(Duration::from_millis(100));
        }
        server
    }

    /// Its port.
    pub fn port(&self) -> &str {
        self.address.rsplit_once(':').expect("host:port").1
    }

    /// psql with parameters of a connection, and what it printed or complained of.
    pub fn psql(&self, parameters: &str, password: Option<&str>, sql: &str) -> Result<String, String> {
        let root = self.certs.join("ca.crt");
        let connection = format!(
            "host=localhost hostaddr=127.0.0.1 port={} dbname=postgres sslrootcert={} {parameters}",
            self.port(),
            text(&root)
        );
        let mut command = Command::new("psql");
        command.args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-c", sql, &connection]);
        command.env("PGCONNECT_TIMEOUT", "20").env_remove("PGPASSWORD");
        if let Some(password) = password {
            command.env("PGPASSWORD", password);
        }
        output(&mut command)
    }

    /// The same as a superuser, who is believed.
    pub fn admin(&self, sql: &str) -> Result<String, String> {
        self.psql("user=postgres sslmode=disable", None, sql)
    }

    /// The same, which must go well.
    pub fn run(&self, sql: &str) -> String {
        self.admin(sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

/// A path as text.
pub fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// Runs the binary.
pub fn run(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).stdin(Stdio::null()).output().expect("the binary runs")
}

/// Runs the binary, which must end well.
pub fn nunatak(arguments: &[&str]) {
    let out = run(arguments);
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
}
