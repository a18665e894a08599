//! Nunatak, a distributed SQL database that speaks PostgreSQL.

fn main() {}
