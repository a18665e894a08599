//! An operator's plain gRPC client, which knows nothing beforehand: it learns the messages from the node's port by server
//! reflection, and makes all admin calls with what it has learnt.

use std::collections::BTreeSet;

use nunatak_tests::processes::Cluster;
use prost::Message;
use prost_reflect::prost_types::{FileDescriptorProto, FileDescriptorSet};
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage, Value};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

/// Messages by their descriptors; the response's is what has to be known.
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self(self.0.clone())
    }

    fn decoder(&mut self) -> Self {
        Self(self.0.clone())
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(buffer).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let mut message = DynamicMessage::new(self.0.clone());
        message.merge(buffer).map_err(|error| Status::internal(error.to_string()))?;
        Ok(Some(message))
    }
}

/// A client that has asked a port what it speaks.
struct Plain {
    channel: Channel,
    pool: DescriptorPool,
}

impl Plain {
    async fn connect(address: &str) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
        let channel = endpoint.connect().await.expect("a connection");
        let mut files: Vec<FileDescriptorProto> = Vec::new();
        let mut wanted = vec![MessageRequest::FileContainingSymbol("nunatak.v1.Admin".to_owned())];
        while let Some(request) = wanted.pop() {
            for file in reflect(&channel, request).await {
                let known = |name: &String| files.iter().any(|file| file.name() == name);
                wanted.extend(
                    file.dependency
                        .iter()
                        .filter(|name| !known(name))
                        .cloned()
                        .map(MessageRequest::FileByFilename),
                );
                if !files.iter().any(|other| other.name() == file.name()) {
                    files.push(file);
                }
            }
        }
        let pool = DescriptorPool::from_file_descriptor_set(FileDescriptorSet { file: files });
        Self { channel, pool: pool.expect("descriptors that fit together") }
    }

    /// Calls a method of the admin service with these fields.
    async fn call(&self, method: &str, fields: &[(&str, u64)]) -> Result<DynamicMessage, Status> {
        let fields: Vec<_> = fields.iter().map(|(name, number)| (*name, Value::U64(*number))).collect();
        self.call_with(method, &fields).await
    }

    async fn call_with(&self, method: &str, fields: &[(&str, Value)]) -> Result<DynamicMessage, Status> {
        let service = self.pool.get_service_by_name("nunatak.v1.Admin").expect("the service");
        let method = service.methods().find(|known| known.name() == method).expect("the method");
        let mut request = DynamicMessage::new(method.input());
        for (name, value) in fields {
            request.set_field_by_name(name, value.clone());
        }
        let path = format!("/{}/{}", service.full_name(), method.name());
        let mut client = tonic::client::Grpc::new(self.channel.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let path = path.parse().expect("a path");
        Ok(client.unary(Request::new(request), path, Dynamic(method.output())).await?.into_inner())
    }
}

/// The files that a question is answered with.
async fn reflect(channel: &Channel, request: MessageRequest) -> Vec<FileDescriptorProto> {
    let request = ServerReflectionRequest { message_request: Some(request), ..Default::default() };
    let mut client = ServerReflectionClient::new(channel.clone());
    let answers = client.server_reflection_info(tokio_stream::iter([request])).await.expect("reflection");
    let answer = answers.into_inner().message().await.expect("an answer").expect("one");
    match answer.message_response {
        Some(MessageResponse::FileDescriptorResponse(files)) => {
            let files = files.file_descriptor_proto.iter();
            files.map(|file| FileDescriptorProto::decode(file.as_slice()).expect("a descriptor")).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn field<'a>(message: &'a DynamicMessage, name: &str) -> std::borrow::Cow<'a, Value> {
    message.get_field_by_name(name).unwrap_or_else(|| panic!("{} has no {name}", message.descriptor().name()))
}

fn number(message: &DynamicMessage, name: &str) -> u64 {
    field(message, name).as_u64().expect("a number")
}

fn message(message: &DynamicMessage, name: &str) -> DynamicMessage {
    field(message, name).as_message().expect("a message").clone()
}

fn list(message: &DynamicMessage, name: &str) -> Vec<DynamicMessage> {
    let list = field(message, name);
    list.as_list()
        .expect("a list")
        .iter()
        .map(|value| value.as_message().expect("a message").clone())
        .collect()
}

fn holders(range: &DynamicMessage) -> BTreeSet<u64> {
    list(range, "replicas").iter().map(|replica| number(replica, "node_id")).collect()
}

async fn make_all_calls(cluster: &Cluster) {
    let plain = Plain::connect(&cluster.addresses[0]).await;
    let nodes = plain.call("Nodes", &[]).await.expect("the nodes");
    assert_eq!(list(&nodes, "nodes").len(), 4);
    let ranges = plain.call("Ranges", &[]).await.expect("the ranges");
    let data = list(&ranges, "ranges")
        .iter()
        .map(|status| message(status, "descriptor"))
        .find(|range| number(range, "range_id") == 2);
    let data = data.expect("the range of data");
    let held = holders(&data);
    let spare = (1..=4).find(|node| !held.contains(node)).expect("a node without");
    let first = *held.first().expect("a holder");
    // Each call twice: the second time it was so before.
    for already in [false, true] {
        for (method, fields) in [
            ("MoveReplica", &[("range_id", 2), ("from_node_id", first), ("to_node_id", spare)][..]),
            ("TransferLeader", &[("range_id", 2), ("node_id", spare)]),
        ] {
            let answer = plain.call(method, fields).await.expect("a change");
            assert_eq!(field(&answer, "already").as_bool(), Some(already), "{method}");
            let range = message(&answer, "range");
            assert!(holders(&range).contains(&spare) && !holders(&range).contains(&first), "{range}");
        }
    }
    for (method, holds) in [("AddReplica", true), ("RemoveReplica", false)] {
        for already in [false, true] {
            let answer = plain.call(method, &[("range_id", 2), ("node_id", first)]).await.expect("a change");
            assert_eq!(field(&answer, "already").as_bool(), Some(already), "{method}");
            assert_eq!(holders(&message(&answer, "range")).contains(&first), holds);
        }
    }
    for method in ["Split", "Merge"] {
        let key = [("key", Value::Bytes(keys::sql::kv_key(1, b"border")))];
        for already in [false, true] {
            let answer = plain.call_with(method, &key).await.expect("a border that comes or goes");
            assert_eq!(field(&answer, "already").as_bool(), Some(already), "{method}");
        }
    }
    for method in ["Drain", "Decommission"] {
        for already in [false, true] {
            let answer = plain.call(method, &[("node_id", first)]).await.expect("a state");
            assert_eq!(field(&answer, "already").as_bool(), Some(already), "{method}");
            assert_eq!(number(&message(&answer, "node"), "node_id"), first);
        }
    }
    let refused =
        plain.call("TransferLeader", &[("range_id", 77), ("node_id", 1)]).await.expect_err("no such range");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(refused.message().contains("no range 77"), "{refused}");
    let refused = plain.call("RotateKey", &[]).await.expect_err("it is not encrypted");
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    for method in ["CheckConsistency", "History"] {
        plain.call(method, &[]).await.expect("an answer");
    }
}

#[test]
fn a_client_that_knows_nothing_beforehand_makes_every_admin_call() {
    let folder = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start(folder.path(), 4, 0);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(make_all_calls(&cluster));
}
