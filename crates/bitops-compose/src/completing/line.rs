//! The words of a command line before the cursor.

use std::ffi::OsString;

use clap::{Arg, Command};

/// The values that the words before the cursor give to arguments.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// The name of the argument, and the value. Words of the command are in order.
    values: Vec<(String, String)>,
}

impl Line {
    /// Reads the words, the first of which is the program. What clap would refuse is passed over.
    pub(super) fn read(cli: &Command, words: &[OsString]) -> Self {
        let mut line = Self::default();
        let (mut command, mut position) = (cli, 1);
        let mut words = words.iter().skip(1).map(|word| word.to_string_lossy());
        while let Some(word) = words.next() {
            if let Some(long) = word.strip_prefix("--") {
                let (name, value) = match long.split_once('=') {
                    Some((name, value)) => (name, Some(value.to_owned())),
                    None => (long, None),
                };
                let option = command.get_arguments().find(|one| one.get_long() == Some(name));
                if let Some(option) = option.filter(|option| takes_value(option)) {
                    line.add(option, value.or_else(|| Some(words.next()?.into_owned())));
                }
            } else if let Some(short) = word.strip_prefix('-') {
                for (at, c) in short.char_indices() {
                    let option = command.get_arguments().find(|one| one.get_short() == Some(c));
                    if let Some(option) = option.filter(|option| takes_value(option)) {
                        let rest = &short[at + c.len_utf8()..];
                        let rest = rest.strip_prefix('=').unwrap_or(rest);
                        let value = (!rest.is_empty()).then(|| rest.to_owned());
                        line.add(option, value.or_else(|| Some(words.next()?.into_owned())));
                        break;
                    }
                }
            } else if let Some(below) = command.find_subcommand(word.as_ref()) {
                (command, position) = (below, 1);
            } else {
                let place = command
                    .get_positionals()
                    .filter(|one| one.get_index() <= Some(position));
                if let Some(argument) = place.last() {
                    line.add(argument, Some(word.into_owned()));
                }
                position += 1;
            }
        }
        line
    }

    fn add(&mut self, argument: &Arg, value: Option<String>) {
        if let Some(value) = value {
            self.values.push((argument.get_id().to_string(), value));
        }
    }

    /// Returns the last value of an argument.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values(name).last()
    }

    /// Returns the values of an argument.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let values = self.values.iter().filter(move |(of, _)| of == name);
        values.map(|(_, value)| value.as_str())
    }
}

fn takes_value(argument: &Arg) -> bool {
    argument.get_num_args().is_some_and(|count| count.takes_values())
}

/// Returns a word as the shell reads it, of which the closing quote may not be typed yet.
pub(super) fn unquoted(word: &str) -> String {
    let closed = ["", "'", "\""].map(|quote| format!("{word}{quote}"));
    let read = closed.iter().find_map(|word| shell_words::split(word).ok());
    read.map_or_else(|| word.to_owned(), |words| words.join(" "))
}

/// What is typed of the last word, of a shell that wants the rest as it would be typed.
#[derive(Debug)]
pub(super) struct Begun {
    /// What the shell keeps, because it takes it for an earlier word: `https:` of `https://host`.
    kept: String,
    /// The quote within which the rest is.
    quote: Option<char>,
}

/// Splits a line of bash into words without quotes. The last one ends at the end of the line, and may be empty.
pub(super) fn split(line: &str, breaks: &str) -> (Vec<String>, Begun) {
    let mut words = Vec::new();
    let (mut word, mut quote) = (None::<String>, None);
    // What the shell keeps of the word.
    let mut kept = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', None) => word.get_or_insert_default().extend(chars.next()),
            ('\\', Some('"')) => {
                let next = chars.next();
                let is_escape = next.is_some_and(|next| "\\\"$`".contains(next));
                word.get_or_insert_default()
                    .extend((!is_escape).then_some('\\').into_iter().chain(next));
            }
            ('\'' | '"', None) => {
                kept = word.get_or_insert_default().clone();
                quote = Some(c);
            }
            (' ' | '\t', None) => {
                words.extend(word.take());
                kept.clear();
            }
            (c, None) => {
                let word = word.get_or_insert_default();
                word.push(c);
                if breaks.contains(c) {
                    kept.clone_from(word);
                }
            }
            (c, Some(_)) => word.get_or_insert_default().push(c),
        }
    }
    words.push(word.unwrap_or_default());
    (words, Begun { kept, quote })
}

impl Begun {
    /// Returns what stands in the place of what is typed after the part that is kept. `None` if it cannot be typed there.
    pub(super) fn rest(&self, value: &str) -> Option<String> {
        let rest = value.strip_prefix(&self.kept)?;
        let special: &[char] = match self.quote {
            Some('\'') => return (!rest.contains('\'')).then(|| rest.to_owned()),
            Some(_) => &['\\', '"', '$', '`'],
            None => &SPECIAL,
        };
        let mut typed = String::with_capacity(rest.len());
        for c in rest.chars() {
            if special.contains(&c) {
                typed.push('\\');
            }
            typed.push(c);
        }
        Some(typed)
    }
}

/// The characters that mean something to bash.
const SPECIAL: [char; 24] = [
    ' ', '\\', '\'', '"', '$', '`', '&', '|', ';', '<', '>', '(', ')', '*', '?', '[', ']', '{', '}', '!',
    '#', '~', '^', ',',
];

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn read(words: &[&str]) -> Line {
        let mut cli = Cli::command();
        cli.build();
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        Line::read(&cli, &words)
    }

    #[test]
    fn arguments_are_found_by_their_names() {
        let line = read(&[
            "x",
            "-C",
            "a b",
            "add",
            "-qv",
            "--ops-repo=ops",
            "https://host/r",
            "--to",
            "dev",
        ]);
        assert_eq!(line.value("directory"), Some("a b"));
        assert_eq!(line.value("ops_repo"), Some("ops"));
        assert_eq!(line.value("repo"), Some("https://host/r"));
        assert_eq!(line.value("to"), Some("dev"));
        assert_eq!(line.value("environment"), None);
        let line = read(&["x", "-qCops", "update", "one", "--unknown", "two"]);
        assert_eq!(line.value("directory"), Some("ops"));
        assert_eq!(line.values("words").collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!(read(&["x", "plan", "--ops-repo"]).value("ops_repo"), None);
    }

    #[test]
    fn a_line_is_split_as_bash_reads_it() {
        for (line, words, value, rest) in [
            ("x plan ", &["x", "plan", ""][..], "dev", Some("dev")),
            ("x plan de", &["x", "plan", "de"], "dev", Some("dev")),
            (
                "x plan my\\ e",
                &["x", "plan", "my e"],
                "my env",
                Some("my\\ env"),
            ),
            ("x plan 'my e", &["x", "plan", "my e"], "my env", Some("my env")),
            (
                "x plan \"my e",
                &["x", "plan", "my e"],
                "my $env",
                Some("my \\$env"),
            ),
            ("x plan 'it", &["x", "plan", "it"], "it's", None),
            (
                "x add https://h",
                &["x", "add", "https://h"],
                "https://host",
                Some("//host"),
            ),
            (
                "x plan --ops-repo=o",
                &["x", "plan", "--ops-repo=o"],
                "--ops-repo=ops/",
                Some("ops/"),
            ),
            ("x  'a'\"b\" ''  c", &["x", "ab", "", "c"], "c", Some("c")),
        ] {
            let (found, begun) = split(line, " \t\n\"'><=;|&(:");
            assert_eq!(found, words, "{line}");
            assert_eq!(begun.rest(value).as_deref(), rest, "{line}");
        }
        assert_eq!(unquoted("my\\ e"), "my e");
        assert_eq!(unquoted("'my e"), "my e");
        assert_eq!(unquoted("\"my e"), "my e");
    }
}
