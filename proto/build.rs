//! Compiles `proto/*.proto` with protox, so that no system protoc is needed. Maps are sorted: equal messages are equal
//! bytes, in every process.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = ["kv", "cluster", "stream", "raft", "range"].map(|name| format!("proto/{name}.proto"));
    let files = protox::compile(files, ["proto"])?;
    tonic_prost_build::configure().bytes(".").btree_map(".").compile_fds(files)?;
    Ok(())
}
