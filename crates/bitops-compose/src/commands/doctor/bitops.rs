//! BitOps itself: what is started, and the image's own config.

use compose_model::{Diagnostic, ExitCode, Settings, env};

use super::check::{Checks, Group};
use crate::{build_config::BuildConfig, bypass, cli::Place, launch::Pipeline, report::Printer};

/// Returns the image's config: the one that is named, else BitOps' own. The problem is that of the one that is named.
pub(super) fn build_config(settings: &Settings, place: &Place) -> (BuildConfig, Option<Diagnostic>) {
    match place.image.file.as_deref().map(BuildConfig::named) {
        Some(Ok(named)) => (named, None),
        Some(Err(problem)) => (BuildConfig::find(settings, &[]), Some(problem)),
        None => (BuildConfig::find(settings, &[]), None),
    }
}

/// Looks for the pipeline and for the image's config.
pub(super) fn look(settings: &Settings, found: &(BuildConfig, Option<Diagnostic>)) -> Checks {
    let mut checks = Checks::new(Group::BitOps);
    let printer = Printer::plain();
    pipeline(&mut checks, &printer, settings);
    let (build_config, problem) = found;
    if let Some(problem) = problem {
        checks.problem("image-config", &printer, problem);
        return checks;
    }
    match build_config.deployments() {
        (_, Some(warning)) => checks.problem("image-config", &printer, &warning),
        (Some(_), None) => {
            checks.ok(
                "image-config",
                format!("the image's config is {}", build_config.path().display()),
            );
        }
        (None, None) => checks.ok(
            "image-config",
            "no image's config here: commands assume the deployments of BitOps' omnibus image",
        ),
    }
    checks
}

fn pipeline(checks: &mut Checks, printer: &Printer, settings: &Settings) {
    let is_set = [env::PIPELINE, env::PIPELINE_DIR]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let dir = settings.pipeline_dir.display();
    match Pipeline::find(&settings.pipeline, &settings.pipeline_dir, Vec::new()) {
        Err(_) if !is_set && !bypass::in_image() => {
            checks.ok("pipeline", "not in the image: BitOps is started only there");
        }
        Err(problem) => checks.problem("pipeline", printer, &problem),
        Ok(pipeline) => match pipeline.missing_script() {
            Some(script) => checks.error(
                "pipeline",
                ExitCode::NotFound,
                format!("the pipeline's script {} does not exist", script.display()),
                format!("is this a BitOps image? {} says what is run", env::PIPELINE),
            ),
            None => {
                let program = pipeline.path().display();
                checks.ok(
                    "pipeline",
                    format!("the pipeline's program is {program}, started in {dir}"),
                );
            }
        },
    }
}
