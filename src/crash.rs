//! Panics: caught where the work is, and told. A panic is a bug of this program, and costs neither the lock nor the
//! tunnel. Any other crash leaves no core dump, because it would contain the secrets.
//!
//! The hook that [`install`] sets writes each panic of any thread down and prints nothing. Whoever catches one with
//! [`caught`] takes it from there; what nobody caught (a task that nobody waits for) stays, and [`untold`] has it for
//! whoever tells of the run.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use futures_util::FutureExt as _;
use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// A longer text of a panic is cut: it may show a whole value.
const LONGEST: usize = 2_000;

/// So many panics are kept: a task that panics again and again tells nothing new.
const MOST: usize = 20;

/// A panic: where, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Crash {
    text: String,
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

static SEEN: Mutex<Vec<(ThreadId, Crash)>> = Mutex::new(Vec::new());

fn seen() -> MutexGuard<'static, Vec<(ThreadId, Crash)>> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has every panic of this process written down from now on.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
        let crash = Crash { text: format!("panicked{place}: {}", message(info.payload())) };
        // RUST_BACKTRACE=1 has it captured; `-vv` shows it.
        tracing::error!(%crash, backtrace = %std::backtrace::Backtrace::capture(), "a bug in this program");
        let mut seen = seen();
        if seen.len() < MOST {
            seen.push((thread::current().id(), crash));
        }
    }));
}

/// No core dump of this program or of a program that it starts: `ssh` and `openvpn` hold the same secrets. A child that
/// wants one can ask for it again (`ulimit -c`), because only the soft limit is lowered.
pub(crate) fn forbid_core_dumps() {
    // To Linux, 1 byte means no dump to a file, as 0 does, and no dump to a program either (`|` in
    // `/proc/sys/kernel/core_pattern`, of systemd or apport): `do_coredump` in fs/coredump.c.
    const NO_DUMP: u64 = 1;
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    let current = Some(NO_DUMP.min(maximum.unwrap_or(NO_DUMP)));
    let is_limited = setrlimit(Resource::Core, Rlimit { current, maximum });
    // This one does not survive an exec: it protects this process alone, whatever its limits are.
    let is_private = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    if let Err(error) = is_limited.and(is_private) {
        tracing::warn!(%error, "a crash could leave a core dump");
    }
}

/// Does the work, and returns its panic if it has one. What the work owned has been dropped by then; state that it shares
/// is reported by the owner of that state, or read from the host again.
pub(crate) fn caught<T>(work: impl Future<Output = T>) -> impl Future<Output = Result<T, Crash>> {
    // On the heap, before anything holds it: works stand within works here, each as large as all that is in it.
    let work = AssertUnwindSafe(Box::pin(work));
    async { work.catch_unwind().await.map_err(|payload| taken(payload.as_ref())) }
}

/// The same for work that does not wait.
pub(crate) fn caught_at_once<T>(work: impl FnOnce() -> T) -> Result<T, Crash> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| taken(payload.as_ref()))
}

/// The panics that nobody has caught since it was last asked.
pub(crate) fn untold() -> Vec<Crash> {
    std::mem::take(&mut *seen()).into_iter().map(|(_, crash)| crash).collect()
}

/// The panic that this thread has just caught.
fn taken(payload: &(dyn Any + Send)) -> Crash {
    let mut seen = seen();
    let last = seen.iter().rposition(|(thread, _)| *thread == thread::current().id());
    match last {
        Some(last) => seen.remove(last).1,
        // Without the hook, as in the tests of a module.
        None => Crash { text: format!("panicked: {}", message(payload)) },
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = text.unwrap_or("no text");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// A place where a build for development can be made to panic, once: `TERAVM_CI_PANIC_AT` names it. The tests in the
/// lab see by it what a panic costs there. No release build has it.
#[cfg(debug_assertions)]
pub(crate) fn point(place: impl FnOnce() -> String) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicBool, Ordering};

    static MEANT: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("TERAVM_CI_PANIC_AT").ok());
    static IS_OVER: AtomicBool = AtomicBool::new(false);

    let Some(meant) = MEANT.as_deref() else { return };
    assert!(place() != meant || IS_OVER.swap(true, Ordering::Relaxed), "as TERAVM_CI_PANIC_AT wants it");
}

#[cfg(not(debug_assertions))]
pub(crate) fn point(_: impl FnOnce() -> String) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_the_work_is_returned_and_the_work_beside_it_goes_on() {
        let works = [1, 2, 3].map(|number| {
            caught(async move {
                tokio::task::yield_now().await;
                assert!(number != 2, "the number {number}");
                number
            })
        });
        let done = futures_util::future::join_all(works).await;
        let told = done.into_iter().map(|done| done.map_err(|crash| crash.to_string())).collect::<Vec<_>>();
        assert_eq!(told, [Ok(1), Err("panicked: the number 2".to_owned()), Ok(3)]);
    }

    #[test]
    fn the_text_of_a_panic_is_cut_where_it_is_long() {
        let crash = caught_at_once(|| panic!("{}", "é".repeat(10_000))).expect_err("it panics");
        assert_eq!(crash.to_string().chars().count(), "panicked: ".len() + LONGEST + "...".len());
        let crash = caught_at_once(|| std::panic::panic_any(7)).expect_err("it panics");
        assert_eq!(crash.to_string(), "panicked: no text");
    }
}
