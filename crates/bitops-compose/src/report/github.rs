//! GitHub Actions: annotations on the config's line, and the run's summary.
//!
//! Source: GitHub's "Workflow commands for GitHub Actions".

use std::{fs::OpenOptions, io::Write};

use compose_model::{Severity, env};

use crate::problem::Problem;

/// The workflow command that puts a problem on its line.
pub(crate) fn annotate(problem: &Problem) -> String {
    let command = match problem.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let place = problem.place.as_ref().map_or(String::new(), |place| {
        let (line, column) = place.line_column();
        format!("file={},line={line},col={column},", property(&place.file))
    });
    let mut message = problem.message.clone();
    for cause in &problem.causes {
        message.push_str(&format!("\n{}: ", problem.causes_are));
        message.push_str(cause);
    }
    for hint in &problem.hints {
        message.push_str("\nhint: ");
        message.push_str(hint);
    }
    format!("::{command} {place}title=bitops-compose::{}\n", data(&message))
}

/// Appends Markdown to the run's summary. That it cannot is no reason to fail a deployment.
pub(crate) fn summary(markdown: impl FnOnce() -> String) {
    let Some(path) = std::env::var_os(env::GITHUB_STEP_SUMMARY).filter(|path| !path.is_empty()) else {
        return;
    };
    let written = OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| file.write_all(markdown().as_bytes()));
    if let Err(error) = written {
        tracing::warn!(%error, path = %path.display(), "the step summary cannot be written");
    }
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use compose_model::{ExitCode, Place};

    use super::*;

    #[test]
    fn an_annotation_is_one_line_on_the_configs_line() {
        let place = Place {
            file: Arc::from("dev/a,b.yaml"),
            text: Arc::from("x\ny: 1\n"),
            span: 2..3,
        };
        let problem = Problem::new(ExitCode::Config, "100% wrong")
            .at(place)
            .hint("mend it");
        assert_eq!(
            annotate(&problem),
            "::error file=dev/a%2Cb.yaml,line=2,col=1,title=bitops-compose::100%25 wrong%0Ahint: mend it\n"
        );
    }
}
