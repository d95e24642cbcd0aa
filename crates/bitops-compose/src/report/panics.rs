//! What is printed about a panic, which is a bug of this program or of a library.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::Write as _,
    panic::PanicHookInfo,
};

use compose_model::text::escape;

use super::{github::guard, mask::Masks};

/// The most characters of a panic's message.
const MAX_MESSAGE: usize = 1000;

/// Prints panics from now on as everything else is printed: escaped and masked, because the message may
/// quote a server or a file. A backtrace follows where `RUST_BACKTRACE` asks for one.
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let text = line(message(panic), &place, &Masks::current());
        // The bars' lock may be held by this very thread, so this write does not wait for it.
        let mut stderr = std::io::stderr();
        let _ = stderr.write_all(text.as_bytes());
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            let _ = writeln!(stderr, "{backtrace}");
        }
    }));
}

fn message<'a>(panic: &'a PanicHookInfo<'_>) -> &'a str {
    let payload = panic.payload();
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or_default()
}

fn line(message: &str, place: &str, masks: &Masks) -> String {
    if masks.is_unreadable() {
        return format!("bug: a panic at {place}\n");
    }
    let message = masks.apply(message);
    let text = format!("bug: a panic at {place}: {}\n", escape(&message, MAX_MESSAGE));
    guard(&text, false).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_panic_is_no_terminals_and_no_runners_command() {
        let line = line(
            "the server said \u{1b}[2J\n::error::x ##vso[a]",
            "a/b.rs:1:2",
            &Masks::default(),
        );
        assert_eq!(line.lines().count(), 1, "{line:?}");
        assert!(
            line.starts_with("bug: a panic at a/b.rs:1:2: the server said "),
            "{line:?}"
        );
        assert!(!line.contains('\u{1b}') && !line.contains("##vso["), "{line:?}");
    }
}
