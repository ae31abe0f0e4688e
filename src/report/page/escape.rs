//! HTML in which a text can be nothing but text: whatever goes in is escaped, unless it is HTML of our own.

use std::fmt;

use super::super::text::{LONGEST_LINE, one_line, visible, visible_json};
use crate::event::CaseName;
use crate::secret::RedactedText;

/// HTML that this program wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// Takes markup in; values in it have been escaped by [`html`].
    pub(super) fn push(&mut self, markup: fmt::Arguments<'_>) {
        fmt::Write::write_fmt(&mut self.0, markup).expect("a string takes everything");
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where it has this markup for the first time.
    pub(super) fn find(&self, markup: &str) -> Option<usize> {
        self.0.find(markup)
    }

    #[cfg(test)]
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// Adds markup to a page, with values in the places of `{}`: `html!(page, "<b>{}</b>", name)`.
macro_rules! html {
    ($page:expr, $markup:literal $(, $value:expr)* $(,)?) => {
        $page.push(format_args!($markup $(, $crate::report::page::escape::Shown(&$value))*))
    };
}
pub(super) use html;

/// How a value stands in HTML, in text and in an attribute between double quotes alike.
pub(super) trait Show {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
}

/// A value in its place.
pub(super) struct Shown<'a, T: ?Sized>(pub(super) &'a T);

impl<T: Show + ?Sized> fmt::Display for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.show(f)
    }
}

impl Show for str {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = visible(self);
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            f.write_str(&rest[..at])?;
            f.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            })?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}

impl Show for String {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().show(f)
    }
}

impl Show for RedactedText {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().show(f)
    }
}

impl Show for CaseName {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shown().show(f)
    }
}

impl Show for Html {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<T: Show + ?Sized> Show for &T {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).show(f)
    }
}

macro_rules! shown_as_it_is {
    ($($number:ty),*) => {$(
        impl Show for $number {
            fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }
    )*};
}

shown_as_it_is!(u8, u16, usize, f64, char);

/// A sentence, in which names stand in backticks: these become code.
pub(super) fn prose(text: &str) -> Html {
    let line = one_line(text, LONGEST_LINE);
    let parts: Vec<&str> = line.split('`').collect();
    let mut page = Html::default();
    if parts.len().is_multiple_of(2) {
        html!(page, "{}", line);
        return page;
    }
    for (index, part) in parts.iter().enumerate() {
        match index % 2 {
            0 => html!(page, "{}", part),
            _ => html!(page, "<code>{}</code>", part),
        }
    }
    page
}

/// A link to an address of the web; the text alone where the address is none.
pub(super) fn link(address: &str, text: &str) -> Html {
    let mut page = Html::default();
    let is_web = ["https://", "http://"]
        .iter()
        .any(|scheme| address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)));
    if is_web && !address.contains(|char: char| char.is_whitespace() || char.is_control()) {
        html!(page, "<a href=\"{}\" rel=\"noopener noreferrer\">{}</a>", address, text);
    } else {
        html!(page, "{}", text);
    }
    page
}

/// A link to a file beside the page; the text alone where the path leads elsewhere.
pub(super) fn file(path: &str, text: &str) -> Html {
    let mut page = Html::default();
    let is_inside = |part: &str| !part.is_empty() && part != "." && part != "..";
    if path.split('/').all(is_inside) {
        let address: Vec<String> = path.split('/').map(encoded).collect();
        html!(page, "<a href=\"{}\">{}</a>", address.join("/"), text);
    } else {
        html!(page, "{}", text);
    }
    page
}

/// A part of a path as an address has it: nothing but plain letters stands for itself.
fn encoded(part: &str) -> String {
    let mut address = String::with_capacity(part.len());
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => address.push(char::from(byte)),
            other => address.push_str(&format!("%{other:02X}")),
        }
    }
    address
}

/// JSON in a script element, which it cannot end.
pub(super) fn json(value: &impl serde::Serialize) -> Html {
    let text = serde_json::to_string(value).expect("what is shown is plain data");
    let mut safe = String::with_capacity(text.len());
    for char in visible_json(&text).chars() {
        match char {
            '<' | '>' | '&' => safe.push_str(&format!("\\u{:04x}", u32::from(char))),
            other => safe.push(other),
        }
    }
    Html(safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_nothing_but_text() {
        let mut page = Html::default();
        html!(page, "<b title=\"{}\">{}</b>", "\"'><img onerror=x>", "</b>&amp;\u{1b}[2J\u{202e}");
        assert_eq!(
            page.as_str(),
            "<b title=\"&quot;&#39;&gt;&lt;img onerror=x&gt;\">&lt;/b&gt;&amp;amp;␛[2J\u{fffd}</b>"
        );
        assert_eq!(prose("`a<b`: c`d`").as_str(), "<code>a&lt;b</code>: c<code>d</code>");
        assert_eq!(prose("a ` b").as_str(), "a ` b");
    }

    #[test]
    fn only_addresses_of_the_web_are_linked() {
        for address in
            ["javascript:alert(1)", "data:text/html,x", "//evil", "ftp://x", "https://a b", " https://a", "é"]
        {
            assert_eq!(link(address, "x").as_str(), "x", "{address}");
        }
        assert_eq!(
            link("HTTPS://ci/?a=1&b=\"", "x").as_str(),
            "<a href=\"HTTPS://ci/?a=1&amp;b=&quot;\" rel=\"noopener noreferrer\">x</a>"
        );
    }

    #[test]
    fn only_files_beside_the_page_are_linked() {
        for path in ["", "/etc/passwd", "//evil/x", "../x", "suites/../../x", "./x"] {
            assert!(!file(path, "x").as_str().contains("href"), "{path}");
        }
        assert_eq!(file("javascript:alert(1)", "x").as_str(), "<a href=\"javascript%3Aalert%281%29\">x</a>");
        assert_eq!(file("suites/a b?/é#.log", "x").as_str(), "<a href=\"suites/a%20b%3F/%C3%A9%23.log\">x</a>");
    }

    #[test]
    fn json_cannot_end_its_script_and_means_the_same() {
        let text = "</script><!--&\u{2028}\u{2029}\u{7f}\"";
        let written = json(&text);
        assert!(!written.as_str().contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{}", written.as_str());
        assert_eq!(serde_json::from_str::<String>(written.as_str()).unwrap(), text);
    }
}
