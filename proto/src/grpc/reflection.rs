//! Server reflection: what a port speaks, told to whoever asks for it (`grpc.reflection.v1`, and `v1alpha` as older clients ask).
//!
//! A question that has no answer is answered with an error, as the protocol has it, and the next one is heard: clients look for names
//! that may not be there.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{Stream, StreamExt as _};
use prost::{DecodeError, Message};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse, ServiceResponse,
};
use tonic_reflection::pb::{v1, v1alpha};

/// A stream of answers.
type Told<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What a port speaks.
#[derive(Debug, Clone)]
pub struct Reflection(Arc<Known>);

impl Reflection {
    /// Of what these describe, each a `google.protobuf.FileDescriptorSet`, and of itself.
    ///
    /// # Errors
    /// One of them is none.
    pub fn of(sets: &[&[u8]]) -> Result<Self, DecodeError> {
        let mut known = Known::default();
        for set in sets.iter().copied().chain([v1::FILE_DESCRIPTOR_SET, v1alpha::FILE_DESCRIPTOR_SET]) {
            for bytes in FileSet::decode(set)?.files {
                let file = File::decode(bytes.as_slice())?;
                known.add(file, bytes);
            }
        }
        Ok(Self(Arc::new(known)))
    }

    /// The service.
    pub fn v1(&self) -> v1::server_reflection_server::ServerReflectionServer<Self> {
        v1::server_reflection_server::ServerReflectionServer::new(self.clone())
    }

    /// The service as older clients ask for it.
    pub fn v1alpha(&self) -> v1alpha::server_reflection_server::ServerReflectionServer<Self> {
        v1alpha::server_reflection_server::ServerReflectionServer::new(self.clone())
    }
}

#[async_trait]
impl v1::server_reflection_server::ServerReflection for Reflection {
    type ServerReflectionInfoStream = Told<v1::ServerReflectionResponse>;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<v1::ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let known = self.0.clone();
        let told = request.into_inner().map(move |asked| asked.map(|asked| known.respond(asked)));
        let told: Self::ServerReflectionInfoStream = Box::pin(told);
        Ok(Response::new(told))
    }
}

#[async_trait]
impl v1alpha::server_reflection_server::ServerReflection for Reflection {
    type ServerReflectionInfoStream = Told<v1alpha::ServerReflectionResponse>;

    async fn server_reflection_info(
        &self,
        request: Request<Streaming<v1alpha::ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let known = self.0.clone();
        let told =
            request.into_inner().map(move |asked| -> Result<v1alpha::ServerReflectionResponse, Status> {
                let asked: v1::ServerReflectionRequest = recast(&asked?)?;
                recast(&known.respond(asked))
            });
        let told: Self::ServerReflectionInfoStream = Box::pin(told);
        Ok(Response::new(told))
    }
}

/// A message as that of the other version, whose bytes are the same.
fn recast<A: Message, B: Message + Default>(message: &A) -> Result<B, Status> {
    B::decode(message.encode_to_vec().as_slice()).map_err(|error| Status::internal(error.to_string()))
}

/// Files as they were described, where each name is, and the services.
#[derive(Debug, Default)]
struct Known {
    files: BTreeMap<String, Vec<u8>>,
    /// The file of each.
    symbols: BTreeMap<String, String>,
    services: Vec<String>,
}

impl Known {
    /// Adds a file, and what it describes.
    fn add(&mut self, file: File, bytes: Vec<u8>) {
        let File { name, package, messages, enumerations, services } = file;
        for message in &messages {
            self.add_message(&name, &package, message);
        }
        for enumeration in &enumerations {
            self.add_family(&name, &package, enumeration);
        }
        for service in &services {
            self.services.push(self.add_family(&name, &package, service));
        }
        self.files.insert(name, bytes);
    }

    fn add_message(&mut self, file: &str, scope: &str, message: &Described) {
        let own = self.add_symbol(file, scope, &message.name);
        for member in message.fields.iter().chain(&message.choices) {
            self.add_symbol(file, &own, &member.name);
        }
        for nested in &message.nested {
            self.add_message(file, &own, nested);
        }
        for enumeration in &message.enumerations {
            self.add_family(file, &own, enumeration);
        }
    }

    /// Adds an enumeration with its values, or a service with its methods; its full name.
    fn add_family(&mut self, file: &str, scope: &str, family: &Family) -> String {
        let own = self.add_symbol(file, scope, &family.name);
        for member in &family.members {
            self.add_symbol(file, &own, &member.name);
        }
        own
    }

    fn add_symbol(&mut self, file: &str, scope: &str, name: &str) -> String {
        let own = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
        self.symbols.insert(own.clone(), file.to_owned());
        own
    }

    fn respond(&self, request: v1::ServerReflectionRequest) -> v1::ServerReflectionResponse {
        let answered = match &request.message_request {
            Some(asked) => self.answer(asked),
            None => Err(error(Code::InvalidArgument, "nothing is asked for".to_owned())),
        };
        v1::ServerReflectionResponse {
            valid_host: request.host.clone(),
            message_response: Some(answered.unwrap_or_else(MessageResponse::ErrorResponse)),
            original_request: Some(request),
        }
    }

    fn answer(&self, asked: &MessageRequest) -> Result<MessageResponse, ErrorResponse> {
        match asked {
            MessageRequest::FileByFilename(name) => self.file(Some(name)).ok_or_else(|| none(name)),
            MessageRequest::FileContainingSymbol(name) => {
                self.file(self.symbols.get(name)).ok_or_else(|| none(name))
            }
            MessageRequest::FileContainingExtension(extension) => {
                let message = format!("nothing here extends {:?}", extension.containing_type);
                Err(error(Code::NotFound, message))
            }
            MessageRequest::AllExtensionNumbersOfType(name) if self.symbols.contains_key(name) => {
                let none =
                    ExtensionNumberResponse { base_type_name: name.clone(), extension_number: Vec::new() };
                Ok(MessageResponse::AllExtensionNumbersResponse(none))
            }
            MessageRequest::AllExtensionNumbersOfType(name) => Err(none(name)),
            MessageRequest::ListServices(_) => {
                let service =
                    self.services.iter().map(|name| ServiceResponse { name: name.clone() }).collect();
                Ok(MessageResponse::ListServicesResponse(ListServiceResponse { service }))
            }
        }
    }

    fn file(&self, name: Option<&String>) -> Option<MessageResponse> {
        let file = self.files.get(name?)?;
        let file = FileDescriptorResponse { file_descriptor_proto: vec![file.clone()] };
        Some(MessageResponse::FileDescriptorResponse(file))
    }
}

fn none(name: &str) -> ErrorResponse {
    error(Code::NotFound, format!("there is no {name:?} here"))
}

fn error(code: Code, error_message: String) -> ErrorResponse {
    ErrorResponse { error_code: code as i32, error_message }
}

/// `google.protobuf.FileDescriptorSet`, its files as bytes.
#[derive(Clone, PartialEq, Message)]
struct FileSet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    files: Vec<Vec<u8>>,
}

/// The names of a `google.protobuf.FileDescriptorProto`.
#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "4")]
    messages: Vec<Described>,
    #[prost(message, repeated, tag = "5")]
    enumerations: Vec<Family>,
    #[prost(message, repeated, tag = "6")]
    services: Vec<Family>,
}

/// Those of a `DescriptorProto`.
#[derive(Clone, PartialEq, Message)]
struct Described {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<Member>,
    #[prost(message, repeated, tag = "3")]
    nested: Vec<Described>,
    #[prost(message, repeated, tag = "4")]
    enumerations: Vec<Family>,
    #[prost(message, repeated, tag = "8")]
    choices: Vec<Member>,
}

/// Those of an `EnumDescriptorProto` or a `ServiceDescriptorProto`.
#[derive(Clone, PartialEq, Message)]
struct Family {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    members: Vec<Member>,
}

/// That of a field, of a choice between fields, of a value or of a method.
#[derive(Clone, PartialEq, Message)]
struct Member {
    #[prost(string, tag = "1")]
    name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(message_request: Option<MessageRequest>) -> MessageResponse {
        let request = v1::ServerReflectionRequest { host: "h".to_owned(), message_request };
        let answer = Reflection::of(&[]).unwrap().0.respond(request.clone());
        assert_eq!((answer.valid_host.as_str(), answer.original_request), ("h", Some(request)));
        answer.message_response.unwrap()
    }

    #[test]
    fn what_is_there_is_told() {
        let MessageResponse::ListServicesResponse(services) =
            asked(Some(MessageRequest::ListServices(String::new())))
        else {
            panic!("no services")
        };
        let names: Vec<&str> = services.service.iter().map(|service| service.name.as_str()).collect();
        assert_eq!(
            names,
            ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"]
        );
        for name in [
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1.ServerReflection.ServerReflectionInfo",
            "grpc.reflection.v1.ErrorResponse",
            "grpc.reflection.v1.ErrorResponse.error_code",
            "grpc.reflection.v1.ServerReflectionRequest.message_request",
        ] {
            let answer = asked(Some(MessageRequest::FileContainingSymbol(name.to_owned())));
            let MessageResponse::FileDescriptorResponse(files) = answer else { panic!("{name}: {answer:?}") };
            let file = File::decode(files.file_descriptor_proto[0].as_slice()).unwrap();
            assert_eq!(file.package, "grpc.reflection.v1", "{name}");
            let again = asked(Some(MessageRequest::FileByFilename(file.name)));
            assert_eq!(again, MessageResponse::FileDescriptorResponse(files));
        }
        let name = "grpc.reflection.v1.ErrorResponse".to_owned();
        let numbers = asked(Some(MessageRequest::AllExtensionNumbersOfType(name.clone())));
        let none = ExtensionNumberResponse { base_type_name: name, extension_number: Vec::new() };
        assert_eq!(numbers, MessageResponse::AllExtensionNumbersResponse(none));
    }

    #[test]
    fn what_is_not_there_is_an_answer_too() {
        let name = || "nothing.Here".to_owned();
        let extension = v1::ExtensionRequest { containing_type: name(), extension_number: 1 };
        for (request, code) in [
            (Some(MessageRequest::FileByFilename(name())), Code::NotFound),
            (Some(MessageRequest::FileContainingSymbol(name())), Code::NotFound),
            (Some(MessageRequest::FileContainingExtension(extension)), Code::NotFound),
            (Some(MessageRequest::AllExtensionNumbersOfType(name())), Code::NotFound),
            (None, Code::InvalidArgument),
        ] {
            let MessageResponse::ErrorResponse(error) = asked(request.clone()) else { panic!("{request:?}") };
            assert_eq!(error.error_code, code as i32, "{request:?}");
        }
        assert!(Reflection::of(&[b"\xff"]).is_err());
    }

    #[test]
    fn both_versions_have_the_same_bytes() {
        let asked = v1alpha::ServerReflectionRequest {
            host: "h".to_owned(),
            message_request: Some(v1alpha::server_reflection_request::MessageRequest::FileByFilename(
                "f".to_owned(),
            )),
        };
        let recasted: v1::ServerReflectionRequest = recast(&asked).unwrap();
        assert_eq!(recasted.message_request, Some(MessageRequest::FileByFilename("f".to_owned())));
        assert_eq!(recast::<_, v1alpha::ServerReflectionRequest>(&recasted).unwrap(), asked);
    }
}
