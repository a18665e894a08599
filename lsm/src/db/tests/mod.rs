//! The database against a model, through crashes, failures and damage.

mod basic;
mod crash;
mod damage;
mod model;
mod random;
