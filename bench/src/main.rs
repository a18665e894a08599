//! Benchmarks against real peers in the same run.

fn main() {}
