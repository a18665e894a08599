//! The database against a model, through crashes, failures and damage.

mod basic;
mod checkpoint;
mod crash;
mod damage;
mod encryption;
mod model;
mod random;
