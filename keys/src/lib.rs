//! The map of the key space and the order-preserving encoding of every SQL type.
