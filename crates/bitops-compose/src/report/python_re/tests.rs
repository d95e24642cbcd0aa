use std::process::Command;

use compose_testkit::{fuzz::feed, oracle, standin};
use fancy_regex::Regex;

use super::*;

/// Reads pairs of a pattern, a template and a text, and writes what `re.sub` makes of each; `null`
/// where Python refuses the pattern or the template.
const ORACLE: &str = "
import json, re, sys, warnings
warnings.simplefilter('ignore')
def sub(search, replace, text):
    try:
        return re.sub(search, replace, text, flags=re.M)
    except (re.error, IndexError, OverflowError, RecursionError):
        return None
print(json.dumps([sub(*row) for row in json.load(sys.stdin)]))
";

fn pythons(rows: &[(String, String, String)]) -> Vec<Option<String>> {
    let mut command = Command::new(standin::python());
    command.args(["-c", ORACLE]).env("PYTHONIOENCODING", "utf-8");
    serde_json::from_value(oracle::ask(command, &serde_json::json!(rows))).unwrap()
}

fn ours(search: &str, replace: &str, text: &str) -> Option<String> {
    let regex = Regex::new(&pattern(search)?).ok()?;
    let replaced = regex.try_replacen(text, 0, template(replace)?.as_str());
    replaced.ok().map(Into::into)
}

const TEXT: &str = "<secret> [secret] 'a-secret' secret{2} &&secret a1 secret\nsecret: AA \u{e9}\u{1c}\u{1d7d9} (s) x12 \u{8}";

#[test]
fn patterns_mean_what_they_mean_to_python() {
    let patterns = [
        r"\<secret\>",
        r"[[(]secret[\])]",
        r"[[a]]",
        r"[a&&b]+",
        r"[a-]+",
        r"[]a]",
        r"[^]a]",
        r"[\w-]+",
        r"secret{,2}",
        r"secret{2}",
        r"secret{",
        r"secret{a}",
        r"x{1,}1",
        r"[\b]",
        r"(?P<n>s)(?P=n)?ecret",
        r"secret$",
        r"^secret",
        r"(?i)SECRET",
        r"(?is)secret.A",
        r"(?x) sec ret # [",
        r"(?x)[ ]secret",
        r"(?x)\ secret",
        r"(?i:SEC)ret",
        r"(?s-i:secret)",
        r"(?m)^secret$",
        r"(?u)\w+",
        r"\101+",
        r"[\101]+",
        r"\x41+",
        r"\u0041+",
        r"\U00000041",
        r"\0",
        r"(s)ecret\1?",
        r"(s)(e)(c)(r)(e)(t)(:)( )(A)(A)(.)\11?",
        r"\w+",
        r"\W+",
        r"\s+",
        r"\S+",
        r"\d+",
        r"\D+",
        r"\bsecret\b",
        r"\b{secret",
        r"(?#note)secret",
        r"(<)?secret(?(1)>|\])",
        r"(?P<o><)?secret(?(o)>|\])",
        r"(?<=a-)secret",
        r"(?<!a-)secret",
        r"(?=secret)\w",
        r"secret(?! \[)",
        r"\-\#\ \/\:\'\=\@\%",
        r"secret\}",
        r"a}",
        r"a]",
        r"[\x41-\x43]+",
        r"[+--]",
        r"[~~a]",
        r"\.",
    ];
    let rows: Vec<_> = patterns
        .iter()
        .map(|search| (search.to_string(), r"*\g<0>*".to_owned(), TEXT.to_owned()))
        .collect();
    let expected = pythons(&rows);
    for ((search, replace, text), expected) in rows.iter().zip(expected) {
        let found = ours(search, replace, text);
        assert!(expected.is_some(), "{search}");
        assert_eq!(found, expected, "{search}");
    }
}

#[test]
fn what_has_no_counterpart_is_refused() {
    for search in [
        r"(?a)\w",
        r"(?L)a",
        r"secret(?i)",
        r"(?x:a b)",
        r"\N{DOLLAR SIGN}",
        r"\N",
        r"\h",
        r"\R",
        r"\K",
        r"\G",
        r"\p{L}",
        r"\z",
        r"\k<n>",
        r"\g<1>",
        r"(?<n>a)",
        r"(?P>n)",
        r"(?&n)",
        r"(*FAIL)",
        r"(?~a)",
        r"\x{41}",
        r"\x4",
        r"\e",
        r"\8x",
        r"[a",
        r"[\w-z]",
        r"(?|a)",
        r"(a)?(?(2)b|c)",
        r"(a)?(?(0)b|c)",
        r"(a)?(?(n)b|c)",
        r"(a)?(?()b|c)",
        r"\ud800",
        r"a\",
    ] {
        assert_eq!(ours(search, "*", "a"), None, "{search}");
    }
    for replace in [r"\q", r"\g<a b>", r"\g<", r"\g1", r"\x41", r"\g<>"] {
        assert_eq!(template(replace), None, "{replace}");
    }
}

#[test]
fn templates_mean_what_they_mean_to_python() {
    let rows = [
        r"\0",
        r"\0\g<0>",
        r"\1-\g<1>$",
        r"\g<n>",
        r"\\",
        r"\.",
        r"\n",
        r"\t\b",
        r"\101",
        r"\10",
        r"$1 ${1} $$",
        r"\",
    ]
    .map(|replace| {
        (
            "(?P<n>s)(e)(c)(r)(e)(t)(:)( )(A)(A)".to_owned(),
            replace.to_owned(),
            TEXT.to_owned(),
        )
    });
    for ((search, replace, text), expected) in rows.iter().zip(pythons(&rows)) {
        assert_eq!(ours(search, replace, text), expected, "{replace}");
    }
}

#[test]
fn anchors_are_for_each_line_as_bitops_applies_masks_to_lines() {
    let text = "secret\n+secret\n-secret\n secret\n=secret\n";
    for search in [r"^secret$", r"\Asecret\Z", r"^\w+$", r"(?s)^secret$"] {
        let hidden = ours(search, "*", text).unwrap();
        assert_eq!(hidden, "*\n+*\n-*\n *\n=secret\n", "{search}");
    }
}

/// A damaged pattern hides at least what it hides from BitOps' output, or it is refused.
#[test]
fn damaged_patterns_are_pythons_or_refused() {
    let seeds = [
        r"(?i)(?P<n>[^]\w-]+)secret(?P=n)?\b\s*[a-z&&\d]{1,3}$",
        r"\<secret\>|^[[(]\x41\101\1",
        r"(?:secret|a(?=x))(?(1)a|b)",
    ];
    let pieces = [
        "[",
        "]",
        "^",
        "-",
        "\\",
        "{",
        "}",
        ",",
        "(?:",
        "(?P<n>",
        "(?P=n)",
        "(?i)",
        "(?s:",
        ")",
        "\\w",
        "\\W",
        "\\1",
        "\\0",
        "$",
        "|",
        "*",
        "+",
        "?",
        "&&",
        "--",
        "#",
        " ",
        "secret",
        "1",
        "\\b",
        "~~",
        "[:alpha:]",
    ];
    let rows = std::cell::RefCell::new(Vec::new());
    feed(3000, &seeds, &pieces, |text, _| {
        let search = String::from_utf8_lossy(text).into_owned();
        let regex = pattern(&search).and_then(|search| Regex::new(&search).ok());
        // After an empty match Python looks for one that is not, at the same place, and it replaces an
        // empty match that follows another one.
        let is_simple = |regex: &Regex| {
            let mut found = regex.find_iter(TEXT);
            found.all(|found| found.is_ok_and(|found| !found.range().is_empty()))
                && regex.is_match("").is_ok_and(|matches| !matches)
        };
        if regex.is_some_and(|regex| is_simple(&regex)) {
            rows.borrow_mut().push((search, r"*".to_owned(), TEXT.to_owned()));
        }
    });
    let rows = rows.into_inner();
    assert!(rows.len() > 300, "{}", rows.len());
    for ((search, replace, text), expected) in rows.iter().zip(pythons(&rows)) {
        let found = ours(search, replace, text);
        assert!(
            expected.is_none() || found == expected,
            "{search:?}\n{found:?}\n{expected:?}"
        );
    }
}
