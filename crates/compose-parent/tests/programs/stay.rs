//! The parent alone, for tests: `stay GRACE_MS [--watch SECONDS.NANOSECONDS] -- PROGRAM ARGS...`.
//!
//! Writes every call of its host to standard error. The copy is expected where Python would make
//! it.

#![allow(clippy::print_stderr)]

use std::{ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};

use compose_parent::{Host, Note, Program, Watch, run, temporary_directories};

struct Printing;

impl Host for Printing {
    fn copied(&mut self) {
        // Switches the link back in one rename, as the product does.
        if let Some(link) = std::env::var_os("STAY_LINK") {
            let aside = PathBuf::from(&link).with_extension("new");
            std::os::unix::fs::symlink("mount", &aside).unwrap();
            std::fs::rename(&aside, link).unwrap();
        }
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        eprintln!("stay: copied {}", now.as_nanos());
    }

    fn say(&mut self, note: &Note) {
        eprintln!("stay: {note:?}");
    }
}

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let separator = words.iter().position(|word| word == "--").expect("-- PROGRAM");
    let (options, words) = (&words[..separator], words[separator + 1..].to_vec());
    let option = |index: usize| options.get(index).and_then(|word| word.to_str());
    let grace = Duration::from_millis(option(0).expect("GRACE_MS").parse().expect("a number"));
    let dir = std::env::current_dir().expect("a working directory");
    let watch = option(2).map(|marker| {
        let (seconds, nanoseconds) = marker.split_once('.').expect("SECONDS.NANOSECONDS");
        Watch {
            original: dir.join("source"),
            marker: (seconds.parse().unwrap(), nanoseconds.parse().unwrap()),
            directories: temporary_directories(&dir),
        }
    });
    let program = Program {
        path: PathBuf::from(&words[0]),
        words,
        dir,
    };
    match run(&program, watch.as_ref(), grace, &mut Printing) {
        Ok(ended) => {
            if watch.is_some() {
                eprintln!("stay: may have copied: {}", ended.may_have_copied);
            }
            ended.die_of_interrupt();
            ended.code.into()
        }
        Err(error) => {
            eprintln!("stay: {error:?}");
            127.into()
        }
    }
}
