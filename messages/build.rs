//! Compiles `proto/*.proto` with protox, so that no system protoc is needed. Maps are sorted: equal messages are equal
//! bytes, in every process. The descriptors, comments included, are kept for whoever asks a port what it speaks.

#[expect(clippy::disallowed_methods, reason = "it writes for the compiler, not for a node")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = ["kv", "cluster", "stream", "raft", "range"].map(|name| format!("proto/{name}.proto"));
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(files)?;
    let descriptors = std::path::Path::new(&std::env::var("OUT_DIR")?).join("descriptors.bin");
    std::fs::write(descriptors, compiler.encode_file_descriptor_set())?;
    // What holds a secret prints itself (`secret`).
    let generated =
        tonic_prost_build::configure().bytes(".").btree_map(".").skip_debug([".nunatak.v1.Export"]);
    generated.compile_fds(compiler.file_descriptor_set())?;
    // By itself: no port of ours speaks it.
    let mut traces = protox::Compiler::new(["proto"])?;
    traces.open_files(["proto/otlp.proto"])?;
    tonic_prost_build::configure().compile_fds(traces.file_descriptor_set())?;
    Ok(())
}
