//! The room for consoles and details: what a night keeps of them, so that no lab can fill our memory.

/// The most that is kept of the console of one case, and of what explains its verdict.
pub(super) const MOST_OF_A_CASE: usize = 64 * 1024;
/// What the consoles and details of all cases may take together. A case gets no more than its share of what is left, so
/// that room never runs out, and cases that passed cannot take it from those that did not.
pub(super) const ROOM_FOR_PASSED: usize = 4 * 1024 * 1024;
pub(super) const ROOM_FOR_OTHERS: usize = 12 * 1024 * 1024;
const SHARE: usize = 16;
/// What every report that shows all of it has to have room for.
#[cfg(test)]
pub(crate) const ROOM: usize = ROOM_FOR_PASSED + ROOM_FOR_OTHERS;

/// How much of the room for consoles and details is taken.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    pub(super) by_passed: usize,
    pub(super) by_others: usize,
}

/// Cuts a text down to its share of the room that is left, and takes that room.
pub(super) fn keep(text: &mut String, taken: &mut usize, room: usize) {
    let share = (room.saturating_sub(*taken) / SHARE).min(MOST_OF_A_CASE);
    if text.len() > share {
        *text = head_and_tail(text, share);
    }
    *taken += text.len().min(share);
}

/// Cuts the middle out of a text that is longer than `limit` bytes, and says how much of it.
pub(crate) fn head_and_tail(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let is_boundary = |&at: &usize| text.is_char_boundary(at);
    let head = (0..=limit / 2).rev().find(is_boundary).unwrap_or(0);
    let tail = (text.len() - limit / 2..=text.len()).find(is_boundary).unwrap_or(text.len());
    format!("{}\n[... {} bytes left out ...]\n{}", &text[..head], tail - head, &text[tail..])
}
