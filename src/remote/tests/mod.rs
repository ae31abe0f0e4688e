//! This room against a real `sshd` on loopback, with keys, accepted keys and a home of its own.

mod commands;
mod connections;
mod jobs;
mod sshd;
