//! Packs that are broken, belong to another commit, or announce more objects than memory holds.

use compose_git::Error;

use super::{is_fetch, line, scene};
use crate::support::{
    server::{Action, Request, Server},
    url, want,
};

#[tokio::test(flavor = "multi_thread")]
async fn broken_and_wrong_packs_are_refused_without_a_retry() {
    let scene = scene();
    // A pack with a flipped bit.
    let flip = |request: &Request| {
        if !is_fetch(request) {
            return Action::Serve;
        }
        Action::Change(Box::new(|mut body| {
            let at = body.windows(4).position(|bytes| bytes == b"PACK").unwrap() + 30;
            body[at] ^= 4;
            body
        }))
    };
    let (error, count) = scene.fails(flip).await;
    assert!(matches!(error, Error::Nonsense { .. }), "{error:?}");
    assert_eq!(count, 3);

    // The pack of another commit.
    let other = scene.lab.catalog("other");
    other.write("env/evil", "x");
    let evil = other.commit();
    let root = scene.lab.dir.path().join("srv");
    let swapped = Server::start(&root);
    let wrong: Vec<u8> = {
        // The answer to a request for the other commit.
        let repo = scene.lab.git().repo(&url(swapped.url("other")));
        repo.fetch(&[want(&evil, &["env"])]).await.unwrap();
        let request = swapped.requests().into_iter().find(is_fetch).unwrap();
        raw_post(&swapped, &request).await
    };
    let (error, count) = scene
        .fails(move |request| {
            let wrong = wrong.clone();
            if is_fetch(request) {
                Action::Change(Box::new(move |_| wrong))
            } else {
                Action::Serve
            }
        })
        .await;
    assert!(
        matches!(&error, Error::Nonsense { why, .. } if why.contains(&scene.commit)),
        "{error:?}"
    );
    assert_eq!(count, 3);

    // An empty pack.
    let (error, _) = scene
        .fails(|request| {
            if !is_fetch(request) {
                return Action::Serve;
            }
            Action::Change(Box::new(|_| {
                let pack = b"PACK\0\0\0\x02\0\0\0\0\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e";
                let mut body = line("packfile\n");
                body.extend(format!("{:04x}\u{1}", pack.len() + 5).bytes());
                body.extend_from_slice(pack);
                body.extend(b"0000");
                body
            }))
        })
        .await;
    assert!(
        matches!(&error, Error::Nonsense { why, .. } if why.contains("not sent")),
        "{error:?}"
    );
}

async fn raw_post(server: &Server, request: &Request) -> Vec<u8> {
    let (address, target, body) = (server.address, request.target.clone(), request.body.clone());
    tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        let head = format!(
            "POST {target} HTTP/1.1\r\ncontent-type: application/x-git-upload-pack-request\r\ngit-protocol: version=2\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&body).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
        answer.split_off(end)
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_announces_four_billion_objects_is_refused() {
    let scene = scene();
    let (error, count) = scene
        .fails(|request| {
            if !is_fetch(request) {
                return Action::Serve;
            }
            Action::Change(Box::new(|mut body| {
                let at = body.windows(4).position(|bytes| bytes == b"PACK").unwrap() + 8;
                body[at..at + 4].fill(0xff);
                body
            }))
        })
        .await;
    assert!(
        matches!(&error, Error::TooMuch { limit, .. } if limit.contains("4294967295")),
        "{error:?}"
    );
    assert_eq!(count, 3);
}
