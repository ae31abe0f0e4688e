//! The real program, quickly and without a lab: what it prints, what it writes, and what it comes to.

mod adopt;
mod circleci;
mod config;
mod crash;
mod desk;
#[path = "../docs/mod.rs"]
mod docs;
mod errors;
mod exit_codes;
mod history;
mod junit;
mod machine;
mod manual;
mod package;
mod pages;
mod redaction;
mod report;
mod terminal;
mod usage;
#[path = "../users/mod.rs"]
mod users;
mod version;
