//! What an upgrade makes of versions, ranges and refs.

use compose_model::{CommitId, ObjectId, RefEntry, Refs, Requested, TreePath, VersionRequest};

use crate::resolve::{Left, Reach, Resolver, Upgrade};

fn refs(names: &[&str]) -> Refs {
    let tag = |(at, name): (usize, &&str)| RefEntry {
        name: format!("refs/tags/{name}"),
        object: ObjectId::from_bytes([at as u8 + 1; 20]),
        target: CommitId(ObjectId::from_bytes([at as u8 + 1; 20])),
        symref: None,
    };
    Refs::new(names.iter().enumerate().map(tag).collect())
}

/// Returns what becomes of a version: the new text and its tag, or why it is left.
fn upgraded(version: &str, tags: &[&str], ignored: &[&str], reach: Reach) -> String {
    let refs = refs(tags);
    let parse = |text: &&str| VersionRequest::parse(text).unwrap();
    let requested = Requested::Version(parse(&version));
    let ignored: Vec<_> = ignored.iter().map(parse).collect();
    let environment = TreePath::new("stacks/eks").unwrap();
    match Resolver::new(&refs).upgrade(&environment, &requested, &ignored, reach) {
        Upgrade::Moves(new) => format!("{} {}", new.version.as_str(), new.tag),
        Upgrade::Left(left) => format!("{left:?}"),
    }
}

const STABLE: &[&str] = &["1.0.0", "v1.2.0", "1.3.0-rc.1", "2.1.4", "3.0.0-beta.1"];

/// Checks what an upgrade to compatible versions, and to the newest, makes of a version beside these tags.
#[track_caller]
fn assert_upgrades((version, tags): (&str, &[&str]), compatible: &str, newest: &str) {
    for (reach, expected) in [(Reach::Compatible, compatible), (Reach::Newest, newest)] {
        assert_eq!(
            upgraded(version, tags, &[], reach),
            expected,
            "{version} {tags:?}"
        );
    }
}

#[test]
fn an_exact_version_moves_to_what_is_compatible_or_to_the_newest() {
    for (version, tags, compatible, newest) in [
        ("1.0.0", STABLE, "1.2.0 v1.2.0", "2.1.4 2.1.4"),
        ("v1.0.0", STABLE, "v1.2.0 v1.2.0", "v2.1.4 2.1.4"),
        ("=1.0.0", STABLE, "=1.2.0 v1.2.0", "=2.1.4 2.1.4"),
        ("1.2.0", STABLE, "Incompatible", "2.1.4 2.1.4"),
        ("2.1.4", STABLE, "Newest", "Newest"),
        (
            "0.3.1",
            &["0.3.1", "0.3.5", "0.4.0"],
            "0.3.5 0.3.5",
            "0.4.0 0.4.0",
        ),
        ("0.0.3", &["0.0.3", "0.0.4"], "Incompatible", "0.0.4 0.0.4"),
        // The tag that is there may be gone.
        ("1.0.1", STABLE, "1.2.0 v1.2.0", "2.1.4 2.1.4"),
        ("9.0.0", STABLE, "Newest", "Newest"),
        // The environment's own tags are those that count.
        (
            "1.0.0",
            &["eks/v1.1.0", "1.9.0"],
            "1.1.0 eks/v1.1.0",
            "1.1.0 eks/v1.1.0",
        ),
        // Two commits, and no version for either.
        (
            "1.0.0",
            &["1.1.0", "v1.1.0"],
            "Unspelled(\"1.1.0\")",
            "Unspelled(\"1.1.0\")",
        ),
    ] {
        assert_upgrades((version, tags), compatible, newest);
    }
}

#[test]
fn a_pre_release_moves_to_a_stable_version_or_within_its_own() {
    for (version, tags, compatible, newest) in [
        (
            "1.3.0-rc.1",
            &["1.3.0-rc.1", "1.3.0-rc.2", "1.4.0-rc.1"][..],
            "1.3.0-rc.2 1.3.0-rc.2",
            "1.3.0-rc.2 1.3.0-rc.2",
        ),
        (
            "1.3.0-rc.1",
            &["1.3.0-rc.2", "1.3.0"],
            "1.3.0 1.3.0",
            "1.3.0 1.3.0",
        ),
        (
            "1.3.0-rc.1",
            &["1.2.0", "2.0.0", "2.1.0-rc.1"],
            "Incompatible",
            "2.0.0 2.0.0",
        ),
        ("1.3.0-rc.1", &["1.2.0", "2.0.0-rc.1"], "Newest", "Newest"),
    ] {
        assert_upgrades((version, tags), compatible, newest);
    }
}

#[test]
fn calendars_and_short_tags_are_written_as_they_are() {
    for (version, tags, compatible, newest) in [
        (
            "2024.01.15",
            &["2024.01.15", "2024.11.30", "2025.01.05"][..],
            "2024.11.30 2024.11.30",
            "2025.01.05 2025.01.05",
        ),
        ("v1.1", &["v1.1", "v1.2", "v2.0"], "v1.2 v1.2", "v2.0 v2.0"),
        ("v1", &["v1", "v2"], "Incompatible", "v2 v2"),
        (
            "1.2.3.4",
            &["1.2.3.4", "1.2.3.10"],
            "1.2.3.10 1.2.3.10",
            "1.2.3.10 1.2.3.10",
        ),
        // These move along with others.
        ("v1", &["v1", "v1.2.3", "v2", "v2.0.1"], "Alias", "v2 v2"),
        ("v1", &["v1", "v1.2.3"], "Newest", "Newest"),
        (
            "v1.2",
            &["v1.2", "v1.2.3", "v1.3", "v1.3.0"],
            "Alias",
            "v1.3 v1.3",
        ),
        (
            "v1",
            &["v1", "v1.2.3", "v2.0.1"],
            "Unspelled(\"v2.0.1\")",
            "Unspelled(\"v2.0.1\")",
        ),
    ] {
        assert_upgrades((version, tags), compatible, newest);
    }
}

#[test]
fn a_range_keeps_its_operator_and_the_number_of_its_parts() {
    for (version, newest) in [
        ("^1.2", "^2.1 2.1.4"),
        ("~1.2.3", "~2.1.4 2.1.4"),
        ("^ v1", "^ v2 2.1.4"),
        ("1.x", "2.x 2.1.4"),
        ("1.2.*", "2.1.* 2.1.4"),
        ("=1.2", "=2.1 2.1.4"),
        ("~0.9", "~2.1 2.1.4"),
        ("^1.3.0-rc.1", "^2.1.4 2.1.4"),
    ] {
        assert_eq!(
            upgraded(version, STABLE, &[], Reach::Compatible),
            "Range",
            "{version}"
        );
        assert_eq!(upgraded(version, STABLE, &[], Reach::Newest), newest, "{version}");
    }
    for (version, left) in [
        ("^2.0", "Newest"),
        ("2.x", "Newest"),
        ("latest", "Everything"),
        ("*", "Everything"),
        (">=1, <2", "Compound"),
        (">=1", "Compound"),
        ("<2", "Compound"),
    ] {
        for reach in [Reach::Compatible, Reach::Newest] {
            assert_eq!(upgraded(version, STABLE, &[], reach), left, "{version}");
        }
    }
}

#[test]
fn what_is_ignored_is_never_taken() {
    for (version, ignored, compatible, newest) in [
        ("1.0.0", &["*"][..], "Ignored", "Ignored"),
        ("2.1.4", &["*"], "Ignored", "Ignored"),
        ("1.0.0", &["1.2.0"], "Incompatible", "2.1.4 2.1.4"),
        ("1.0.0", &[">=2"], "1.2.0 v1.2.0", "1.2.0 v1.2.0"),
        ("1.2.0", &[">=2"], "Ignored", "Ignored"),
        ("^1.2", &["2.x"], "Ignored", "Ignored"),
        ("3.0.0-alpha", &["3.x"], "Ignored", "Ignored"),
        ("latest", &["2.1.4"], "Everything", "Everything"),
    ] {
        assert_eq!(
            upgraded(version, STABLE, ignored, Reach::Compatible),
            compatible,
            "{version} {ignored:?}"
        );
        assert_eq!(
            upgraded(version, STABLE, ignored, Reach::Newest),
            newest,
            "{version} {ignored:?}"
        );
    }
    // `2.x` would take the ignored 2.1.0; only a narrower range can be at 2.0.5.
    let tags = &["1.0.0", "2.0.5", "2.1.0"];
    assert_eq!(
        upgraded("1.x", tags, &["2.1.0"], Reach::Newest),
        "Unspelled(\"2.0.5\")"
    );
    assert_eq!(upgraded("~1.0", tags, &["2.1.0"], Reach::Newest), "~2.0 2.0.5");
    let environment = TreePath::new("eks").unwrap();
    let refs = refs(tags);
    let main = Requested::Ref("main".to_owned());
    let upgrade = Resolver::new(&refs).upgrade(&environment, &main, &[], Reach::Newest);
    assert_eq!(upgrade, Upgrade::Left(Left::Ref));
}
