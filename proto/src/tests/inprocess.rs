//! Nodes of this process.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tonic::Code;

use super::echo::{Echo, get};
use crate::inprocess::{Colocated, InProcess};
use crate::service::Network;

#[tokio::test]
async fn a_process_calls_its_own_node_and_reaches_others_elsewhere() {
    let (own, other) = (Arc::new(Echo::default()), Arc::new(Echo::default()));
    let elsewhere = InProcess::new();
    elsewhere.register("other:1", other.clone());
    elsewhere.register("own:1", other.clone());
    let network = Colocated::new("own:1", Arc::new(elsewhere));
    let (own_node, other_node) = (network.connect("own:1"), network.connect("other:1"));
    assert_eq!(own_node.batch(get("early")).await.unwrap_err().code(), Code::Unavailable);
    network.register(own.clone());
    own_node.batch(get("a")).await.unwrap();
    other_node.batch(get("b")).await.unwrap();
    network.connect_urgent("own:1").batch(get("c")).await.unwrap();
    assert_eq!((own.batches.load(Ordering::Relaxed), other.batches.load(Ordering::Relaxed)), (2, 1));
    network.unregister();
    assert_eq!(own_node.batch(get("late")).await.unwrap_err().code(), Code::Unavailable);
}

#[test]
fn only_the_own_node_is_called_by_a_function_call() {
    let network = Colocated::new("own:1", Arc::new(crate::grpc::GrpcNetwork::new(None)));
    assert!(network.is_in_process("own:1"));
    assert!(!network.is_in_process("other:1"));
}
