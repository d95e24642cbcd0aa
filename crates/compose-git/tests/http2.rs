//! HTTP/2: one connection for all repos of a host, and packs larger than its windows.

use std::collections::BTreeSet;

use crate::support::{Catalog, Lab, contents, h2::H2, path, read_text, url, want};
use compose_git::{Git, Options};
use compose_testkit::server::Authority;

fn options(lab: &Lab, authority: &Authority) -> Options {
    let mut options = lab.options();
    let ca = authority.write(lab.dir.path());
    options.environment.insert("SSL_CERT_FILE".into(), ca.into());
    options
}

fn catalog(lab: &Lab, name: &str) -> Catalog {
    let catalog = lab.catalog(name);
    catalog.git(&["config", "uploadpack.allowFilter", "true"]);
    catalog.write("env/x", name).write("other/y", "not wanted");
    catalog
}

#[tokio::test(flavor = "multi_thread")]
async fn all_repos_of_a_host_share_one_connection() {
    let lab = Lab::new();
    let authority = Authority::new();
    let names = ["a", "b", "c", "d", "e"];
    let commits: Vec<_> = names
        .iter()
        .map(|name| (*name, catalog(&lab, name).commit()))
        .collect();
    let server = H2::start(&lab.dir.path().join("srv"), &authority.identity()).await;
    let git = Git::new(options(&lab, &authority)).unwrap();
    let tasks: Vec<_> = commits
        .into_iter()
        .map(|(name, commit)| {
            let repo = git.repo(&url(server.url(name)));
            tokio::spawn(async move {
                let refs = repo.refs(&["refs/heads/".to_owned()]).await.unwrap();
                assert_eq!(refs.branch("main").unwrap().target.to_string(), commit);
                let got = repo.fetch(&[want(&commit, &["env"])]).await.unwrap();
                assert_eq!(contents(&got[0], "env"), [format!("x={name}")]);
                repo.traffic().0
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 4, "requests of a repo");
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 20);
    // Requests that start at the same time may open connections side by side: waiting for the first
    // would cost the others a round trip. From the second request on, all share one connection.
    assert!(server.handshakes() <= names.len());
    let later = requests.iter().filter(|request| request.method == "POST");
    let connections: BTreeSet<u64> = later.map(|request| request.connection).collect();
    assert_eq!(connections.len(), 1, "{requests:#?}");

    // Another repo of the host needs no handshake.
    let before = server.handshakes();
    let commit = catalog(&lab, "f").commit();
    let repo = git.repo(&url(server.url("f")));
    repo.fetch(&[want(&commit, &["env"])]).await.unwrap();
    assert_eq!(server.handshakes(), before);
    let last = server.requests().split_off(20);
    assert!(
        last.iter()
            .all(|request| connections.contains(&request.connection))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_larger_than_the_flow_control_windows_is_received() {
    let lab = Lab::new();
    let authority = Authority::new();
    let catalog = catalog(&lab, "big");
    // Noise in hexadecimal: 2.4 MB on the wire, more than the 2 MB that the client lets a server
    // send without acknowledgement.
    let mut state = 1_u64;
    let noise: String = (0..300_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            format!("{:016x}", state ^ (state >> 29))
        })
        .collect();
    catalog.write("env/noise", &noise);
    let commit = catalog.commit();
    let server = H2::start(&lab.dir.path().join("srv"), &authority.identity()).await;
    let repo = Git::new(options(&lab, &authority))
        .unwrap()
        .repo(&url(server.url("big")));
    let got = repo.fetch(&[want(&commit, &["env"])]).await.unwrap();
    let files = got[0].files(&compose_git::Root::whole(path("env"))).unwrap();
    let found = files.iter().find(|file| file.path.as_str() == "noise").unwrap();
    assert!(read_text(&got[0], found) == noise);
    assert!(repo.traffic().1 > 2 << 20, "{:?}", repo.traffic());
}
