//! What must hold for any `.env` that stands on a federation gateway, by the scripts that read and edit it there.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::VALUES;

/// The tag that is written, which stands in no other text.
const TAG: &str = "5d2e8f90";

/// The property of `.env`: an edit changes one line or adds one, what is read then is the new tag, and every other name
/// has the value that it had.
pub fn env(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path();
    fs::create_dir(path.join("NEXT")).expect("a folder");
    for name in [".env", "NEXT/.env"] {
        fs::write(path.join(name), bytes).expect("a file");
    }
    // A NUL ends what a shell can keep, and no .env has one.
    if bytes.contains(&0) || memchr::memmem::find(bytes, TAG.as_bytes()).is_some() {
        return;
    }
    let edit = format!("tag={TAG}\nold_commit=\ncommit=\n{VALUES}{}", include_str!("edit_env.sh"));
    let Some(before) = run(path, &format!("{VALUES}values IMAGE_VERSION DOCKER_REGISTRY A")) else {
        panic!("it cannot be read")
    };
    run(path, &edit).expect("it is edited");
    let edited = fs::read(path.join("NEXT/.env")).expect("it is there");
    let [old, new] = [bytes, &edited].map(|text| text.split(|&byte| byte == b'\n').collect::<Vec<_>>());
    let is_added = edited.ends_with(format!("IMAGE_VERSION={TAG}\n").as_bytes()) && new.len() > old.len();
    assert!(is_added || new.len() == old.len(), "lines are gone: {}", edited.escape_ascii());
    let changed = old.iter().zip(&new).filter(|(old, new)| old != new && !old.is_empty()).count();
    assert!(changed <= usize::from(!is_added), "another line was changed: {}", edited.escape_ascii());
    fs::copy(path.join("NEXT/.env"), path.join(".env")).expect("a file");
    let after = run(path, &format!("{VALUES}values IMAGE_VERSION DOCKER_REGISTRY A")).expect("it can be read");
    assert_eq!(after[0], TAG.as_bytes(), "{}", edited.escape_ascii());
    assert_eq!(after[1..], before[1..], "{}", edited.escape_ascii());
}

/// The lines that a script prints in a folder; none when it fails.
fn run(folder: &Path, script: &str) -> Option<Vec<Vec<u8>>> {
    let command = Command::new("sh").args(["-c", script]).current_dir(folder).env("LC_ALL", "C").output();
    let output = command.expect("sh is there");
    assert!(output.stderr.is_empty(), "{}", output.stderr.escape_ascii());
    let lines = output.stdout.split(|&byte| byte == b'\n').map(<[u8]>::to_vec);
    output.status.success().then(|| lines.collect())
}
