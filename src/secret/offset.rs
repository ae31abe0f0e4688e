//! Where the bytes of a text are after some of its parts have been replaced.

use std::ops::Range;

/// So many places are kept; then every other part is forgotten, and a place behind it is found a little too late.
const MOST: usize = 16 * 1024;

/// The parts that were replaced.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    /// The two ends of each part: where it was, and where what replaces it is.
    ends: Vec<(u64, u64)>,
}

impl Offsets {
    /// Takes a part that was replaced by so many bytes. Parts come in order.
    pub(super) fn replaced(&mut self, part: &Range<u64>, by: u64) {
        if self.ends.len() >= MOST {
            let mut kept = self.ends.chunks(2).step_by(2).flatten().copied().collect();
            std::mem::swap(&mut self.ends, &mut kept);
            // What comes goes on from the last one.
            self.ends.extend_from_slice(&kept[kept.len() - 2..]);
        }
        let start = self.after(part.start);
        self.ends.extend([(part.start, start), (part.end, start + by)]);
    }

    /// Where a byte is that was at this place.
    pub(super) fn after(&self, place: u64) -> u64 {
        let next = self.ends.partition_point(|&(before, _)| before <= place);
        let Some(&(before, after)) = next.checked_sub(1).and_then(|last| self.ends.get(last)) else { return place };
        let moved = after + (place - before);
        self.ends.get(next).map_or(moved, |&(_, limit)| moved.min(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again_before_in_and_behind_what_was_replaced() {
        let mut offsets = Offsets::default();
        // "ab" SECRET "cd" SECRET "ef", each of them by "***".
        offsets.replaced(&(2..8), 3);
        offsets.replaced(&(10..16), 3);
        let places = [0, 2, 4, 7, 8, 9, 10, 16, 18];
        assert_eq!(places.map(|place| offsets.after(place)), [0, 2, 4, 5, 5, 6, 7, 10, 12]);
        assert_eq!(Offsets::default().after(7), 7);
    }

    #[test]
    fn of_many_parts_the_memory_has_a_limit_and_the_last_ones_are_exact() {
        let mut offsets = Offsets::default();
        for part in 0..100_000 {
            offsets.replaced(&(part * 10 + 2..part * 10 + 8), 3);
        }
        assert!(offsets.ends.capacity() <= 4 * MOST, "{}", offsets.ends.capacity());
        assert_eq!(offsets.after(1_000_000), 700_000);
        let places: Vec<u64> = (0..1_000_000).step_by(7).map(|place| offsets.after(place)).collect();
        assert!(places.is_sorted());
    }
}
