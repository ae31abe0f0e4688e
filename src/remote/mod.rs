//! Commands on one host, over the system's own `ssh`.
//!
//! [`Access`] is how we get in: the key, the host keys we accept, a private directory. It opens [`Host`]s; a [`Host`] runs
//! scripts and hands back what they printed and their exit status, whatever it is: only what we could not find out is
//! an [`Error`]. A [`Job`] is a run that outlives a connection. This room does not know what any remote command means.

mod access;
mod command;
mod error;
mod host;
mod job;
mod outlast;
mod said;
#[cfg(test)]
mod tests;
pub(crate) mod turns;

pub(crate) use access::{Access, AccessError, sweep};
pub(crate) use command::{As, Output};
pub(crate) use error::Error;
pub(crate) use host::Host;
pub(crate) use job::{Job, JobEnd, JobSpec, JobStatus, LogLimit, sweep_script};
pub(crate) use said::Said;
pub(crate) use turns::Turns;

/// Returns the text as one word of a POSIX shell. A word cannot hold a NUL, so it is left out.
pub(crate) fn quote(text: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "_-./:=@,+".contains(char);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\0', "").replace('\'', r"'\''"))
}
