//! The doors that a gateway has beside PostgreSQL's: where they are, and what keeps them safe.

use clap::Args;
use gateway::Gateway;
use tokio::net::TcpListener;

use crate::address::{Address, listen};
use crate::failure::Failure;
use crate::security::{AccessArguments, SecurityArguments, SqlSecurity};

/// The flags of every command that serves SQL.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DoorArguments {
    /// Serve the object protocol here, too
    #[arg(long, env = "NUNATAK_OBJECTS", value_name = "ADDR", help_heading = "Other doors")]
    pub(crate) objects: Option<Address>,

    /// Serve the key-value API (gRPC) here, too
    #[arg(long, env = "NUNATAK_KV", value_name = "ADDR", help_heading = "Other doors")]
    pub(crate) kv: Option<Address>,

    /// Serve GraphQL (HTTP, at /graphql) here, too, and not only at --http
    #[arg(long, env = "NUNATAK_GRAPHQL", value_name = "ADDR", help_heading = "Other doors")]
    pub(crate) graphql: Option<Address>,
}

impl DoorArguments {
    /// The flags that are given, and their addresses.
    pub(crate) fn given(&self) -> Vec<(&'static str, &Address)> {
        let all = [
            ("--objects", self.objects.as_ref()),
            ("--kv", self.kv.as_ref()),
            ("--graphql", self.graphql.as_ref()),
        ];
        all.into_iter().filter_map(|(flag, address)| Some((flag, address?))).collect()
    }

    /// Listens where it is told to. `security` is that of SQL, and becomes that of all listeners of the gateway.
    pub(crate) async fn listen(
        &self,
        arguments: &SecurityArguments,
        access: &AccessArguments,
        security: &mut SqlSecurity,
    ) -> Result<Doors, Failure> {
        let mut doors = Doors::default();
        for (flag, address) in self.given() {
            let listener = listen(flag, address).await?;
            let local = listener.local_addr().map_err(Failure::failed)?;
            security.extend(arguments.for_sql(flag, local, access)?);
            match flag {
                "--objects" => doors.objects = Some(listener),
                "--kv" => doors.kv = Some(listener),
                _ => doors.graphql = Some(listener),
            }
        }
        Ok(doors)
    }
}

/// The listeners of doors.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    objects: Option<TcpListener>,
    kv: Option<TcpListener>,
    graphql: Option<TcpListener>,
}

impl Doors {
    /// Has the gateway serve at them.
    pub(crate) fn open(self, gateway: &Gateway) -> std::io::Result<()> {
        if let Some(listener) = self.objects {
            let address = gateway.open_objects(listener)?;
            tracing::info!(objects = %address, "serving");
        }
        if let Some(listener) = self.kv {
            let address = gateway.open_kv(listener)?;
            tracing::info!(kv = %address, "serving");
        }
        if let Some(listener) = self.graphql {
            let address = gateway.open_graphql(listener)?;
            tracing::info!(graphql = %address, "serving");
        }
        Ok(())
    }
}
