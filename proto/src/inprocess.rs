//! Nodes of this process, reached by a function call: messages move, nothing is encoded.
//!
//! A node registers under its address and may go and come back; whoever connected to the address reaches the one that
//! stands there at the moment of the call.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use tonic::Status;

use crate::calls::calls;
use crate::service::{Network, NodeService, RequestStream, ResponseStream};
use crate::v1::{self, RaftAppendRequest, RaftAppendResponse, RaftSnapshotChunk, RaftSnapshotResponse};

/// The nodes of this process. Clones share the registry.
#[derive(Clone, Default)]
pub struct InProcess {
    slots: Arc<Mutex<BTreeMap<String, Arc<Slot>>>>,
}

impl InProcess {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// `service` now answers at `address`.
    pub fn register(&self, address: &str, service: Arc<dyn NodeService>) {
        *self.slot(address).service.write() = Some(service);
    }

    /// Nobody answers at `address` any more.
    pub fn unregister(&self, address: &str) {
        *self.slot(address).service.write() = None;
    }

    fn slot(&self, address: &str) -> Arc<Slot> {
        let mut slots = self.slots.lock();
        match slots.get(address) {
            Some(slot) => slot.clone(),
            None => {
                let slot = Arc::new(Slot { address: address.to_owned(), service: RwLock::new(None) });
                slots.insert(address.to_owned(), slot.clone());
                slot
            }
        }
    }
}

impl Network for InProcess {
    fn connect(&self, address: &str) -> Arc<dyn NodeService> {
        self.slot(address)
    }

    fn is_in_process(&self, _address: &str) -> bool {
        true
    }
}

/// The network of a process that is a node itself: that one by a function call, all others over `elsewhere`.
#[derive(Clone)]
pub struct Colocated {
    own: InProcess,
    address: Arc<str>,
    elsewhere: Arc<dyn Network>,
}

impl Colocated {
    /// The node at `address` is to be in this process; it can be [registered](Colocated::register) later.
    pub fn new(address: &str, elsewhere: Arc<dyn Network>) -> Self {
        Self { own: InProcess::new(), address: Arc::from(address), elsewhere }
    }

    /// `service` now answers at the address of this process.
    pub fn register(&self, service: Arc<dyn NodeService>) {
        self.own.register(&self.address, service);
    }

    /// Nobody answers at the address of this process any more.
    pub fn unregister(&self) {
        self.own.unregister(&self.address);
    }

    fn reaching(&self, address: &str) -> &dyn Network {
        if *address == *self.address { &self.own } else { &*self.elsewhere }
    }
}

impl Network for Colocated {
    fn connect(&self, address: &str) -> Arc<dyn NodeService> {
        self.reaching(address).connect(address)
    }

    fn connect_urgent(&self, address: &str) -> Arc<dyn NodeService> {
        self.reaching(address).connect_urgent(address)
    }

    fn is_in_process(&self, address: &str) -> bool {
        self.reaching(address).is_in_process(address)
    }
}

impl std::fmt::Debug for Colocated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Colocated").field("address", &self.address).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcess").field("addresses", &self.slots.lock().keys()).finish()
    }
}

/// An address, and who answers there.
struct Slot {
    address: String,
    service: RwLock<Option<Arc<dyn NodeService>>>,
}

impl Slot {
    fn service(&self) -> Result<Arc<dyn NodeService>, Status> {
        self.service
            .read()
            .clone()
            .ok_or_else(|| Status::unavailable(format!("no node at {} in this process", self.address)))
    }
}

/// Passes every call to the service of the slot.
macro_rules! forward {
    ($($service:ident of $client:ident { $(
        $(#[$doc:meta])*
        $call:ident as $name:ident($request:ident) -> $response:ident, $lane:ident, $way:ident;
    )* })*) => {
        #[async_trait]
        impl NodeService for Slot {
            $($(async fn $name(&self, request: v1::$request) -> Result<v1::$response, Status> {
                self.service()?.$name(request).await
            })*)*

            async fn raft_append(
                &self,
                requests: RequestStream<RaftAppendRequest>,
            ) -> Result<ResponseStream<RaftAppendResponse>, Status> {
                self.service()?.raft_append(requests).await
            }

            async fn raft_snapshot(
                &self,
                chunks: RequestStream<RaftSnapshotChunk>,
            ) -> Result<RaftSnapshotResponse, Status> {
                self.service()?.raft_snapshot(chunks).await
            }
        }
    };
}

calls!(forward);
