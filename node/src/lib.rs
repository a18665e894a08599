//! Storage nodes: replicated ranges, transactions beside the data, the root range.

mod error;
mod node;
mod options;
pub mod raft;
mod range;
mod root;
mod timestamp;

pub use error::NodeError;
pub use node::Node;
pub use options::NodeOptions;
