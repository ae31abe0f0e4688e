//! The way of a night, on one screen.

pub mod config;
pub mod event;
pub mod secret;
