//! A stream that somebody reads: a terminal with its colours, width and characters, or a pipe that takes everything as it is.

use std::borrow::Cow;
use std::io::{self, Write};

use anstream::AutoStream;
use anstream::stream::RawStream;
use console::Term;
use indicatif::ProgressDrawTarget;

use super::line::Paint;
use crate::report::text::ascii;
use crate::report::{Color, Options};

/// Standard output or standard error.
pub(in crate::report) struct Stream {
    writer: Box<dyn Write + Send>,
    pub(super) paint: Paint,
    pub(super) is_utf8: bool,
    /// The terminal, where somebody watches it.
    terminal: Option<Term>,
}

impl Stream {
    pub(in crate::report) fn stdout(options: &Options) -> Stream {
        Stream::new(options, io::stdout(), Term::stdout())
    }

    pub(in crate::report) fn stderr(options: &Options) -> Stream {
        Stream::new(options, io::stderr(), Term::stderr())
    }

    fn new(options: &Options, stream: impl RawStream + Send + 'static, terminal: Term) -> Stream {
        // A CI log has a terminal, and is read by somebody who has another.
        let is_watched = stream.is_terminal() && !options.is_ci;
        let is_coloured = match options.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => is_watched && AutoStream::choice(&stream) != anstream::ColorChoice::Never,
        };
        Stream {
            paint: Paint(is_coloured),
            is_utf8: options.is_utf8 || !is_watched,
            terminal: is_watched.then_some(terminal),
            writer: Box::new(stream),
        }
    }

    /// A stream that is no terminal.
    #[cfg(any(test, fuzzing))]
    pub(in crate::report) fn to(writer: impl Write + Send + 'static, options: &Options) -> Stream {
        let paint = Paint(options.color == Color::Always);
        Stream { writer: Box::new(writer), paint, is_utf8: true, terminal: None }
    }

    /// Where a view can be drawn that changes; none where what was written stays.
    pub(super) fn draw_target(&self) -> Option<ProgressDrawTarget> {
        let terminal = self.terminal.clone().filter(|_| std::env::var_os("TERM").is_none_or(|name| name != "dumb"));
        terminal.map(|terminal| ProgressDrawTarget::term(terminal, DRAWN))
    }

    /// Columns of the terminal, now; none where there is none whose lines would have to be broken.
    pub(super) fn width(&self) -> Option<usize> {
        self.terminal.as_ref()?.size_checked().map(|(_, columns)| usize::from(columns))
    }

    /// The text in the characters that the stream shows.
    fn fit<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.is_utf8 { Cow::Borrowed(text) } else { Cow::Owned(ascii(text)) }
    }

    pub(super) fn write(&mut self, text: &str) -> io::Result<()> {
        let text = self.fit(text).into_owned();
        self.writer.write_all(text.as_bytes())?;
        self.writer.flush()
    }
}

/// How often a second a view is drawn at most.
const DRAWN: u8 = 20;
