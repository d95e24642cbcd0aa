//! The directory in which compositions are made.

use std::{fs, path::Path};

use compose_model::{ExitCode, Settings};

use super::{
    check::{Checks, Group},
    disk::{self, Space},
};
use crate::bypass;

/// Looks at the home. Outside of the image none is needed.
pub(super) fn look(settings: &Settings) -> Checks {
    let mut checks = Checks::new(Group::Home);
    let home = &settings.home;
    let shown = home.display();
    let found = match fs::metadata(home) {
        Ok(found) => found,
        Err(_) if !bypass::in_image() => {
            checks.ok("home", format!("not in the image: only `deploy` needs {shown}"));
            return checks;
        }
        Err(error) => {
            let message = format!("{shown} cannot be looked at: {error}");
            checks.error("home", ExitCode::CannotWrite, message, remedy(home));
            return checks;
        }
    };
    if !found.is_dir() {
        let message = format!("{shown} is not a directory");
        let remedy = "set BITOPS_COMPOSE_HOME to a directory";
        checks.error("home", ExitCode::CannotWrite, message, remedy);
        return checks;
    }
    checks.ok("home", format!("{shown} belongs to {}", disk::owner(&found)));
    if disk::is_writable(home) {
        checks.ok("writable", "compositions can be made in it");
    } else {
        let message = format!("{shown} cannot be written by this user (uid {})", disk::user());
        checks.error("writable", ExitCode::CannotWrite, message, remedy(home));
    }
    let active = home.join("active");
    match (fs::symlink_metadata(&active), fs::read_link(&active)) {
        (Ok(link), Ok(_)) if !disk::may_replace(&found, &link) => checks.error(
            "active",
            ExitCode::CannotWrite,
            format!(
                "{shown} is sticky, so this user (uid {}) cannot replace `active`, which belongs to {}",
                disk::user(),
                disk::owner(&link)
            ),
            format!("run the container as that user, or with `--tmpfs {shown}:mode=0777`"),
        ),
        (Ok(_), Ok(target)) => {
            let what = if target.starts_with("mount") {
                "which shows the user's own repo"
            } else {
                "which shows a composition, until its run or the next one ends it"
            };
            checks.ok("active", format!("active -> {}, {what}", target.display()));
        }
        _ => checks.warning(
            "active",
            format!("{shown} has no link `active`"),
            "`bitops-compose image install` makes the layout of the image",
        ),
    }
    space(&mut checks, home, "for a composition");
    checks
}

fn remedy(home: &Path) -> String {
    format!(
        "run the container as a user who may write there, without `--read-only`, or with `--tmpfs {}:mode=0777`",
        home.display()
    )
}

/// Says how much space is left on the disk of a directory.
pub(super) fn space(checks: &mut Checks, dir: &Path, what: &str) {
    let remedy = "remove what is not needed from the disk: `df -h`, `df -i`";
    match Space::of(dir) {
        Space::Enough(free) => checks.ok("space", format!("{} free {what}", disk::bytes(free))),
        Space::Little(free) => {
            checks.warning("space", format!("only {} free {what}", disk::bytes(free)), remedy);
        }
        Space::None => {
            let message = format!("no space {what}: the disk of {} is full", dir.display());
            checks.error("space", ExitCode::CannotWrite, message, remedy);
        }
        Space::Unknown => {}
    }
}
