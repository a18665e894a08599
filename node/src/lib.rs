//! Storage nodes: replicated ranges, transactions beside the data, the root range.
