//! Each fault has its effect, as seen by a raw socket or by stock git.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use compose_testkit::server::{ANY, BodyOffset, ClosedPort, Fault, RequestKind, Rule};
use compose_testkit::{Catalog, GitServer, git};

use crate::world::World;

fn world() -> World {
    World::start(Catalog::new("kubernetes").padding(4, 3).tag("1.0.0"))
}

fn git_in(directory: &Path, args: &[&str]) -> Output {
    git::command(directory).args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

impl World {
    /// Clones into a new directory; the clone may fail.
    fn try_clone(&self) -> Output {
        let target = tempfile::tempdir_in(self.root.path()).unwrap();
        let url = self.server.url("kubernetes");
        git_in(target.path(), &["clone", "--quiet", "--bare", &url, "clone"])
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(self.server.socket_address()).unwrap()
    }

    /// Requests the handshake, and returns everything that is received and how the connection
    /// ended.
    fn handshake(&self) -> (String, io::Result<usize>) {
        let mut stream = self.connect();
        request_handshake(&mut stream);
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        (String::from_utf8_lossy(&answer).into_owned(), ended)
    }
}

fn request_handshake(stream: &mut TcpStream) {
    stream
        .write_all(
            b"GET /kubernetes/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
}

/// Returns the body of a chunked response, as far as it was received.
fn body(answer: &str) -> String {
    let mut rest = answer.split_once("\r\n\r\n").unwrap().1;
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            break;
        }
        body.push_str(&after[..size]);
        rest = after[size..].strip_prefix("\r\n").unwrap();
    }
    body
}

#[test]
fn a_reset_comes_instead_of_a_response() {
    let world = world();
    world.server.inject("kubernetes", Fault::Reset);
    let (answer, ended) = world.handshake();
    assert_eq!(answer, "");
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_reset_comes_at_its_byte() {
    let world = world();
    world
        .server
        .inject("kubernetes", Fault::ResetAt(BodyOffset::Body(10)));
    let (answer, ended) = world.handshake();
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(body(&answer), "001e# serv");
    assert!(!world.try_clone().status.success());
    world.server.heal("kubernetes");
    assert!(world.try_clone().status.success());
}

#[test]
fn a_body_is_closed_or_truncated_at_its_byte() {
    let world = world();
    world.server.inject(
        "kubernetes",
        Rule::from(Fault::CloseAt(BodyOffset::Body(10))).times(1),
    );
    world.server.inject(
        "kubernetes",
        Rule::from(Fault::TruncateAt(BodyOffset::Body(10))).times(1),
    );
    let (closed, ended) = world.handshake();
    assert!(ended.is_ok());
    let (truncated, ended) = world.handshake();
    assert!(ended.is_ok());
    assert_eq!(body(&closed), "001e# serv");
    assert_eq!(body(&truncated), "001e# serv");
    assert!(!closed.ends_with("\r\n0\r\n\r\n"), "{closed:?}");
    assert!(truncated.ends_with("\r\n0\r\n\r\n"), "{truncated:?}");
}

#[test]
fn a_truncated_pack_makes_a_clone_fail() {
    let world = world();
    world
        .server
        .inject("kubernetes", Fault::TruncateAt(BodyOffset::Pack(1_000)));
    let output = world.try_clone();
    assert!(
        stderr(&output).contains("early EOF") || stderr(&output).contains("unexpected disconnect"),
        "{output:?}"
    );
    let kinds: Vec<Option<u16>> = world.server.requests().iter().map(|seen| seen.status).collect();
    assert_eq!(kinds, [Some(200); 3]);
}

#[test]
fn a_flipped_bit_breaks_the_pack() {
    let world = world();
    world
        .server
        .inject("kubernetes", Fault::FlipBit(BodyOffset::Pack(1_000)));
    let output = world.try_clone();
    let said = stderr(&output);
    assert!(
        !output.status.success() && (said.contains("inflate") || said.contains("pack")),
        "{said}"
    );

    world.server.heal("kubernetes");
    world
        .server
        .inject("kubernetes", Fault::FlipBit(BodyOffset::Body(6)));
    let (answer, _) = world.handshake();
    assert!(body(&answer).starts_with("001e# rervice=git"), "{answer:?}");
}

#[test]
fn bytes_are_overwritten() {
    let world = world();
    world.server.inject(
        "kubernetes",
        Fault::Overwrite(BodyOffset::Body(2), b"XYZ".to_vec()),
    );
    assert!(body(&world.handshake().0).starts_with("00XYZ service="));

    world.server.heal("kubernetes");
    // The number of objects is in the pack's bytes 8 to 11.
    world.server.inject(
        "kubernetes",
        Fault::Overwrite(BodyOffset::Pack(8), vec![0, 0, 0, 1]),
    );
    let output = world.try_clone();
    assert!(!output.status.success(), "{output:?}");
}

#[test]
fn a_stall_lasts_until_the_client_gives_up() {
    let world = world();
    world
        .server
        .inject("kubernetes", Rule::from(Fault::Stall).times(1));
    world
        .server
        .inject("kubernetes", Fault::StallAt(BodyOffset::Body(10)));
    for expected in ["", "001e# serv"] {
        let mut stream = world.connect();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        request_handshake(&mut stream);
        let mut answer = Vec::new();
        let stalled = stream.read_to_end(&mut answer).unwrap_err();
        assert_eq!(stalled.kind(), io::ErrorKind::WouldBlock);
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(
            if answer.is_empty() {
                String::new()
            } else {
                body(&answer)
            },
            expected
        );
    }
    world
        .server
        .wait_for(Duration::from_secs(10), |seen| seen.len() == 2);
    // A stalled connection does not keep the server from stopping.
    let _stalled = world.connect();
    drop(world);
}

#[test]
fn a_drip_comes_byte_by_byte() {
    let world = world();
    let pause = Duration::from_millis(1);
    world.server.inject("kubernetes", Fault::Drip(pause));
    let start = Instant::now();
    let (answer, _) = world.handshake();
    let length = u32::try_from(body(&answer).len()).unwrap();
    assert!(
        start.elapsed() >= pause * length,
        "{length} bytes in {:?}",
        start.elapsed()
    );
    assert!(
        answer.contains("\r\n1\r\n#\r\n1\r\n \r\n1\r\ns\r\n"),
        "{answer:?}"
    );
}

#[test]
fn a_status_is_sent_a_limited_number_of_times() {
    let world = world();
    let busy = Fault::Status {
        code: 503,
        retry_after: Some("2".to_owned()),
    };
    world.server.inject("kubernetes", Rule::from(busy).times(2));
    for _ in 0..2 {
        let (answer, _) = world.handshake();
        assert!(
            answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
            "{answer}"
        );
        assert!(answer.contains("\r\nRetry-After: 2\r\n"), "{answer}");
    }
    assert!(world.handshake().0.starts_with("HTTP/1.1 200 OK\r\n"));

    for (code, said) in [
        (401, "could not read Username"),
        (403, "403"),
        (404, "not found"),
        (429, "429"),
    ] {
        world.server.heal(ANY);
        world.server.inject(
            ANY,
            Fault::Status {
                code,
                retry_after: None,
            },
        );
        let output = world.try_clone();
        assert!(stderr(&output).contains(said), "{code}: {output:?}");
    }
}

#[test]
fn only_the_second_fetch_gets_the_fault() {
    let world = world();
    let rule = Rule::from(Fault::Status {
        code: 500,
        retry_after: None,
    })
    .on(RequestKind::Fetch)
    .after(1)
    .times(1);
    world.server.inject("kubernetes", rule);
    let worked: Vec<bool> = (0..3).map(|_| world.try_clone().status.success()).collect();
    assert_eq!(worked, [true, false, true]);
}

#[test]
fn login_pages_errors_and_other_answers_reach_the_client() {
    let world = world();
    world
        .server
        .inject("kubernetes", Rule::from(Fault::LoginPage).times(1));
    let (answer, _) = world.handshake();
    assert!(
        answer.contains("Content-Type: text/html") && body(&answer).contains("Sign in"),
        "{answer}"
    );

    let error = Fault::Error("the repo \x1b[31mis closed".to_owned());
    world
        .server
        .inject("kubernetes", Rule::from(error.clone()).times(1));
    world
        .server
        .inject("kubernetes", Rule::from(error).on(RequestKind::Fetch).times(1));
    for _ in 0..2 {
        let output = world.try_clone();
        assert!(stderr(&output).contains("remote error: the repo"), "{output:?}");
    }

    world.server.inject(
        "kubernetes",
        Fault::Answer {
            content_type: "text/x".to_owned(),
            body: b"mine".to_vec(),
        },
    );
    let (answer, _) = world.handshake();
    assert!(
        answer.contains("Content-Type: text/x") && body(&answer) == "mine",
        "{answer}"
    );
}

#[test]
fn side_band_errors_reach_the_client_in_every_protocol_version() {
    use compose_testkit::server::Protocol;
    let world = world();
    world.server.inject(
        "kubernetes",
        Fault::SideBandError("out of \x1b[2Jdisk\n".to_owned()),
    );
    for protocol in [Protocol::AsAsked, Protocol::V0] {
        world.server.set_protocol("kubernetes", protocol);
        let output = world.try_clone();
        assert!(
            stderr(&output).contains("remote: out of "),
            "{protocol:?}: {output:?}"
        );
    }
}

#[test]
fn redirects_lead_to_their_target() {
    let world = world();
    let elsewhere = GitServer::start(world.root.path());
    let redirect = |to: &str| Fault::Redirect {
        code: 302,
        to: to.to_owned(),
    };
    world.server.inject("kubernetes", redirect(&elsewhere.address()));
    assert!(world.try_clone().status.success());
    assert_eq!(elsewhere.stats("kubernetes").fetches, 1);
    assert_eq!(world.server.stats("kubernetes").fetches, 0);

    world.server.heal("kubernetes");
    world
        .server
        .inject("kubernetes", redirect(&world.server.address()));
    let output = world.try_clone();
    assert!(stderr(&output).contains("redirects"), "{output:?}");
    world.server.heal("kubernetes");
    world.server.inject("kubernetes", redirect("file://"));
    assert!(
        world
            .handshake()
            .0
            .contains("Location: file:///kubernetes/info/refs?service=git-upload-pack\r\n")
    );
}

#[test]
fn an_endless_advertisement_does_not_end() {
    let world = world();
    world.server.inject("kubernetes", Fault::EndlessRefs);
    let mut stream = world.connect();
    request_handshake(&mut stream);
    let mut answer = vec![0; 3_000_000];
    stream.read_exact(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.contains("refs/tags/30000\n"));
    drop(stream);

    world.server.heal("kubernetes");
    world.server.inject(
        "kubernetes",
        Rule::from(Fault::EndlessRefs).on(RequestKind::LsRefs),
    );
    let url = world.server.url("kubernetes");
    let mut child = git::command(world.root.path())
        .args(["ls-remote", &url])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    world.server.wait_for(Duration::from_secs(30), |seen| {
        seen.iter()
            .any(|seen| seen.kind == RequestKind::LsRefs && seen.bytes_sent > 3_000_000)
    });
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_client_gets_an_injected_pack() {
    let world = world();
    let blob = world.repo.write_blob("not asked for");
    let pack = git::output_bytes(
        world.repo.path(),
        ["pack-objects", "--stdout", "--quiet"],
        format!("{blob}\n").as_bytes(),
    );
    assert!(pack.starts_with(b"PACK"));
    world.server.inject("kubernetes", Fault::Pack(pack));
    let target = tempfile::tempdir_in(world.root.path()).unwrap();
    git::run(target.path(), ["init", "--quiet", "--bare", "."]);
    let url = world.server.url("kubernetes");
    for depth in [&["--depth=1"][..], &[]] {
        let output = git_in(
            target.path(),
            &[&["fetch", "--quiet"], depth, &[&url, "refs/tags/1.0.0"]].concat(),
        );
        // git accepts the pack and misses the objects that it requested.
        assert!(
            stderr(&output).contains("did not send all necessary objects"),
            "{output:?}"
        );
    }
}

#[test]
fn a_closed_port_refuses_until_it_is_opened() {
    let world = world();
    let port = ClosedPort::new();
    let url = format!("{}/kubernetes", port.address());
    let output = git_in(world.root.path(), &["ls-remote", &url]);
    assert!(stderr(&output).contains("connect"), "{output:?}");
    let refused = TcpStream::connect(port.address().trim_start_matches("http://")).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    let _server = port.open(world.root.path());
    assert!(git_in(world.root.path(), &["ls-remote", &url]).status.success());
}
