//! The PostgreSQL wire protocol in front of SQL sessions.
