//! PostgreSQL 15 under measurement, alone or with two standbys of which any one must confirm each commit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{DiskWork, Part, Server};
use crate::failure::{Failure, Result};
use crate::process::{Process, await_sql, free_port, output, query};

const HOME: &str = "/usr/lib/postgresql/15/bin";

/// Whether commits wait for standbys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standbys {
    /// There are none.
    None,
    /// Two, `synchronous_standby_names = 'ANY 1 (…)'`.
    TwoSynchronous,
}

/// Where PostgreSQL 15's programs are, if they are installed.
pub(crate) fn programs() -> Option<PathBuf> {
    let home = PathBuf::from(HOME);
    home.join("initdb").exists().then_some(home)
}

/// PostgreSQL refuses to run as root: its programs run as the user `postgres` there.
fn as_its_user(program: &Path) -> Command {
    let root = fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    if root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// A primary with its standbys.
pub(crate) struct Postgres {
    name: &'static str,
    port: u16,
    processes: Vec<Process>,
}

impl Postgres {
    pub(crate) fn start(programs: &Path, folder: &Path, standbys: Standbys) -> Result<Self> {
        Self::start_with(programs, folder, standbys, &[])
    }

    /// The same with settings of the primary.
    pub(crate) fn start_with(
        programs: &Path,
        folder: &Path,
        standbys: Standbys,
        settings: &[String],
    ) -> Result<Self> {
        let name = match standbys {
            Standbys::None => "postgres",
            Standbys::TwoSynchronous => "postgres-sync",
        };
        let home = folder.join(name);
        let file = |source| Failure::File { path: home.clone(), source };
        fs::create_dir(&home).map_err(file)?;
        output(Command::new("chmod").arg("755").arg(folder))?;
        output(Command::new("chown").arg("postgres").arg(&home)).or_else(|_| Ok(String::new()))?;
        let primary = home.join("primary");
        output(
            as_its_user(&programs.join("initdb"))
                .args(["-A", "trust", "-U", "postgres", "--locale=C", "-E", "UTF8", "-D"])
                .arg(&primary),
        )?;
        let port = free_port()?;
        let mut processes = vec![Self::serve(programs, &primary, port, &home, settings)?];
        await_sql(name, port)?;
        if standbys == Standbys::TwoSynchronous {
            for standby in ["s1", "s2"] {
                let data = home.join(standby);
                let connection =
                    format!("host=127.0.0.1 port={port} user=postgres application_name={standby}");
                output(
                    as_its_user(&programs.join("pg_basebackup"))
                        .args(["-R", "-d", &connection, "-D"])
                        .arg(&data),
                )?;
                processes.push(Self::serve(programs, &data, free_port()?, &home, &[])?);
            }
            query(port, "alter system set synchronous_standby_names = 'ANY 1 (s1, s2)'")?;
            query(port, "select pg_reload_conf()")?;
        }
        Ok(Self { name, port, processes })
    }

    fn serve(programs: &Path, data: &Path, port: u16, home: &Path, settings: &[String]) -> Result<Process> {
        let log = home.join(format!("{port}.log"));
        Process::start(
            as_its_user(&programs.join("postgres"))
                .args([
                    "-h",
                    "127.0.0.1",
                    "-p",
                    &port.to_string(),
                    "-c",
                    "fsync=on",
                    "-c",
                    "synchronous_commit=on",
                ])
                .args(["-c", "shared_buffers=512MB", "-c", "max_connections=600", "-k", "", "-D"])
                .arg(data)
                .args(settings.iter().flat_map(|setting| ["-c", setting.as_str()])),
            &log,
        )
    }
}

impl Server for Postgres {
    fn name(&self) -> &'static str {
        self.name
    }

    fn ports(&self) -> Result<Vec<u16>> {
        Ok(vec![self.port])
    }

    fn processes(&self) -> Vec<(Part, u32)> {
        self.processes.iter().map(|process| (Part::Storage, process.id())).collect()
    }

    /// Of the primary's write-ahead log alone; what checkpoints write comes on top.
    fn disk_work(&self) -> Result<DiskWork> {
        let answer = query(self.port, "select wal_sync, wal_bytes from pg_stat_wal")?;
        let mut numbers = answer.split('|').filter_map(|number| number.parse().ok());
        Ok(DiskWork { fsyncs: numbers.next().unwrap_or(0.0), bytes_written: numbers.next().unwrap_or(0.0) })
    }
}
