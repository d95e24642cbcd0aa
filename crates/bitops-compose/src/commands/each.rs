//! Runs a command for each environment that is meant, and prints the answers in the order of the environments.

use std::{future::Future, sync::Arc};

use compose_model::{Diagnostic, ExitCode, Failure, StyledText};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    cli::{Asked, Format, Place},
    job::{Job, Jobs},
    report::Printer,
    runtime,
};

/// How many environments are worked on at once. Each holds a composition in memory; the network has its own limit.
const AT_ONCE: usize = 8;

/// What a command says of one environment.
pub(crate) struct Answer {
    pub(crate) result: Answered,
    /// The exit code.
    pub(crate) code: u8,
}

/// The result of a command for one environment.
pub(crate) enum Answered {
    /// For people.
    Text(StyledText),
    /// The same with lines that are never broken.
    Verbatim(StyledText),
    /// For programs: indented JSON without a final newline, with the masks applied.
    Json(String),
}

impl Answer {
    /// Answers with a text whose lines are never broken: a diff, the source of a graph, a page for a pull request.
    pub(crate) fn verbatim(text: impl Into<StyledText>, code: u8) -> Self {
        Self {
            result: Answered::Verbatim(text.into()),
            code,
        }
    }

    /// Answers with a text for people.
    pub(crate) fn for_people(text: impl Into<StyledText>, code: u8) -> Self {
        Self {
            result: Answered::Text(text.into()),
            code,
        }
    }

    /// Answers with a value for programs.
    pub(crate) fn json(job: &Job, value: &impl serde::Serialize, code: u8) -> Result<Self, Failure> {
        Ok(Self {
            result: Answered::Json(job.printer.masked_json(value)?),
            code,
        })
    }
}

/// An environment's answer, or why there is none, with the printer that holds back its problems.
struct Done {
    environment: String,
    printer: Printer,
    answer: Result<Answer, Failure>,
}

/// Calls `act` for each environment, and prints what it answers. Returns the highest exit code.
pub(crate) fn each<A, F>(place: &Place, asked: Asked<'_>, format: Format, act: A) -> Result<u8, Failure>
where
    A: Fn(Arc<Job>) -> F,
    F: Future<Output = Result<Answer, Failure>> + Send + 'static,
{
    let jobs = Jobs::of(place, asked)?;
    let work = all(jobs.jobs, &jobs.printer, act);
    let done = match runtime::run(jobs.settings.jobs, work) {
        Ok(done) => done,
        Err(failure) => {
            jobs.printer.problems(failure.diagnostics());
            return Ok(failure.code().code());
        }
    };
    let mut done = done;
    if done.len() == 1
        && let Some(one) = done.pop()
    {
        return one.print();
    }
    match format {
        Format::Text => print_texts(done),
        Format::Json => print_json(&jobs.printer, done),
    }
}

async fn all<A, F>(
    jobs: Vec<(String, Result<Arc<Job>, Failure>)>,
    printer: &Printer,
    act: A,
) -> Result<Vec<Done>, Failure>
where
    A: Fn(Arc<Job>) -> F,
    F: Future<Output = Result<Answer, Failure>> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    let mut done = Vec::new();
    for (index, (environment, job)) in jobs.into_iter().enumerate() {
        let job = match job {
            Ok(job) => job,
            Err(failure) => {
                let printer = printer.clone();
                let answer = Err(failure);
                done.push((
                    index,
                    Done {
                        environment,
                        printer,
                        answer,
                    },
                ));
                continue;
            }
        };
        let (permits, printer, work) = (Arc::clone(&permits), job.printer.clone(), act(job));
        tasks.spawn(async move {
            let _permit = permits.acquire().await;
            let answer = work.await;
            (
                index,
                Done {
                    environment,
                    printer,
                    answer,
                },
            )
        });
    }
    while let Some(ended) = tasks.join_next().await {
        done.push(ended.map_err(|error| {
            Diagnostic::new(ExitCode::Bug, "the work for an environment ended unexpectedly").because(error)
        })?);
    }
    done.sort_by_key(|(index, _)| *index);
    Ok(done.into_iter().map(|(_, done)| done).collect())
}

impl Done {
    /// Prints the answer of the only environment.
    fn print(self) -> Result<u8, Failure> {
        self.printer.release();
        let answer = match self.answer {
            Ok(answer) => answer,
            Err(failure) => {
                self.printer.problems(failure.diagnostics());
                self.printer.release();
                return Ok(failure.code().code());
            }
        };
        match answer.result {
            Answered::Text(text) => self.printer.styled(text)?,
            Answered::Verbatim(text) => self.printer.verbatim(text)?,
            Answered::Json(text) => self.printer.masked_json_result(text)?,
        }
        Ok(answer.code)
    }
}

/// Prints the answers one after the other, with an empty line between them.
fn print_texts(done: Vec<Done>) -> Result<u8, Failure> {
    let mut worst = 0;
    let mut is_first = true;
    for one in done {
        if let Ok(Answer {
            result: Answered::Text(text) | Answered::Verbatim(text),
            ..
        }) = &one.answer
            && !text.as_str().is_empty()
        {
            if !is_first {
                one.printer.result("\n")?;
            }
            is_first = false;
        }
        worst = worst.max(one.print()?);
    }
    Ok(worst)
}

/// Prints all answers as one document.
fn print_json(printer: &Printer, done: Vec<Done>) -> Result<u8, Failure> {
    let mut worst = 0;
    let mut objects = Vec::new();
    for one in done {
        one.printer.release();
        let (code, text) = match one.answer {
            Ok(Answer {
                result: Answered::Json(text),
                code,
            }) => (code, text),
            // A command answers in the format that was asked for.
            Ok(Answer { code, .. }) => (code, "{}".to_owned()),
            Err(failure) => {
                one.printer.problems(failure.diagnostics());
                one.printer.release();
                let code = failure.code().code();
                let failed = serde_json::json!({
                    "environment": one.environment,
                    "exit_code": code,
                    "problems": one.printer.problems_as_json(failure.diagnostics()),
                });
                (code, printer.masked_json(&failed)?)
            }
        };
        worst = worst.max(code);
        // No string of JSON holds a line break, so that each line can be indented.
        objects.push(format!("    {}", text.replace('\n', "\n    ")));
    }
    let objects = objects.join(",\n");
    printer.masked_json_result(format!("{{\n  \"environments\": [\n{objects}\n  ]\n}}"))?;
    Ok(worst)
}
