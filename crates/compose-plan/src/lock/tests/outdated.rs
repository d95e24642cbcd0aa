//! Which locked sources have newer versions, and which tags were moved or deleted.

use compose_model::Requested;

use super::{commit, compared, locked, refs, tag, version};
use crate::lock::{Lock, LockedRef, Now, outdated, to_json, to_table};

#[test]
fn outdated_lists_what_is_newer_moved_and_deleted() {
    let lock = Lock {
        sources: vec![
            locked("same", version("1.0.0"), tag("1.0.0"), 1),
            locked("exact", version("1.0.0"), tag("v1.0.0"), 1),
            locked("range", version("^1.0"), tag("1.0.0"), 1),
            locked("pre", version(">=1.0.0-rc.1"), tag("1.0.0-rc.1"), 1),
            locked("moved", version("^1.0"), tag("1.0.0"), 1),
            locked("gone", version("1.0.0"), tag("1.0.0"), 1),
            locked(
                "branch",
                Requested::Ref("main".into()),
                LockedRef::Branch("main".into()),
                1,
            ),
            locked("stable", Requested::Ref("stable".into()), tag("stable"), 1),
            locked(
                "commit",
                Requested::Ref(commit(1).to_string()),
                LockedRef::Commit,
                1,
            ),
            locked("unreachable", version("1.0.0"), tag("1.0.0"), 1),
        ],
    };
    let all = [
        (
            "same",
            refs(&[("tags/1.0.0", 1), ("tags/0.9.0", 2), ("tags/2.0.0-rc.1", 3)]),
        ),
        (
            "exact",
            refs(&[("tags/v1.0.0", 1), ("tags/1.1.0", 2), ("tags/2.0.0", 3)]),
        ),
        (
            "range",
            refs(&[("tags/1.0.0", 1), ("tags/1.1.0", 2), ("tags/2.0.0", 3)]),
        ),
        (
            "pre",
            refs(&[
                ("tags/1.0.0-rc.1", 1),
                ("tags/1.0.0-rc.2", 2),
                ("tags/2.0.0-rc.1", 3),
            ]),
        ),
        ("moved", refs(&[("tags/1.0.0", 7)])),
        ("gone", refs(&[("tags/1.0.1", 1)])),
        ("branch", refs(&[("heads/main", 8), ("tags/2.0.0", 3)])),
        ("stable", refs(&[("tags/stable", 9), ("tags/2.0.0", 3)])),
        ("commit", refs(&[("tags/2.0.0", 3)])),
    ];
    let rows = compared(&lock, &all);
    insta::assert_snapshot!(to_table(&rows), @"
    SOURCE                      REQUESTED                                 LOCKED      IN RANGE    NEWEST      NOTE
    eks of https://host/same    1.0.0                                     1.0.0       -           -
    eks of https://host/exact   1.0.0                                     v1.0.0      -           2.0.0
    eks of https://host/range   ^1.0                                      1.0.0       1.1.0       2.0.0
    eks of https://host/pre     >=1.0.0-rc.1                              1.0.0-rc.1  1.0.0-rc.2  2.0.0-rc.1
    eks of https://host/moved   ^1.0                                      1.0.0       -           -           tag moved from 010101010 to 070707070
    eks of https://host/gone    1.0.0                                     1.0.0       -           1.0.1       deleted
    eks of https://host/branch  main                                      main        -           -           branch went from 010101010 to 080808080
    eks of https://host/stable  stable                                    stable      -           -           tag moved from 010101010 to 090909090
    eks of https://host/commit  0101010101010101010101010101010101010101  010101010   -           -
    ");
    let outdated: Vec<&str> = rows
        .iter()
        .filter(|row| row.is_outdated())
        .map(|row| row.repo.name())
        .collect();
    assert_eq!(outdated, ["range", "pre", "moved", "gone", "branch", "stable"]);
    assert_eq!((rows[4].now, rows[5].now), (Now::Moved(commit(7)), Now::Deleted));
    insta::assert_snapshot!(serde_json::to_string_pretty(&to_json(&rows[2..5])).unwrap(), @r#"
    [
      {
        "commit": "0101010101010101010101010101010101010101",
        "default_branch": null,
        "environment": "eks",
        "in_range": "1.1.0",
        "locked": "1.0.0",
        "newest": "2.0.0",
        "not_read": null,
        "now": "0101010101010101010101010101010101010101",
        "outdated": true,
        "repo": "https://host/range",
        "requested": "^1.0",
        "state": "unchanged"
      },
      {
        "commit": "0101010101010101010101010101010101010101",
        "default_branch": null,
        "environment": "eks",
        "in_range": "1.0.0-rc.2",
        "locked": "1.0.0-rc.1",
        "newest": "2.0.0-rc.1",
        "not_read": null,
        "now": "0101010101010101010101010101010101010101",
        "outdated": true,
        "repo": "https://host/pre",
        "requested": ">=1.0.0-rc.1",
        "state": "unchanged"
      },
      {
        "commit": "0101010101010101010101010101010101010101",
        "default_branch": null,
        "environment": "eks",
        "in_range": null,
        "locked": "1.0.0",
        "newest": null,
        "not_read": null,
        "now": "0707070707070707070707070707070707070707",
        "outdated": true,
        "repo": "https://host/moved",
        "requested": "^1.0",
        "state": "moved"
      }
    ]
    "#);
}

#[test]
fn outdated_reads_tags_that_are_nearly_versions_and_reports_those_that_it_does_not_read() {
    let tag = |name: &str| LockedRef::Tag(name.to_owned());
    let lock = Lock {
        sources: vec![
            locked("calendar", version("latest"), tag("2024.11.30"), 1),
            locked("java", version("^1"), tag("1.0.0"), 1),
        ],
    };
    let calendar = refs(&[("tags/2024.11.30", 1), ("tags/2025.01.15", 2)]);
    let java = refs(&[("tags/1.0.0", 1), ("tags/1.1.0.Final", 2)]);
    let rows = outdated(&lock, |repo| {
        Some(if repo.name() == "java" { &java } else { &calendar })
    });
    insta::assert_snapshot!(to_table(&rows), @"
    SOURCE                        REQUESTED  LOCKED      IN RANGE    NEWEST      NOTE
    eks of https://host/calendar  latest     2024.11.30  2025.01.15  2025.01.15
    eks of https://host/java      ^1         1.0.0       -           -           the higher `1.1.0.Final` is not read as a version
    ");
    assert_eq!(to_json(&rows)[1]["not_read"], "1.1.0.Final");
    assert!(!rows[1].is_outdated());
}
