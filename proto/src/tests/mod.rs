//! The transports, with a node that answers with what it was asked.

mod echo;
mod grpc;
mod inprocess;
mod simulated;
mod stream;
