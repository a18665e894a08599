//! A PostgreSQL 15 of the test's own, on a directory that vanishes with it: what answers are compared with.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::processes::free_address;

const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
const READY_MAX: Duration = Duration::from_secs(60);

/// The server. It ends when it is dropped.
pub struct Postgres {
    child: Child,
    port: String,
    _directory: tempfile::TempDir,
}

impl Postgres {
    /// Starts one; `None`, said aloud, where PostgreSQL 15 is not installed.
    pub async fn start() -> Option<Self> {
        let programs = PathBuf::from(PROGRAMS);
        if !programs.join("initdb").exists() {
            println!("skipped: PostgreSQL 15 is not installed");
            return None;
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let data = directory.path().join("data");
        std::fs::create_dir(&data).expect("a directory");
        if let Some((user, group)) = other_user() {
            std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755))
                .expect("its mode");
            chown(&data, Some(user), Some(group)).expect("its owner");
        }
        let made = as_its_user(&programs.join("initdb"))
            .args(["-A", "trust", "-U", "postgres", "--locale=C", "-E", "UTF8", "--no-sync", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("initdb runs").success(), "initdb");
        let address = free_address();
        let port = address.rsplit(':').next().expect("a port").to_owned();
        let child = as_its_user(&programs.join("postgres"))
            .args(["-h", "127.0.0.1", "-p", &port, "-k", "", "-c", "fsync=off", "-c", "autovacuum=off", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("postgres runs");
        let server = Self { child, port, _directory: directory };
        let began = Instant::now();
        while tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.is_err() {
            assert!(began.elapsed() < READY_MAX, "PostgreSQL does not come up");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Some(server)
    }

    /// How `tokio_postgres` connects to it.
    pub fn url(&self) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname=postgres", self.port)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The user and group as whom its programs run where this is root: they refuse to be root.
fn other_user() -> Option<(u32, u32)> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = users.lines().find(|line| line.starts_with("postgres:"))?;
    let mut fields = line.split(':').skip(2).map(|field| field.parse().ok());
    is_root.then(|| Some((fields.next()??, fields.next()??)))?
}

fn as_its_user(program: &Path) -> Command {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(program);
    if let Some((user, group)) = other_user() {
        command.uid(user).gid(group);
    }
    command.current_dir("/");
    command
}
