//! The disk's door.
