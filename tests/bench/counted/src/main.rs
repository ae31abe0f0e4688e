//! Does one thing so many times: `rooms read|junit.xml|run.json|summary.md|report.html CONSOLE TIMES`. Prints how much came of it.

use std::hint::black_box;
use std::path::Path;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [room, file, times] = words.as_slice() else { panic!("rooms ROOM CONSOLE TIMES") };
    let times: usize = times.parse().expect("TIMES is a number");
    let rooms = teravm_ci::fuzz::rooms(Path::new(file));
    let (_, work) = rooms.into_iter().find(|(name, _)| name == room).expect("ROOM is one of them");
    let came = (0..times).map(|_| black_box(work())).sum::<usize>();
    println!("{came}");
}
