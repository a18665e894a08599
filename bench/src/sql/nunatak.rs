//! Nunatak under measurement: one durable node; three nodes behind two gateways, each a process; three nodes that serve
//! SQL themselves, asked at the one that leads.

use std::path::Path;
use std::process::Command;

use super::{DiskWork, Part, Server};
use crate::cluster::{Nodes, address, disk_work};
use crate::failure::Result;
use crate::process::{Process, await_sql, free_port, query};

/// `nunatak start-single`.
pub(crate) struct Single {
    port: u16,
    http: u16,
    process: Process,
}

impl Single {
    pub(crate) fn start(binary: &Path, folder: &Path) -> Result<Self> {
        Self::start_with(binary, folder, &[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(binary: &Path, folder: &Path, more: &[String]) -> Result<Self> {
        let (port, http) = (free_port()?, free_port()?);
        let process = Process::start(
            Command::new(binary)
                .args(["start-single", "--listen", &address(port), "--http", &address(http), "--data"])
                .arg(folder.join("single"))
                .args(more),
            &folder.join("single.log"),
        )?;
        await_sql("nunatak start-single", port)?;
        Ok(Self { port, http, process })
    }
}

impl Server for Single {
    fn name(&self) -> &'static str {
        "nunatak-1"
    }

    fn ports(&self) -> Result<Vec<u16>> {
        Ok(vec![self.port])
    }

    fn processes(&self) -> Vec<(Part, u32)> {
        vec![(Part::Storage, self.process.id())]
    }

    fn disk_work(&self) -> Result<DiskWork> {
        disk_work(&[self.http])
    }
}

/// Three `nunatak node` processes and two `nunatak gateway` processes.
pub(crate) struct Cluster {
    nodes: Nodes,
    ports: Vec<u16>,
    gateways: Vec<Process>,
}

impl Cluster {
    pub(crate) fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let nodes = Nodes::start(binary, &folder.join("nodes"), &[])?;
        let (mut ports, mut gateways) = (Vec::new(), Vec::new());
        for number in 0..2 {
            let port = free_port()?;
            gateways.push(Process::start(
                Command::new(binary)
                    .args(["gateway", "--listen", &address(port), "--http", &address(free_port()?)])
                    .args(["--join", &nodes.join()]),
                &folder.join(format!("gateway{number}.log")),
            )?);
            ports.push(port);
        }
        for port in &ports {
            await_sql("a gateway", *port)?;
        }
        nodes.await_replicas()?;
        Ok(Self { nodes, ports, gateways })
    }
}

impl Server for Cluster {
    fn name(&self) -> &'static str {
        "nunatak-3"
    }

    fn ports(&self) -> Result<Vec<u16>> {
        Ok(self.ports.clone())
    }

    fn processes(&self) -> Vec<(Part, u32)> {
        let nodes = self.nodes.ids().into_iter().map(|id| (Part::Storage, id));
        nodes.chain(self.gateways.iter().map(|gateway| (Part::Gateway, gateway.id()))).collect()
    }

    fn disk_work(&self) -> Result<DiskWork> {
        self.nodes.disk_work()
    }
}

/// Three `nunatak node --sql` processes.
pub(crate) struct SqlNodes {
    nodes: Nodes,
    ports: Vec<u16>,
}

impl SqlNodes {
    pub(crate) fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let ports = vec![free_port()?, free_port()?, free_port()?];
        let nodes = Nodes::start(binary, &folder.join("sql-nodes"), &ports)?;
        for port in &ports {
            await_sql("a node's SQL", *port)?;
        }
        nodes.await_replicas()?;
        Ok(Self { nodes, ports })
    }
}

impl Server for SqlNodes {
    fn name(&self) -> &'static str {
        "nunatak-3-sql"
    }

    /// The one of the node that leads the data now.
    fn ports(&self) -> Result<Vec<u16>> {
        let leader = self.nodes.leader()?;
        let port = self.ports.get(leader).copied().into_iter().collect::<Vec<_>>();
        for port in &port {
            query(*port, "select 1")?;
        }
        Ok(port)
    }

    fn processes(&self) -> Vec<(Part, u32)> {
        self.nodes.ids().into_iter().map(|id| (Part::Storage, id)).collect()
    }

    fn disk_work(&self) -> Result<DiskWork> {
        self.nodes.disk_work()
    }
}
