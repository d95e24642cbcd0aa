//! The process that holds a lock, as the system reports it.
//!
//! The callers read the texts: `/proc/locks` and `/proc/PID/stat`, see proc(5).

use crate::text::escape;

/// Returns the process that holds a `flock` on a file, given the text of `/proc/locks`. Processes of
/// other PID namespaces are not listed there.
pub fn holder(locks: &str, (major, minor): (u32, u32), inode: u64) -> Option<u32> {
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        // A line of a process that waits has an arrow here.
        if words.next() != Some("FLOCK") {
            return None;
        }
        let pid = words.nth(2)?.parse().ok()?;
        (words.next() == Some(&file) && pid != 0).then_some(pid)
    })
}

/// Describes a process by its id, its command, and whether it is stopped, given the text of its
/// `stat`, which may be empty.
pub fn describe(pid: u32, stat: &str) -> String {
    // The command is in parentheses, and may contain some.
    let parts = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')'));
    let Some((command, rest)) = parts else {
        return format!("process {pid}");
    };
    let command = escape(command, 40);
    match rest.split_whitespace().next() {
        Some("T" | "t") => format!("process {pid} ({command}, stopped)"),
        _ => format!("process {pid} ({command})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_found() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 fe:00:77 0 EOF\n\
            2: FLOCK  ADVISORY  WRITE 0 fe:00:78 0 EOF\n\
            3: FLOCK  ADVISORY  READ 33 fe:00:77 0 EOF\n\
            3: -> FLOCK  ADVISORY  WRITE 44 fe:00:79 0 EOF\n\
            4: FLOCK\n\
            5: FLOCK  ADVISORY  WRITE 55 103:1f:77 0 EOF\n";
        assert_eq!(holder(locks, (0xfe, 0), 77), Some(33));
        assert_eq!(holder(locks, (0x103, 0x1f), 77), Some(55));
        assert_eq!(holder(locks, (0xfe, 0), 78), None, "of another namespace");
        assert_eq!(holder(locks, (0xfe, 0), 79), None, "it only waits");
        assert_eq!(holder("", (0xfe, 0), 77), None);
    }

    #[test]
    fn a_process_is_described_without_what_a_terminal_obeys() {
        assert_eq!(describe(7, "7 (sleep) S 1 7"), "process 7 (sleep)");
        assert_eq!(describe(7, "7 (a) (b) T 1 7"), "process 7 (a) (b, stopped)");
        assert_eq!(
            describe(7, "7 (\u{1b}[2J) t 1"),
            "process 7 (\\u{1b}[2J, stopped)"
        );
        assert_eq!(describe(7, ""), "process 7");
    }
}
