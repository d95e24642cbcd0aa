//! `man`: manual pages, made of the command line's own help.

use std::{fmt::Write, fs, path::Path};

use clap::{Command, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Inline, Roff, bold, roman},
};
use compose_model::{
    Diagnostic, ExitCode, Failure, env, exit, text,
    variables::{self, Variable},
};

use super::{DONE, help};
use crate::{
    cli::{self, Cli, Format},
    report::{json_document, to_stdout},
};

/// A manual page.
struct Page {
    /// The name of its file: `bitops-compose-plan.1`.
    name: String,
    text: String,
}

/// Runs `man`.
pub(crate) fn run(args: &cli::Man) -> Result<u8, Failure> {
    let program = program();
    let (text, value) = match &args.output {
        Some(dir) => {
            let pages = pages(&program)?;
            write(dir, &pages)?;
            let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
            let text = format!("{} pages in {}\n", pages.len(), dir.display());
            (
                text,
                serde_json::json!({ "directory": dir.display().to_string(), "pages": names }),
            )
        }
        None => {
            let page = page(command(&program, &args.command)?)?;
            let value = serde_json::json!({ "name": page.name, "page": page.text });
            (page.text, value)
        }
    };
    match args.format {
        Format::Text => to_stdout(text.as_bytes())?,
        Format::Json => to_stdout(json_document(&value)?.as_bytes())?,
    }
    Ok(DONE)
}

/// Returns the command line with all names and arguments that clap adds, but without the commands `help`, which have
/// no pages.
fn program() -> Command {
    let mut program = Cli::command()
        .disable_help_subcommand(true)
        .subcommand_help_heading("COMMANDS")
        .subcommand_value_name("command");
    program.build();
    program
}

/// Returns the commands below this one that help lists.
fn below(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| !command.is_hide_set())
}

/// Returns the command that the words name.
fn command<'a>(program: &'a Command, words: &[String]) -> Result<&'a Command, Diagnostic> {
    let mut command = program;
    for word in words {
        command = below(command)
            .find(|below| below.get_name() == word)
            .ok_or_else(|| no_such_command(command, word))?;
    }
    Ok(command)
}

/// Returns the pages of a command and of all that are below it.
fn pages(command: &Command) -> Result<Vec<Page>, Diagnostic> {
    let mut pages = vec![page(command)?];
    for command in below(command) {
        pages.extend(self::pages(command)?);
    }
    Ok(pages)
}

fn write(dir: &Path, pages: &[Page]) -> Result<(), Diagnostic> {
    let cannot = |path: &Path, error| {
        let message = format!("{} cannot be written", path.display());
        Diagnostic::new(ExitCode::CannotWrite, message).because(error)
    };
    fs::create_dir_all(dir).map_err(|error| cannot(dir, error))?;
    for page in pages {
        let path = dir.join(&page.name);
        fs::write(&path, &page.text).map_err(|error| cannot(&path, error))?;
    }
    Ok(())
}

fn page(command: &Command) -> Result<Page, Diagnostic> {
    // Not empty: the words after it would move into its place. Builds are reproducible, so the page has no date.
    let man = Man::new(command.clone())
        .date(" ")
        .source(concat!("bitops-compose ", env!("BITOPS_COMPOSE_VERSION")))
        .manual("bitops-compose");
    let mut text = Vec::new();
    render(command, &man, &mut text)
        .map_err(|error| Diagnostic::new(ExitCode::Bug, "a manual page cannot be made").because(error))?;
    Ok(Page {
        name: man.get_filename(),
        text: plain(&String::from_utf8_lossy(&text)),
    })
}

/// Returns a page in ASCII, which every man reads, with its definitions once instead of in each section.
fn plain(page: &str) -> String {
    let definitions = Roff::new().render();
    let mut out = definitions.clone();
    for c in page.replace(&definitions, "").replace('…', "...").chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            let _ = write!(out, "\\[u{:04X}]", u32::from(c));
        }
    }
    out
}

fn render(command: &Command, man: &Man, out: &mut Vec<u8>) -> std::io::Result<()> {
    let is_program = command.get_name() == "bitops-compose";
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(out)?;
    }
    if below(command).next().is_some() {
        man.render_subcommands_section(out)?;
    }
    let mut more = Roff::new();
    more.control("SH", ["ENVIRONMENT"]);
    if is_program {
        for group in variables::GROUPS {
            more.control("SS", [group.title]);
            add_variables(&mut more, group.variables.iter());
        }
    } else {
        let all = variables::GROUPS.iter().flat_map(|group| group.variables);
        add_variables(
            &mut more,
            all.filter(|variable| variable.name == env::BITOPS_ENVIRONMENT),
        );
        more.control("PP", []);
        more.text([bold("bitops-compose"), roman("(1) lists all variables.")]);
    }
    more.control("SH", ["EXIT STATUS"]);
    for status in exit::STATUSES {
        more.control("TP", []);
        more.text([bold(status.code.to_string())]);
        more.text(inlines(status.meaning));
    }
    more.control("PP", []);
    more.text(inlines(help::PIPELINES_OWN));
    if !is_program {
        more.control("SH", ["SEE ALSO"]);
        more.text([bold("bitops-compose"), roman("(1)")]);
    }
    more.to_writer(out)
}

fn add_variables<'a>(out: &mut Roff, variables: impl Iterator<Item = &'a Variable>) {
    for variable in variables {
        out.control("TP", []);
        out.text([bold(variable.name)]);
        out.text(inlines(&help::with_default(variable)));
    }
}

/// Returns a text in which bold letters stand for backticks.
fn inlines(text: &str) -> Vec<Inline> {
    let parts = text.split('`').enumerate();
    parts
        .map(|(at, part)| if at % 2 == 0 { roman(part) } else { bold(part) })
        .collect()
}

fn no_such_command(command: &Command, word: &str) -> Diagnostic {
    let shown = text::escape(word, 200);
    let names: Vec<&str> = below(command).map(Command::get_name).collect();
    let message = match command.get_bin_name() {
        Some(above) => format!("`{above}` has no command `{shown}`"),
        None => format!("there is no command `{shown}`"),
    };
    let problem = Diagnostic::new(ExitCode::Usage, message);
    match text::did_you_mean(word, names.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean `{near}`?")),
        None if names.is_empty() => problem,
        None => problem.hint(format!("there are: {}", names.join(", "))),
    }
}
