//! Refs and exact fetches over every transport.

use std::sync::Arc;

use crate::support::{
    Catalog, Lab, contents, id, path,
    server::{Action, Server},
    url, want,
};
use compose_git::{Error, Git, Root};
use compose_model::{Cause, ExitCode};

fn two_versions(catalog: &Catalog) -> (String, String) {
    for env in ["eks", "promStack", "grafanaStack"] {
        catalog.write(&format!("{env}/terraform/main.tf"), format!("# {env}\n"));
        catalog.write(&format!("{env}/bitops.config.yaml"), "bitops: {}\n");
    }
    let one = catalog.commit();
    catalog.git(&["tag", "-a", "1.0.0", "-m", "x"]);
    catalog.write("eks/terraform/main.tf", "# eks two\n");
    let two = catalog.commit();
    catalog.git(&["tag", "v1.1.0"]);
    (one, two)
}

// On one thread, as in the program: on several, the next request may be sent before the connection
// is back in the pool.
#[tokio::test]
async fn http_takes_four_requests_on_one_connection_and_three_when_the_commit_is_known() {
    let lab = Lab::new();
    let catalog = lab.catalog("kubernetes");
    catalog.git(&["config", "uploadpack.allowFilter", "true"]);
    let (one, two) = two_versions(&catalog);
    let server = Server::start(&lab.dir.path().join("srv"));
    let repo = lab.git().repo(&url(server.url("kubernetes")));

    let refs = repo.refs(&["refs/tags/".to_owned()]).await.unwrap();
    assert_eq!(
        refs.tag("1.0.0").unwrap().target,
        id(&one),
        "an annotated tag is peeled"
    );
    assert_ne!(refs.tag("1.0.0").unwrap().object, id(&one).0);
    assert!(refs.branch("main").is_none(), "only what was asked for");
    let got = repo
        .fetch(&[want(&one, &["eks"]), want(&two, &["eks", "promStack"])])
        .await
        .unwrap();
    assert_eq!(
        contents(&got[0], "eks"),
        ["bitops.config.yaml=bitops: {}\n", "terraform/main.tf=# eks\n"]
    );
    assert_eq!(contents(&got[1], "eks")[1], "terraform/main.tf=# eks two\n");
    assert_eq!(contents(&got[1], "promStack").len(), 2);
    assert_eq!(
        got[0].environments().unwrap(),
        ["eks", "grafanaStack", "promStack"]
    );
    assert!(got[1].tree(&path("eks")).unwrap().is_some() && got[1].tree(&path("nope")).unwrap().is_none());
    assert!(got[1].files(&Root::whole(path("nope"))).unwrap().is_empty());

    let requests = server.requests();
    assert_eq!(
        requests.iter().map(|r| r.method.as_str()).collect::<Vec<_>>(),
        ["GET", "POST", "POST", "POST"]
    );
    assert!(
        requests
            .iter()
            .all(|request| request.connection == requests[0].connection),
        "one connection"
    );
    assert_eq!(repo.traffic().0, 4);
    let packs = requests
        .iter()
        .filter(|request| request.body.starts_with(b"0012command=fetch"));
    let silent = packs.filter(|request| String::from_utf8_lossy(&request.body).contains("0010no-progress\n"));
    assert_eq!(silent.count(), 2, "nobody reads how far a server has come");

    // Known commits do not need the refs.
    let other = Lab::new();
    let before = server.count();
    let repo = other.git().repo(&url(server.url("kubernetes")));
    repo.fetch(&[want(&two, &["eks"])]).await.unwrap();
    assert_eq!(server.count() - before, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_wanted_objects_are_received() {
    let lab = Lab::new();
    let catalog = lab.catalog("big");
    catalog.git(&["config", "uploadpack.allowFilter", "true"]);
    let mut noise = 1_u64;
    for env in 0..200 {
        let text: String = (0..400)
            .map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                format!("{:x}", noise >> 40)
            })
            .collect();
        catalog.write(&format!("env{env}/helm/values.yaml"), text);
    }
    let commit = catalog.commit();
    let server = Server::start(&lab.dir.path().join("srv"));
    let repo = lab.git().repo(&url(server.url("big")));
    repo.fetch(&[want(&commit, &["env7"])]).await.unwrap();
    assert!(server.bytes() < 12_000, "{} bytes", server.bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn file_urls_and_plain_paths_work_alike() {
    let lab = Lab::new();
    let catalog = lab.catalog("with space");
    let (one, _) = two_versions(&catalog);
    for address in [
        catalog.url().replace(' ', "%20"),
        catalog.dir.to_str().unwrap().to_owned(),
    ] {
        let Ok(address) = compose_model::RepoUrl::parse(&address) else {
            assert!(address.contains(' '), "{address}");
            continue;
        };
        let repo = lab.git().repo(&address);
        let refs = repo.refs(&["refs/tags/".to_owned()]).await.unwrap();
        assert_eq!(refs.tags().count(), 2);
        let got = repo.fetch(&[want(&one, &["eks"])]).await.unwrap();
        assert_eq!(contents(&got[0], "eks").len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refs_are_requested_once_per_run() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    let (one, two) = two_versions(&catalog);
    let server = Server::start(&lab.dir.path().join("srv"));
    let git = lab.git();
    let repo = git.repo(&url(server.url("repo")));
    repo.refs(&["refs/tags/".to_owned()]).await.unwrap();
    let after_first = server.count();
    catalog.git(&["tag", "-f", "v1.1.0", &one]);
    // The same repo under another spelling, with prefixes that are known already.
    let again = git.repo(&url(server.url("repo.git/")));
    assert!(Arc::ptr_eq(&repo, &again));
    let refs = again
        .refs(&["refs/tags/v1".to_owned(), "refs/tags/".to_owned()])
        .await
        .unwrap();
    assert_eq!(
        refs.tag("v1.1.0").unwrap().target,
        id(&two),
        "the first value stays"
    );
    assert_eq!(server.count(), after_first);
    let refs = repo.refs(&["refs/heads/".to_owned()]).await.unwrap();
    assert_eq!(
        (
            refs.branch("main").unwrap().target,
            refs.tag("v1.1.0").unwrap().target
        ),
        (id(&two), id(&two))
    );
    assert_eq!(server.count(), after_first + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_without_filters_and_with_old_protocols_are_supported() {
    // The server pretends not to know protocol 2.
    let old = |_: &crate::support::server::Request| {
        Action::ServeWith(vec![
            ("GIT_PROTOCOL", String::new()),
            ("HTTP_GIT_PROTOCOL", String::new()),
        ])
    };
    for filter in ["true", "false"] {
        for protocol in ["2", "0"] {
            let lab = Lab::new();
            let catalog = lab.catalog("repo");
            catalog.git(&["config", "uploadpack.allowFilter", filter]);
            let (one, two) = two_versions(&catalog);
            let root = lab.dir.path().join("srv");
            let server = if protocol == "0" {
                Server::with(&root, old)
            } else {
                Server::start(&root)
            };
            let repo = lab.git().repo(&url(server.url("repo")));
            let got = repo
                .fetch(&[want(&one, &["eks"]), want(&two, &["promStack"])])
                .await;
            let got = got.unwrap_or_else(|error| panic!("filter {filter}, protocol {protocol}: {error}"));
            assert_eq!(contents(&got[0], "eks")[1], "terraform/main.tf=# eks\n");
            assert_eq!(contents(&got[1], "promStack").len(), 2);
            assert!(
                server.count() <= 5,
                "filter {filter}, protocol {protocol}: {} requests",
                server.count()
            );
            let refs = repo.refs(&["refs/tags/".to_owned()]).await.unwrap();
            assert_eq!(refs.tags().count(), 2);
        }
    }
}

/// Protocols 0 and 1 must honour the depth for a repo with a history.
/// Protocols 0 and 1 then name a symbolic ref that their list lacks.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_hide_its_head() {
    for version in ["", "version=1", "version=2"] {
        let lab = Lab::new();
        let catalog = lab.catalog("repo");
        catalog.git(&["config", "transfer.hideRefs", "HEAD"]);
        catalog.write("env/x", "x");
        let commit = catalog.commit();
        let server = Server::with(&lab.dir.path().join("srv"), move |_| {
            Action::ServeWith(vec![
                ("GIT_PROTOCOL", version.to_owned()),
                ("HTTP_GIT_PROTOCOL", version.to_owned()),
            ])
        });
        let repo = lab.git().repo(&url(server.url("repo")));
        let refs = repo.refs(&["refs/heads/".to_owned()]).await.unwrap();
        assert_eq!(
            refs.branch("main").unwrap().target.to_string(),
            commit,
            "{version}"
        );
        let got = repo.fetch(&[want(&commit, &["env"])]).await.unwrap();
        assert_eq!(contents(&got[0], "env"), ["x=x"], "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_protocols_send_no_history() {
    for (version, filter) in [
        ("", "true"),
        ("", "false"),
        ("version=1", "true"),
        ("version=1", "false"),
    ] {
        let lab = Lab::new();
        let catalog = lab.catalog("repo");
        catalog.git(&["config", "uploadpack.allowFilter", filter]);
        let mut noise = 1_u64;
        let mut commits = Vec::new();
        for _ in 0..20 {
            let text: String = (0..1000)
                .map(|_| {
                    noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    format!("{:x}", noise >> 40)
                })
                .collect();
            catalog.write("env/noise", text);
            commits.push(catalog.commit());
        }
        let server = Server::with(&lab.dir.path().join("srv"), move |_| {
            Action::ServeWith(vec![
                ("GIT_PROTOCOL", version.to_owned()),
                ("HTTP_GIT_PROTOCOL", version.to_owned()),
            ])
        });
        let repo = lab.git().repo(&url(server.url("repo")));
        // A ref points to the last commit, none to the one in the middle.
        for commit in [&commits[19], &commits[10]] {
            let before = server.bytes();
            let got = repo.fetch(&[want(commit, &["env"])]).await;
            let got = got.unwrap_or_else(|error| panic!("{version} {filter}: {error}"));
            assert_eq!(contents(&got[0], "env").len(), 1);
            let bytes = server.bytes() - before;
            let all = catalog.git(&["rev-list", "--objects", "--all", "--disk-usage"]);
            let all: u64 = all.trim().parse().unwrap();
            assert!(
                bytes * 5 < all,
                "version {version:?}, filter {filter}: {bytes} bytes of {all}"
            );
        }
        let bodies: Vec<String> = server
            .requests()
            .iter()
            .map(|request| String::from_utf8_lossy(&request.body).into_owned())
            .collect();
        assert!(bodies.iter().any(|body| body.contains("deepen 1")), "{bodies:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_tree_filters_gets_the_next_one() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog.git(&["config", "uploadpack.allowFilter", "true"]);
    catalog.git(&["config", "uploadpackfilter.tree.maxDepth", "0"]);
    let (one, _) = two_versions(&catalog);
    let server = Server::start(&lab.dir.path().join("srv"));
    let git = lab.git();
    let repo = git.repo(&url(server.url("repo")));
    let got = repo.fetch(&[want(&one, &["eks"])]).await.unwrap();
    assert_eq!(contents(&got[0], "eks").len(), 2);
    let asked: Vec<String> = server
        .requests()
        .iter()
        .map(|r| String::from_utf8_lossy(&r.body).into_owned())
        .collect();
    assert!(
        asked.iter().any(|body| body.contains("filter tree:1"))
            && asked.iter().any(|body| body.contains("filter blob:none"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_without_a_commit_is_an_error() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    let (one, _) = two_versions(&catalog);
    let blob = catalog.git(&["rev-parse", "HEAD:eks/terraform/main.tf"]);
    let server = Server::start(&lab.dir.path().join("srv"));
    for address in [server.url("repo"), catalog.url()] {
        let repo = lab.git().repo(&url(&address));
        let gone = repo
            .fetch(&[want(&one, &["eks"]), want(&"5".repeat(40), &["eks"])])
            .await
            .unwrap_err();
        assert!(
            matches!(&gone, Error::NoCommit { commit, .. } if *commit == id(&"5".repeat(40))),
            "{gone:?}"
        );
        assert_eq!(gone.exit_code(), ExitCode::Config);
        let repo = lab.git().repo(&url(&address));
        let none = repo.fetch(&[want(&blob, &["eks"])]).await.unwrap_err();
        assert!(
            matches!(&none, Error::NotACommit { kind, .. } if kind == "blob"),
            "{none:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_the_unreachable_repo_and_the_reason() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog.commit();
    let server = Server::start(&lab.dir.path().join("srv"));
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for (address, code) in [
        (format!("http://{closed}/x"), ExitCode::Unreachable),
        (server.url("nope"), ExitCode::Unreachable),
        (format!("{}-nope", catalog.url()), ExitCode::Config),
        (format!("file://{}", lab.home().display()), ExitCode::Config),
    ] {
        let error = lab
            .git()
            .repo(&url(&address))
            .refs(&["refs/tags/".to_owned()])
            .await
            .unwrap_err();
        assert_eq!(error.exit_code(), code, "{error:?}");
        assert!(
            error.to_string().starts_with(&address) && error.hint().is_some(),
            "{error}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sha256_repo_is_refused_clearly() {
    let lab = Lab::new();
    let catalog = Catalog::with_format(&lab.dir.path().join("srv/repo"), "sha256");
    catalog.commit();
    let server = Server::start(&lab.dir.path().join("srv"));
    for address in [server.url("repo"), catalog.url()] {
        let error = lab
            .git()
            .repo(&url(address))
            .refs(&["refs/tags/".to_owned()])
            .await
            .unwrap_err();
        assert!(
            matches!(&error, Error::ObjectFormat { format, .. } if format == "sha256"),
            "{error:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_repos_take_three_requests_each() {
    let lab = Lab::new();
    let mut commits = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        let catalog = lab.catalog(name);
        catalog.git(&["config", "uploadpack.allowFilter", "true"]);
        catalog.write("env/x", name);
        commits.push((name, catalog.commit()));
    }
    let server = Server::start(&lab.dir.path().join("srv"));
    let git: Git = lab.git();
    let tasks: Vec<_> = commits
        .into_iter()
        .map(|(name, commit)| {
            let repo = git.repo(&url(server.url(name)));
            tokio::spawn(async move { (name, repo.fetch(&[want(&commit, &["env"])]).await.unwrap()) })
        })
        .collect();
    for task in tasks {
        let (name, got) = task.await.unwrap();
        assert_eq!(contents(&got[0], "env"), [format!("x={name}")]);
    }
    assert_eq!(server.count(), 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_serves_only_advertised_ids_is_supported() {
    for filter in ["true", "false"] {
        let lab = Lab::new();
        let catalog = lab.catalog("repo");
        catalog.git(&["config", "uploadpack.allowFilter", filter]);
        let (one, two) = two_versions(&catalog);
        let tag = catalog.git(&["rev-parse", "refs/tags/1.0.0"]);
        let advertised = [tag, two.clone()];
        let server = Server::with(&lab.dir.path().join("srv"), move |request| {
            let body = String::from_utf8_lossy(&request.body);
            let refused = body
                .split("want ")
                .skip(1)
                .map(|rest| &rest[..40])
                .find(|id| advertised.iter().all(|known| known != id));
            match refused {
                Some(id) => {
                    let text = format!("ERR upload-pack: not our ref {id}");
                    let kind = ("content-type", "application/x-git-upload-pack-result".to_owned());
                    Action::Answer(
                        "200 OK",
                        vec![kind],
                        format!("{:04x}{text}", text.len() + 4).into_bytes(),
                    )
                }
                None => Action::Serve,
            }
        });
        let repo = lab.git().repo(&url(server.url("repo")));
        let mut named = want(&one, &["eks"]);
        named.refname = Some("refs/tags/1.0.0".to_owned());
        let got = repo.fetch(&[named, want(&two, &["promStack"])]).await.unwrap();
        assert_eq!(contents(&got[0], "eks")[1], "terraform/main.tf=# eks\n");
        assert_eq!(contents(&got[1], "promStack").len(), 2);
        let gone = repo.fetch(&[want(&"7".repeat(40), &["eks"])]).await.unwrap_err();
        assert!(matches!(gone, Error::NoCommit { .. }), "{gone:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_shallow_fetches_sends_its_history() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    let (one, two) = two_versions(&catalog);
    let server = Server::with(&lab.dir.path().join("srv"), |request| {
        if request.method != "GET" {
            return Action::Serve;
        }
        Action::Change(Box::new(|body| {
            let text = String::from_utf8(body).unwrap();
            assert!(text.contains("fetch=shallow"));
            text.replace("fetch=shallow", "fetch=sideway").into_bytes()
        }))
    });
    let repo = lab.git().repo(&url(server.url("repo")));
    let got = repo.fetch(&[want(&two, &["eks"])]).await.unwrap();
    assert_eq!(contents(&got[0], "eks").len(), 2);
    assert!(
        server
            .requests()
            .iter()
            .all(|request| !String::from_utf8_lossy(&request.body).contains("deepen"))
    );
    let before = server.count();
    repo.fetch(&[want(&one, &["eks"])]).await.unwrap();
    assert_eq!(server.count(), before, "the older commit came along");
}

#[tokio::test(flavor = "multi_thread")]
async fn nested_environments_are_found_and_named() {
    let lab = Lab::new();
    let catalog = lab.catalog("repo");
    catalog.git(&["config", "uploadpack.allowFilter", "true"]);
    for file in [
        "stacks/eks/terraform/main.tf",
        "stacks/rds/bitops.config.yaml",
        "dev/helm/x/values.yaml",
        "_shared/x",
        ".github/x",
    ] {
        catalog.write(file, "x");
    }
    let commit = catalog.commit();
    let server = Server::start(&lab.dir.path().join("srv"));
    let repo = lab.git().repo(&url(server.url("repo")));
    let got = repo.fetch(&[want(&commit, &["stacks/ekz"])]).await.unwrap();
    assert!(got[0].files(&Root::whole(path("stacks/ekz"))).unwrap().is_empty());
    assert_eq!(
        got[0].environments().unwrap(),
        ["dev", "stacks/eks", "stacks/rds"]
    );
    assert_eq!(server.count(), 2, "nothing more is asked for what is not there");
}
