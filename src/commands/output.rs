//! Results to standard output, everything else to standard error.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use crate::document::source::Unreadable;
use crate::report::console::{Style, place};
use crate::report::text::visible;

/// Writes results. A reader that has gone away is no error: it has what it wanted.
///
/// # Errors
/// When standard output cannot be written to, as on a full disk.
pub fn print(text: &str) -> Result<(), String> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}"))
        }
        _ => Ok(()),
    }
}

/// Says something beside the results, on one line. There is nobody to tell when this fails.
pub fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", visible(text));
}

/// Says what could not be read.
pub fn say_unreadable(unreadable: &Unreadable) {
    let source = &unreadable.source;
    let item = source
        .item
        .map(|item| format!(", item {item}"))
        .unwrap_or_default();
    let document = if source.document > 0 || source.item.is_some() {
        format!("document {}{item}: ", source.document)
    } else {
        String::new()
    };
    say(&format!(
        "error: {}: {document}{}",
        place(source),
        unreadable.error
    ));
}

/// The style of standard output: colours on a terminal, unless `NO_COLOR` says otherwise.
pub fn style() -> Style {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Style {
        colour: !no_color && io::stdout().is_terminal(),
    }
}

/// How far a long run is: a line on standard error, if that is a terminal, after the first second.
pub struct Progress {
    next: Option<Instant>,
    shown: bool,
}

impl Progress {
    /// Starts the clock.
    pub fn start() -> Progress {
        let next = io::stderr()
            .is_terminal()
            .then(|| Instant::now() + Duration::from_secs(1));
        Progress { next, shown: false }
    }

    /// Shows how far the run is, if it is time to.
    pub fn show(&mut self, text: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.next.is_some_and(|next| now >= next) {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K{}", visible(&text()));
            self.next = Some(now + Duration::from_millis(100));
            self.shown = true;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr().lock(), "\r\u{1b}[K");
        }
    }
}
