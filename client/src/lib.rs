//! The transaction as its coordinator sees it: buffer, routing, commit.
