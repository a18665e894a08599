//! A log-structured merge engine with native versions.
