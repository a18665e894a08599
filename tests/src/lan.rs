//! A network of hosts on one machine: each host a network namespace with an address of its own, all on one bridge.
//!
//! ```text
//!            bridge 10.66.0.254 (its namespace is where the test's own connections come from)
//!      ┌──────────┬──────────┬─────────┐
//!   10.66.0.1  10.66.0.2  10.66.0.3  10.66.0.11 …
//! ```
//!
//! What a host does not want to hear is dropped at its door, so that every direction of every pair can be cut by
//! itself, without anybody being told. The kernel takes all of it away with the processes that hold the namespaces.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The bridge's own address, and so that of the test's connections.
pub const OUTSIDE: &str = "10.66.0.254";

/// A process that does nothing but hold a namespace.
struct Holder(Child);

impl Holder {
    fn start() -> Option<Self> {
        let child = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up && echo up && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut holder = Self(child.ok()?);
        let mut line = String::new();
        BufReader::new(holder.0.stdout.take()?).read_line(&mut line).ok()?;
        (line.trim() == "up").then_some(holder)
    }

    fn enter(&self) -> Vec<String> {
        let target = self.0.id().to_string();
        ["nsenter", "--net", "--target", &target].map(str::to_owned).to_vec()
    }

    /// Runs a command inside.
    fn run(&self, command: &str) -> Result<(), String> {
        let enter = self.enter();
        let ran = Command::new(&enter[0])
            .args(&enter[1..])
            .args(command.split(' '))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut ran = ran.map_err(|error| format!("{command}: {error}"))?;
        let mut complaint = String::new();
        if let Some(mut out) = ran.stderr.take() {
            let _ = out.read_to_string(&mut complaint);
        }
        let status = ran.wait().map_err(|error| format!("{command}: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("{command}: {}", complaint.trim())) }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One host.
pub struct Host {
    holder: Holder,
    /// Its address.
    pub address: String,
}

impl Host {
    /// What makes a program run on this host: a program and its arguments, to stand before it.
    pub fn enter(&self) -> Vec<String> {
        self.holder.enter()
    }

    /// Drops whatever comes from this address from now on.
    pub fn refuse(&self, address: &str) {
        self.run(&format!("nft add rule inet cut input ip saddr {address} drop"));
    }

    /// Hears everybody again.
    pub fn heal(&self) {
        self.run("nft flush chain inet cut input");
    }

    /// Sends at most so many megabits a second from now on.
    pub fn limit(&self, megabits: u32) {
        self.run(&format!("tc qdisc replace dev eth0 root tbf rate {megabits}mbit burst 64kb latency 400ms"));
    }

    fn run(&self, command: &str) {
        self.holder.run(command).unwrap_or_else(|why| panic!("on {}: {why}", self.address));
    }
}

/// Hosts on a bridge.
pub struct Lan {
    bridge: Holder,
}

impl Lan {
    /// An empty network; says 'skipped' aloud where the system does not allow one.
    pub fn new() -> Option<Self> {
        let Some(bridge) = Holder::start() else {
            println!("skipped: no network namespace of one's own can be made here");
            return None;
        };
        for command in [
            "ip link add br0 type bridge".to_owned(),
            "ip link set br0 up".to_owned(),
            format!("ip addr add {OUTSIDE}/24 dev br0"),
            "nft --version".to_owned(),
        ] {
            if let Err(why) = bridge.run(&command) {
                println!("skipped: {why}");
                return None;
            }
        }
        Some(Self { bridge })
    }

    /// Adds the host 10.66.0.`number`.
    pub fn host(&self, number: u8) -> Host {
        let holder = Holder::start().expect("a namespace");
        let address = format!("10.66.0.{number}");
        let id = holder.0.id();
        let wire = [
            format!("ip link add v{number} type veth peer name eth0 netns {id}"),
            format!("ip link set v{number} master br0 up"),
        ];
        wire.iter().for_each(|command| self.bridge.run(command).expect("a wire to the bridge"));
        let host = Host { holder, address };
        host.run(&format!("ip addr add {}/24 dev eth0", host.address));
        host.run("ip link set eth0 up");
        host.run("nft add table inet cut");
        host.run("nft add chain inet cut input { type filter hook input priority 0 ; }");
        host
    }

    /// What a thread calls to stand at the bridge from then on: its connections come from [`OUTSIDE`].
    pub fn door(&self) -> impl Fn() + Send + Sync + 'static {
        let namespace =
            File::open(format!("/proc/{}/ns/net", self.bridge.0.id())).expect("the bridge's namespace");
        move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                .expect("the bridge's namespace can be entered");
        }
    }

    /// What makes a program run at the bridge.
    pub fn enter(&self) -> Vec<String> {
        self.bridge.enter()
    }
}
