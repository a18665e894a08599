//! `nunatak cert`: the authority of a cluster, and the certificates that it signs.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use cert::{Authority, Identity, Issued, Role};
use clap::{Args, Subcommand};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use super::admin::OutputFormat;
use crate::failure::{Failure, chain};
use crate::output::{out, outln};
use crate::table::{Alignment, Table};

const AUTHORITY: &str = "ca";

/// Make certificates for TLS.
///
/// One authority signs the certificates of a cluster: `create-ca` once, then one certificate for each node, gateway and
/// client. Keep ca.key away from them all: whoever has it can become any of them.
#[derive(Debug, Args)]
pub(crate) struct Cert {
    /// Where certificates and keys are
    #[arg(long, env = "NUNATAK_CERTS", value_name = "DIR", default_value = "certs", global = true)]
    pub(crate) dir: PathBuf,

    #[command(subcommand)]
    pub(crate) action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Make a new authority: ca.crt and ca.key
    CreateCa {
        /// How long it holds, in days
        #[arg(long, value_name = "DAYS", default_value_t = 3650)]
        days: u32,
    },
    /// Make a node's certificate: node.crt and node.key
    CreateNode(ServerCertificate),
    /// Make a gateway's certificate: gateway.crt and gateway.key
    CreateGateway(ServerCertificate),
    /// Make the certificate of an SQL role: client.ROLE.crt and client.ROLE.key
    CreateClient {
        /// The SQL role that its owner may log in as
        role: String,

        /// How long it holds, in days
        #[arg(long, value_name = "DAYS", default_value_t = 365)]
        days: u32,
    },
    /// List the certificates
    List {
        /// How the list is printed
        #[arg(long, env = "NUNATAK_FORMAT", value_name = "FORMAT", default_value = "table")]
        format: OutputFormat,
    },
}

/// The certificate of a node or a gateway.
#[derive(Debug, Args)]
pub(crate) struct ServerCertificate {
    /// The names and addresses that others reach it by
    #[arg(required = true, value_name = "HOST")]
    hosts: Vec<String>,

    /// How long it holds, in days
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    days: u32,
}

impl Cert {
    /// Makes or lists certificates.
    pub(crate) fn run(self) -> Result<(), Failure> {
        let now = now();
        match self.action {
            Action::CreateCa { days } => {
                std::fs::create_dir_all(&self.dir).map_err(|error| cannot_write(&self.dir, &error))?;
                let issued = Authority::create(now, days).map_err(|error| Failure::failed(chain(&error)))?;
                write(&self.dir, AUTHORITY, &issued)
            }
            Action::CreateNode(server) => issue_server(&self.dir, Role::Node, &server, now),
            Action::CreateGateway(server) => issue_server(&self.dir, Role::Gateway, &server, now),
            Action::CreateClient { role, days } => {
                if role.is_empty() || role.contains(['/', '\0']) || role.starts_with('.') {
                    return Err(Failure::usage(format!("'{role}' cannot be part of a file's name")));
                }
                let issued = authority(&self.dir)?.issue(Role::Client, &role, &[], now, days);
                let issued = issued.map_err(|error| Failure::usage(chain(&error)))?;
                write(&self.dir, &format!("client.{role}"), &issued)
            }
            Action::List { format } => list(&self.dir, now, format),
        }
    }
}

fn now() -> i64 {
    i64::try_from(env::clock::wall_ms() / 1000).unwrap_or(i64::MAX)
}

fn authority(dir: &Path) -> Result<Authority, Failure> {
    let read = |ending: &str| {
        let path = dir.join(format!("{AUTHORITY}.{ending}"));
        std::fs::read_to_string(&path).map_err(|error| {
            Failure::usage(format!(
                "cannot read {}: {error}; make it by nunatak cert create-ca",
                path.display()
            ))
        })
    };
    Authority::open(&read("crt")?, &read("key")?).map_err(|error| Failure::usage(chain(&error)))
}

fn issue_server(dir: &Path, role: Role, server: &ServerCertificate, now: i64) -> Result<(), Failure> {
    let name = server.hosts.first().map_or("", String::as_str);
    let issued = authority(dir)?.issue(role, name, &server.hosts, now, server.days);
    write(dir, role.name(), &issued.map_err(|error| Failure::usage(chain(&error)))?)
}

/// Writes both files anew: neither may be there, for whoever uses it would be cut off.
fn write(dir: &Path, name: &str, issued: &Issued) -> Result<(), Failure> {
    let (certificate, key) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    for path in [&certificate, &key] {
        if path.exists() {
            return Err(Failure::usage(format!("{} is there already; move it away first", path.display())));
        }
    }
    write_file(&key, issued.key.as_bytes(), 0o600)?;
    write_file(&certificate, issued.certificate.as_bytes(), 0o644)?;
    outln!("{}  {}", certificate.display(), key.display());
    Ok(())
}

fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Failure> {
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot write {}: {error}", path.display()))
}

fn list(dir: &Path, now: i64, format: OutputFormat) -> Result<(), Failure> {
    let unreadable =
        |error: std::io::Error| Failure::usage(format!("cannot read {}: {error}", dir.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|ending| ending == "crt") {
            paths.push(path);
        }
    }
    paths.sort();
    let left = ["file", "for", "name", "hosts", "expires"].map(|name| (name, Alignment::Left));
    let mut table = Table::new(&[left.as_slice(), &[("days left", Alignment::Right)]].concat());
    let mut list = Vec::new();
    for path in paths {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // One that is no text, or may not be read, hides none of the others.
        let text = std::fs::read_to_string(&path).ok();
        let der = text.and_then(|text| CertificateDer::from_pem_slice(text.as_bytes()).ok());
        let Some(identity) = der.and_then(|der| Identity::of(&der).ok()) else {
            list.push(json!({ "file": file, "readable": false }));
            table.row([file, "unreadable".to_owned()]);
            continue;
        };
        let role = match identity.role {
            _ if identity.is_authority => Some("authority".to_owned()),
            role => role.map(|role| role.to_string()),
        };
        let left = identity.not_after.saturating_sub(now).div_euclid(86400);
        list.push(json!({
            "file": file, "readable": true, "for": role, "name": identity.common_name, "hosts": identity.hosts,
            "not_before_s": identity.not_before, "not_after_s": identity.not_after, "days_left": left,
        }));
        table.row([
            file,
            role.unwrap_or_default(),
            identity.common_name.unwrap_or_default(),
            identity.hosts.join(" "),
            identity.expires,
            left.to_string(),
        ]);
    }
    match format {
        OutputFormat::Table => out!("{table}"),
        OutputFormat::Json => outln!("{:#}", Value::Array(list)),
    }
    Ok(())
}
