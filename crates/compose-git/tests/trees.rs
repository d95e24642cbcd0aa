//! The entries that a source's tree may hold: symlinks are followed inside the commit, and hostile
//! entries are refused with their path.

use crate::support::{Catalog, Lab, contents, id, path, read_text, url, want};
use compose_git::{Error, Options, Root, Snapshot, TreeProblem, Want};
use compose_model::{Cause, ExitCode, FileMode, Filter, Globs};

async fn fetch_with(options: Options, catalog: &Catalog, commit: &str, root: &Root) -> Snapshot {
    let git = compose_git::Git::new(options).unwrap();
    let wanted = Want {
        commit: id(commit),
        refname: Some("refs/tags/1\u{1b}.0".to_owned()),
        roots: vec![root.clone()],
    };
    let repo = git.repo(&url(catalog.url()));
    repo.fetch(&[wanted]).await.unwrap().remove(0)
}

async fn fetch(lab: &Lab, catalog: &Catalog, commit: &str) -> Snapshot {
    fetch_with(lab.options(), catalog, commit, &Root::whole(path("env"))).await
}

fn refused(snapshot: &Snapshot) -> (String, TreeProblem) {
    let error = snapshot.files(&Root::whole(path("env"))).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Config);
    assert!(error.hint().unwrap().contains("correct it"), "{error}");
    let shown = error.to_string();
    assert!(
        shown.contains("1\\u{1b}.0") && !shown.contains('\u{1b}'),
        "{shown}"
    );
    match error {
        Error::Tree { path, why, .. } => (path, why),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn symlinks_become_their_targets() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog
        .write("env/terraform/main.tf", "real")
        .write("_shared/mod/a.tf", "a")
        .write("_shared/mod/run.sh", "#!");
    catalog.git(&["update-index", "--add", "--chmod=+x", "_shared/mod/run.sh"]);
    catalog
        .link("env/terraform/copy.tf", "main.tf")
        .link("env/mod", "../_shared/mod");
    catalog
        .link("env/run.sh", "mod/run.sh")
        .link("env/far.tf", ".././env/../env/mod/../mod/a.tf")
        .link("alias", "env");
    std::process::Command::new("chmod")
        .arg("+x")
        .arg(catalog.dir.join("_shared/mod/run.sh"))
        .status()
        .unwrap();
    let commit = catalog.commit();
    let snapshot = fetch(&lab, &catalog, &commit).await;
    // `..` after a symlink is relative to its target, as in a file system.
    assert_eq!(
        contents(&snapshot, "env"),
        [
            "far.tf=a",
            "mod/a.tf=a",
            "mod/run.sh=#!",
            "run.sh=#!",
            "terraform/copy.tf=real",
            "terraform/main.tf=real"
        ]
    );
    let files = snapshot.files(&Root::whole(path("env"))).unwrap();
    let run = files.iter().find(|file| file.path == path("run.sh")).unwrap();
    assert_eq!(
        (run.mode, run.repo_path.as_str()),
        (FileMode::Executable, "_shared/mod/run.sh")
    );
    // The wanted directory may itself be a symlink.
    let aliased = fetch_with(lab.options(), &catalog, &commit, &Root::whole(path("alias"))).await;
    assert_eq!(contents(&aliased, "alias").len(), 6);
    assert_eq!(
        aliased.tree(&path("alias")).unwrap(),
        aliased.tree(&path("env")).unwrap()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_symlinks_are_refused() {
    for (target, expected) in [
        ("/etc/passwd", TreeProblem::AbsoluteLink("/etc/passwd".into())),
        ("../../x", TreeProblem::EscapingLink("../../x".into())),
        (
            "sub/../../../x",
            TreeProblem::EscapingLink("sub/../../../x".into()),
        ),
        ("nowhere", TreeProblem::DanglingLink("nowhere".into())),
        (
            "../.git/config",
            TreeProblem::DanglingLink("../.git/config".into()),
        ),
        ("file/below", TreeProblem::DanglingLink("file/below".into())),
        ("link", TreeProblem::LoopingLink("link".into())),
        ("other", TreeProblem::LoopingLink("other".into())),
        (".", TreeProblem::LoopingLink(".".into())),
        ("..", TreeProblem::LoopingLink("..".into())),
        (
            "no\u{1b}where",
            TreeProblem::DanglingLink("no\\u{1b}where".into()),
        ),
    ] {
        let lab = Lab::new();
        let catalog = lab.catalog("repo");
        catalog
            .write("env/file", "x")
            .write("env/sub/file", "x")
            .link("env/link", target)
            .link("env/other", "link");
        let commit = catalog.commit();
        let snapshot = fetch(&lab, &catalog, &commit).await;
        let (place, why) = refused(&snapshot);
        assert_eq!((place.as_str(), why), ("env/link", expected), "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_invalid_symlinks_are_refused_together() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog
        .write("env/file", "x")
        .write("_shared/deep/file", "x")
        .link("_shared/deep/far", "../../..")
        .link("env/a", "/etc/passwd")
        .link("env/b", "nowhere")
        .link("env/shared", "../_shared")
        .link("env/again", "../_shared");
    let commit = catalog.commit();
    let error = fetch(&lab, &catalog, &commit)
        .await
        .files(&Root::whole(path("env")))
        .unwrap_err();
    let each: Vec<String> = error.into_each().iter().map(ToString::to_string).collect();
    let place = |error: &String| {
        error
            .rsplit_once(": ")
            .unwrap()
            .0
            .rsplit_once(' ')
            .unwrap()
            .1
            .to_owned()
    };
    let places: Vec<String> = each.iter().map(place).collect();
    assert_eq!(places, ["env/a", "_shared/deep/far", "env/b"], "{each:?}");

    for number in 0..20 {
        catalog.link(&format!("env/link-{number}"), "nowhere");
    }
    let commit = catalog.commit();
    let error = fetch(&lab, &catalog, &commit)
        .await
        .files(&Root::whole(path("env")))
        .unwrap_err();
    let further = |error: &Error| match error {
        Error::Tree { further, .. } => *further,
        other => panic!("{other:?}"),
    };
    let counts: Vec<usize> = error.into_each().iter().map(further).collect();
    assert_eq!(counts, [0, 0, 0, 0, 0, 0, 0, 0, 0, 13]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_entries_are_refused_with_their_escaped_path() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    let blob = catalog.object("blob", b"x");
    let null = "0".repeat(40);
    let empty = catalog.object("tree", b"");
    let long = "x".repeat(256);
    let entry = |mode: &'static str, name: &'static [u8]| vec![(mode, name)];
    let named: Vec<Vec<(&str, &[u8])>> = vec![
        entry("100644", b".."),
        entry("100644", b"."),
        entry("40000", b".git"),
        entry("100644", b".GiT"),
        entry("100644", b"git~1"),
        entry("100644", b"a\\b"),
        entry("100644", b"a/b"),
        entry("100644", b"a\x1b[31mb"),
        entry("100644", b"a\nb"),
        entry("100644", "a\u{202e}b".as_bytes()),
        entry("100644", b"\xff\xfe"),
        vec![("100644", long.as_bytes())],
        vec![("100644", b"README"), ("100644", b"readme")],
        vec![("100644", "e\u{301}".as_bytes()), ("100644", "\u{e9}".as_bytes())],
        vec![("100644", b"b"), ("100644", b"a")],
        vec![("100644", b"a"), ("100644", b"a")],
        vec![("120000", b"a"), ("40000", b"a")],
        entry("160000", b"module"),
        entry("20000", b"device"),
        entry("10644", b"fifo"),
    ];
    for entries in named {
        let full: Vec<(&str, &[u8], &str)> = entries
            .iter()
            .map(|(mode, name)| {
                (
                    *mode,
                    *name,
                    if *mode == "40000" {
                        empty.as_str()
                    } else {
                        blob.as_str()
                    },
                )
            })
            .collect();
        let commit = catalog.commit_tree(&catalog.tree(&[("40000", b"env", &catalog.tree(&full))]));
        let (place, why) = refused(&fetch(&lab, &catalog, &commit).await);
        assert!(
            place.starts_with("env") && !place.contains(['\n', '\u{1b}', '\u{202e}']),
            "{place}: {why}"
        );
    }
    for (mode, id) in [
        ("100644", &empty),
        ("40000", &blob),
        ("120000", &empty),
        ("100644", &null),
    ] {
        let tree = catalog.tree(&[(mode, b"odd", id)]);
        let commit = catalog.commit_tree(&catalog.tree(&[("40000", b"env", &tree)]));
        // git itself detects some of these when it packs; then the server's message is the error.
        let repo = lab.git().repo(&url(catalog.url()));
        let error = match repo.fetch(&[want(&commit, &["env"])]).await {
            Ok(got) => got[0].files(&Root::whole(path("env"))).unwrap_err(),
            Err(error) => error,
        };
        assert!(
            matches!(
                error,
                Error::Tree {
                    why: TreeProblem::Kind(_),
                    ..
                } | Error::Remote { .. }
                    | Error::NoCommit { .. }
            ),
            "{mode}: {error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lfs_pointers_and_submodules_can_be_excluded() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog.write(
        "env/big.bin",
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    );
    catalog.write("env/main.tf", "ok").link("env/dangling", "nowhere");
    let commit = catalog.commit();
    let snapshot = fetch(&lab, &catalog, &commit).await;
    assert_eq!(refused(&snapshot), ("env/big.bin".to_owned(), TreeProblem::Lfs));
    let only = Globs::new(vec!["/main.tf".to_owned()]).unwrap();
    let root = Root {
        dir: path("env"),
        filter: Filter::new(only, Globs::default(), true),
    };
    assert_eq!(snapshot.files(&root).unwrap().len(), 1);

    let catalog = lab.catalog("modules");
    let blob = catalog.object("blob", b"ok");
    let vendor = "1".repeat(40);
    let env = catalog.tree(&[
        ("100644", b"\x1bx", &blob),
        ("100644", b"main.tf", &blob),
        ("160000", b"vendor", &vendor),
    ]);
    let commit = catalog.commit_tree(&catalog.tree(&[("40000", b"env", &env)]));
    let snapshot = fetch(&lab, &catalog, &commit).await;
    assert!(matches!(refused(&snapshot).1, TreeProblem::Name(_)));
    assert_eq!(
        snapshot.files(&root).unwrap().len(),
        1,
        "excluded paths are not judged"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn excluded_files_are_not_fetched() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    let mut noise = 7_u64;
    let big: Vec<u8> = (0..200_000)
        .map(|_| {
            noise = noise
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (noise >> 56) as u8
        })
        .collect();
    catalog
        .write("env/big.bin", big)
        .write("env/terraform/main.tf", "ok");
    catalog.git(&["config", "uploadpack.allowFilter", "true"]);
    let commit = catalog.commit();
    let server = crate::support::server::Server::start(&lab.dir.path().join("srv"));
    let repo = lab.git().repo(&url(server.url("repo")));
    let root = Root {
        dir: path("env"),
        filter: Filter::new(
            Globs::default(),
            Globs::new(vec!["*.bin".to_owned()]).unwrap(),
            true,
        ),
    };
    let want = Want {
        commit: id(&commit),
        refname: None,
        roots: vec![root.clone()],
    };
    let got = repo.fetch(&[want]).await.unwrap();
    let files = got[0].files(&root).unwrap();
    assert_eq!((files.len(), read_text(&got[0], &files[0])), (1, "ok".to_owned()));
    assert!(server.bytes() < 5_000, "{} bytes", server.bytes());
    // The whole root was not fetched; listing it fails.
    assert!(got[0].files(&Root::whole(path("env"))).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn exceeded_budgets_are_errors_that_name_their_variable() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog
        .write("env/a", "12345")
        .write("env/b", "12345")
        .write("env/c", "12345");
    let commit = catalog.commit();
    for (files, file_size, total_size, variable) in [
        (2, 100, 100, "BITOPS_COMPOSE_MAX_FILES"),
        (100, 4, 100, "BITOPS_COMPOSE_MAX_FILE_SIZE"),
        (100, 100, 14, "BITOPS_COMPOSE_MAX_TOTAL_SIZE"),
    ] {
        let snapshot = fetch(&lab, &catalog, &commit).await;
        assert_eq!(snapshot.files(&Root::whole(path("env"))).unwrap().len(), 3);
        let mut options = lab.options();
        options.budget = compose_model::settings::Budget {
            files,
            file_size,
            total_size,
        };
        let git = compose_git::Git::new(options).unwrap();
        let repo = git.repo(&url(catalog.url()));
        let error = match repo.fetch(&[want(&commit, &["env"])]).await {
            Ok(got) => got[0].files(&Root::whole(path("env"))).unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.exit_code(), ExitCode::Config, "{error:?}");
        assert!(error.hint().unwrap().contains(variable), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_over_the_budget_is_refused_while_it_is_received() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog.write("env/zeros", vec![0; 40 << 20]);
    let commit = catalog.commit();
    let mut options = lab.options();
    options.budget.file_size = 20 << 20;
    let git = compose_git::Git::new(options).unwrap();
    let error = git
        .repo(&url(catalog.url()))
        .fetch(&[want(&commit, &["env"])])
        .await
        .unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Budget {
                variable: "BITOPS_COMPOSE_MAX_FILE_SIZE",
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn exponential_and_deeply_nested_trees_are_refused() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    // 20 levels of trees with ten names each: 10^20 files.
    let blob = catalog.object("blob", b"x");
    let names: Vec<Vec<u8>> = (0..10).map(|number| format!("n{number}").into_bytes()).collect();
    let mut id = catalog.tree(
        &names
            .iter()
            .map(|name| ("100644", name.as_slice(), blob.as_str()))
            .collect::<Vec<_>>(),
    );
    for _ in 0..19 {
        id = catalog.tree(
            &names
                .iter()
                .map(|name| ("40000", name.as_slice(), id.as_str()))
                .collect::<Vec<_>>(),
        );
    }
    let wide = catalog.commit_tree(&catalog.tree(&[("40000", b"env", &id)]));
    let mut options = lab.options();
    options.budget.files = 5000;
    let snapshot = fetch_with(options, &catalog, &wide, &Root::whole(path("env"))).await;
    let error = snapshot.files(&Root::whole(path("env"))).unwrap_err();
    assert!(
        matches!(
            &error,
            Error::Budget {
                variable: "BITOPS_COMPOSE_MAX_FILES",
                ..
            }
        ),
        "{error:?}"
    );

    let mut id = catalog.tree(&[("100644", b"x", &blob)]);
    for _ in 0..600 {
        id = catalog.tree(&[("40000", b"d", &id)]);
    }
    let deep = catalog.commit_tree(&catalog.tree(&[("40000", b"env", &id)]));
    let snapshot = fetch(&lab, &catalog, &deep).await;
    assert_eq!(refused(&snapshot).1, TreeProblem::TooDeep);
}
