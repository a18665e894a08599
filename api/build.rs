//! Compiles `proto/` with protox, so that no system protoc is needed. The descriptors, comments included, are kept for
//! whoever asks a port what it speaks.

#[expect(clippy::disallowed_methods, reason = "it writes for the compiler, not for a gateway")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(["nunatak/kv/v1/kv.proto", "grpc/health/v1/health.proto"])?;
    let descriptors = std::path::Path::new(&std::env::var("OUT_DIR")?).join("descriptors.bin");
    std::fs::write(descriptors, compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure().bytes(".").compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
