//! What is checked of each command.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use audit::Destination;
use cert::Role;

use super::certificates::{self, Expected};
use super::{Findings, files, listeners};
use crate::address::Address;
use crate::arguments::{Arguments, Command, Global};
use crate::command::node::Node;
use crate::failure::{Failure, chain};
use crate::history::History;
use crate::process::MemoryArguments;
use crate::security::{AccessArguments, PeerArguments, SecurityArguments};

pub(super) fn check(arguments: &Arguments, findings: &mut Findings) {
    global(&arguments.global, findings);
    match &arguments.command {
        Command::Demo(demo) => {
            let found = listeners::check(
                &[("--listen", Some(&demo.listen)), ("--http", demo.http.http.as_ref())],
                findings,
            );
            findings.refusal(demo.backups.places());
            own_clients(&demo.security, findings);
            sql("--listen", found.first(), &demo.security, &demo.access, findings);
            http(found.last(), &demo.security, Some(&demo.access), findings);
        }
        Command::StartSingle(start) => {
            let flags = [
                ("--listen", Some(&start.listen)),
                ("--objects", start.doors.objects.as_ref()),
                ("--kv", start.doors.kv.as_ref()),
                ("--graphql", start.doors.graphql.as_ref()),
                ("--http", start.http.http.as_ref()),
            ];
            let found = listeners::check(&flags, findings);
            doors(found.get(1..), &start.security, &start.access, findings);
            findings.refusal(start.backups.places());
            files::directory("--data", &start.data, findings);
            history(start.history, start.short_history, findings);
            temporary(&start.memory, findings);
            files::master_key(&start.encryption, findings);
            own_clients(&start.security, findings);
            sql("--listen", found.first(), &start.security, &start.access, findings);
            http(found.last(), &start.security, Some(&start.access), findings);
        }
        Command::Node(node) => storage_node(node, findings),
        Command::Gateway(gateway) => {
            let flags = [
                ("--listen", Some(&gateway.listen)),
                ("--objects", gateway.doors.objects.as_ref()),
                ("--kv", gateway.doors.kv.as_ref()),
                ("--graphql", gateway.doors.graphql.as_ref()),
                ("--http", gateway.http.http.as_ref()),
            ];
            let found = listeners::check(&flags, findings);
            doors(found.get(1..), &gateway.security, &gateway.access, findings);
            temporary(&gateway.memory, findings);
            listeners::seeds(&gateway.join, findings);
            findings.refusal(gateway.backups.places());
            match gateway.security.tls_ca {
                None => own_clients(&gateway.security, findings),
                Some(_) => peers(&gateway.security, &[Role::Gateway, Role::Node], Vec::new(), findings),
            }
            sql("--listen", found.first(), &gateway.security, &gateway.access, findings);
            http(found.last(), &gateway.security, Some(&gateway.access), findings);
        }
        Command::Init(init) => {
            asking(&init.host, &init.security, findings);
            history(init.history, init.short_history, findings);
        }
        Command::Admin(admin) => asking(&admin.host, &admin.security, findings),
        Command::Sql(sql) => {
            if let Err(error) = sql.url.parse::<tokio_postgres::Config>() {
                findings.error("--url", chain(&error), "write it as postgresql://USER@HOST:PORT/DATABASE");
            }
            let files = (sql.tls.tls_cert.as_ref(), sql.tls.tls_key.as_ref(), sql.tls.tls_ca.as_ref());
            let before = findings.errors();
            certificates::check(files, &Expected { roles: &[Role::Client], ..Expected::default() }, findings);
            findings.refusal_unless_found(before, sql.tls.connector().map(drop));
            if let Some(path) = sql.file.as_ref().filter(|path| path.as_os_str() != "-") {
                files::readable("--file", path, findings);
            }
            if let Some(output) = sql.output.as_ref().filter(|output| !output.starts_with('|')) {
                files::appendable("--output", Path::new(output), findings);
            }
        }
        Command::Kv(kv) => {
            listeners::reachable("--host", &kv.host, findings);
            let files = (kv.tls_cert.as_ref(), kv.tls_key.as_ref(), kv.tls_ca.as_ref());
            certificates::check(files, &Expected { roles: &[Role::Client], ..Expected::default() }, findings);
        }
        Command::Lsm(lsm) => {
            if let Some(data) = &lsm.data {
                files::present_directory(data, findings);
            }
            files::master_key(&lsm.encryption, findings);
        }
        Command::Backup(_)
        | Command::Drift(_)
        | Command::Cert(_)
        | Command::GenPasswordHash(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::CheckConfig(_) => {}
    }
}

fn global(global: &Global, findings: &mut Findings) {
    if let Some(directives) = &global.log {
        findings.refusal(crate::logging::filter(directives).map(drop));
    }
    if let Some(endpoint) = &global.trace_endpoint {
        findings.refusal(crate::traces::check(endpoint));
    }
    if let Some(named) = &global.audit_log
        && let Destination::File(path) = crate::auditing::destination(named)
    {
        files::appendable("--audit-log", &path, findings);
        if cert::others_can_read(&path).unwrap_or(false) {
            let place = format!("--audit-log {}", path.display());
            findings.warning(place, "others can read it", format!("chmod 600 {}", path.display()));
        }
    }
}

fn storage_node(node: &Node, findings: &mut Findings) {
    let flags = [
        ("--listen", Some(&node.listen)),
        ("--http", node.http.http.as_ref()),
        ("--sql", node.sql.as_ref()),
        ("--objects", node.doors.objects.as_ref()),
        ("--kv", node.doors.kv.as_ref()),
        ("--graphql", node.doors.graphql.as_ref()),
    ];
    let found = listeners::check(&flags, findings);
    findings.refusal(node.check_doors());
    doors(found.get(3..), &node.security, &node.access, findings);
    let [listen, http_at, sql_at] = [0, 1, 2].map(|place| found.get(place).copied().flatten());
    let advertised = findings.refusal(node.advertised());
    if let Some(advertised) = advertised {
        listeners::advertised(advertised, &node.join, findings);
    }
    listeners::seeds(&node.join, findings);
    findings.refusal(node.backups.places());
    files::directory("--data", &node.data, findings);
    if node.sql.is_some() {
        temporary(&node.memory, findings);
    }
    files::master_key(&node.encryption, findings);
    let hosts = advertised.map(|address| address.host().to_owned()).into_iter().collect();
    match node.security.tls_ca {
        None => own_clients(&node.security, findings),
        Some(_) => peers(&node.security, &[Role::Node], hosts, findings),
    }
    if let Some(listen) = listen {
        findings.refusal(node.security.check_node("--listen", listen));
        if node.security.insecure && !listen.ip().is_loopback() && node.security.tls_ca.is_none() {
            let what = format!("whoever reaches --listen {listen} can read and write everything");
            findings.warning(
                "--insecure",
                what,
                "give --tls-cert, --tls-key and --tls-ca where others reach the address",
            );
        }
    }
    if node.sql.is_some() {
        sql("--sql", sql_at.as_ref().map(|_| &sql_at), &node.security, &node.access, findings);
    }
    http(Some(&http_at), &node.security, node.sql.is_some().then_some(&node.access), findings);
}

/// Certificates that clients alone are shown.
fn own_clients(security: &SecurityArguments, findings: &mut Findings) {
    let expected = Expected { is_server: true, ..Expected::default() };
    certificates::check(paths(security), &expected, findings);
}

/// Certificates that processes show each other: other roles may do nothing, and other authorities are not believed.
fn peers(security: &SecurityArguments, roles: &[Role], hosts: Vec<String>, findings: &mut Findings) {
    let before = findings.errors();
    let expected = Expected { roles, hosts, is_server: true, is_peer: true };
    certificates::check(paths(security), &expected, findings);
    findings.refusal_unless_found(before, security.for_nodes());
}

type Paths<'a> = (Option<&'a PathBuf>, Option<&'a PathBuf>, Option<&'a PathBuf>);

fn paths(security: &SecurityArguments) -> Paths<'_> {
    (security.tls_cert.as_ref(), security.tls_key.as_ref(), security.tls_ca.as_ref())
}

/// A command that asks nodes.
fn asking(host: &Address, security: &PeerArguments, findings: &mut Findings) {
    listeners::reachable("--host", host, findings);
    let paths = (security.tls_cert.as_ref(), security.tls_key.as_ref(), security.tls_ca.as_ref());
    let roles = [Role::Node, Role::Gateway];
    let expected = Expected { roles: &roles, is_peer: true, ..Expected::default() };
    let before = findings.errors();
    certificates::check(paths, &expected, findings);
    findings.refusal_unless_found(before, security.for_nodes());
}

/// How long history is to be kept.
fn history(history: Option<History>, short: bool, findings: &mut Findings) {
    if let Some(history) = history.filter(|history| history.is_short() && !short) {
        let what = "history is kept for at least 60 seconds, or for ever";
        findings.error(format!("--history {history}"), what, "give 1min or more, or forever");
    }
}

/// Where rows go that do not fit into memory.
fn temporary(memory: &MemoryArguments, findings: &mut Findings) {
    if let Some(folder) = memory.temp.as_ref().filter(|_| memory.temp_max > 0) {
        files::directory("--temp", folder, findings);
    }
}

/// A listener of SQL; `found`: where, if that can be told.
fn sql(
    flag: &str,
    found: Option<&Option<SocketAddr>>,
    security: &SecurityArguments,
    access: &AccessArguments,
    findings: &mut Findings,
) {
    let before = findings.errors();
    if let Some(path) = &access.hba {
        for error in gateway::AccessRules::wrong_lines(path) {
            findings.error("--hba", chain(&error), "");
        }
        // What is wrong is told line by line.
        if let Ok(rules) = gateway::AccessRules::load(path.clone()) {
            for line in rules.never_met(security.tls_cert.is_some(), security.tls_ca.is_some()) {
                findings.warning(
                    format!("--hba {}: line {line}", path.display()),
                    "nobody can satisfy this rule: it takes TLS or a client's certificate",
                    "give --tls-cert, --tls-key and --tls-ca, or take it out",
                );
            }
            for line in rules.name_one_superuser() {
                findings.warning(
                    format!("--hba {}: line {line}", path.display()),
                    "it names one of the superusers postgres and nunatak: the other is not bound by it",
                    "name both, or drop the role nunatak",
                );
            }
        }
    }
    if let Some(Some(address)) = found {
        let outcome: Result<_, Failure> = security.for_sql(flag, *address, access);
        findings.refusal_unless_found(before, outcome.map(drop));
        if security.insecure && !address.ip().is_loopback() {
            findings.warning(
                "--insecure",
                format!("whoever reaches {flag} {address} may be believed, or overheard"),
                "leave it out where others reach the address",
            );
        }
    }
}

/// The doors beside SQL, at the first three places.
fn doors(
    found: Option<&[Option<SocketAddr>]>,
    security: &SecurityArguments,
    access: &AccessArguments,
    findings: &mut Findings,
) {
    for (flag, found) in ["--objects", "--kv", "--graphql"].into_iter().zip(found.unwrap_or_default()) {
        if let Some(address) = found {
            findings.refusal(security.for_sql(flag, *address, access).map(drop));
        }
    }
}

/// The listener of HTTP; `access`: that of SQL, if it serves GraphQL, too.
fn http(
    found: Option<&Option<SocketAddr>>,
    security: &SecurityArguments,
    access: Option<&AccessArguments>,
    findings: &mut Findings,
) {
    if let Some(Some(address)) = found {
        let before = findings.errors();
        findings.refusal(security.check_http(*address));
        if let Some(access) = access {
            findings.refusal_unless_found(before, security.for_sql("--http", *address, access).map(drop));
        }
    }
}
