//! Colours for results that somebody looks at, line by line: no line says anything by its colour alone.

const BOLD: &str = "\x1b[1m";
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const CYAN: &str = "\x1b[36m";
const RESET: &str = "\x1b[0m";

/// `plan`
pub(crate) fn plan(text: &str) -> String {
    let mut conflicts = false;
    each_line(text, |line| {
        let said = line.trim_start_matches(['│', '├', '└', '─', ' ']);
        if said == line && !line.is_empty() {
            let word = line.split(' ').nth(1).unwrap_or_default();
            conflicts = line.starts_with(|c: char| c.is_ascii_digit()) && word.starts_with("conflict");
            return Some(match line {
                _ if conflicts => RED,
                "Warnings" | "Notes" => YELLOW,
                _ => BOLD,
            });
        }
        let verb = said.split(' ').next().unwrap_or_default();
        match verb {
            _ if conflicts => None,
            "adds" => Some(GREEN),
            "overrides" => Some(YELLOW),
            "merges" | "keeps" | "renames" => Some(CYAN),
            _ => None,
        }
    })
}

/// `explain`
pub(crate) fn explanation(text: &str) -> String {
    let mut first = true;
    each_line(text, |line| {
        let head = std::mem::take(&mut first);
        let said = line.trim_start();
        if head {
            Some(BOLD)
        } else if said.starts_with("conflict:") {
            Some(RED)
        } else if said.starts_with("note:") {
            Some(YELLOW)
        } else {
            matches!(said, "keys" | "layers, lowest first").then_some(BOLD)
        }
    })
}

/// A unified diff.
pub(crate) fn diff(text: &str) -> String {
    each_line(text, |line| match line.as_bytes().first() {
        _ if line.starts_with("--- ") || line.starts_with("+++ ") => Some(BOLD),
        Some(b'@') => Some(CYAN),
        Some(b'-') => Some(RED),
        Some(b'+') => Some(GREEN),
        _ => None,
    })
}

fn each_line(text: &str, mut style: impl FnMut(&str) -> Option<&'static str>) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for line in text.split_inclusive('\n') {
        let said = line.trim_end_matches(['\n', '\r']);
        match style(said) {
            Some(style) => out.push_str(&format!("{style}{said}{RESET}{}", &line[said.len()..])),
            None => out.push_str(line),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_colours_are_added() {
        let text = "dev: 1 source\n\neks  v1  url\n├─ adds 1 file\n│  └─ adds.txt\n└─ overrides x\n\nWarnings\n  w\n\n1 conflict in eks\n└─ adds: no\n";
        let painted = plan(text);
        let mut plain = painted.clone();
        for code in [BOLD, RED, GREEN, YELLOW, CYAN, RESET] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, text);
        for line in [
            "\x1b[1mdev: 1 source\x1b[0m\n",
            "\x1b[32m├─ adds 1 file\x1b[0m\n",
            "\x1b[33m└─ overrides x\x1b[0m\n",
            "\x1b[33mWarnings\x1b[0m\n",
            "\x1b[31m1 conflict in eks\x1b[0m\n└─ adds: no\n",
        ] {
            assert!(painted.contains(line), "{line:?} in {painted:?}");
        }
        assert_eq!(
            diff("-a\r\n+b\n c\n"),
            "\x1b[31m-a\x1b[0m\r\n\x1b[32m+b\x1b[0m\n c\n"
        );
    }
}
