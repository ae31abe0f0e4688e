//! Which program this is: its version, the commit that it is made from, and when it was built. `build.rs` has found out.

use std::sync::LazyLock;

use time::OffsetDateTime;

/// The version as the reports have it: `0.1.0+1a0f0e4c2b5d` names the commit, `0.1.0+1a0f0e4c2b5d.changed` says that there
/// were changes on top of it. A build for development has the number alone.
pub(crate) const VERSION: &str = env!("TERAVM_CI_VERSION");

/// What `--version` says behind the program's name.
pub(crate) static LONG: LazyLock<String> = LazyLock::new(|| {
    let number = env!("CARGO_PKG_VERSION");
    let commit = env!("TERAVM_CI_COMMIT");
    let built =
        env!("TERAVM_CI_BUILT").parse().ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let built = built.map(|time| format!("\nbuilt: {}", time.date())).unwrap_or_default();
    format!("{number}\ncommit: {commit}{built}")
});
