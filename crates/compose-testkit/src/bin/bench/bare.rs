//! The least that a look at the refs can cost: the same requests, by a client that does nothing else.
//!
//! What a warm run takes above this is its own; what this takes above the delays is the server's, which starts a `git
//! http-backend` for each request on the same processors.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::world::Source;

/// Connects, shakes hands and lists the tags that a version may mean, over one connection.
///
/// # Panics
/// Where the server does not answer.
pub(crate) fn look(source: &Source) {
    let (host, path) = source
        .url
        .strip_prefix("http://")
        .and_then(|rest| rest.split_once('/'))
        .expect("the server has such addresses");
    let fail = |error: std::io::Error| -> ! { panic!("{}: {error}", source.url) };
    let mut connection = TcpStream::connect(host).unwrap_or_else(|error| fail(error));
    connection.set_nodelay(true).unwrap_or_else(|error| fail(error));
    let mut ask = |request: String| {
        connection
            .write_all(request.as_bytes())
            .and_then(|()| read_chunked(&mut connection))
            .unwrap_or_else(|error| fail(error))
    };
    let general = format!("Host: {host}\r\nGit-Protocol: version=2\r\n");
    let advertised = ask(format!(
        "GET /{path}/info/refs?service=git-upload-pack HTTP/1.1\r\n{general}\r\n"
    ));
    assert!(holds(&advertised, "ls-refs"), "{}: no handshake", source.url);
    let body = format!(
        "0014command=ls-refs\n0001{}{}0000",
        line("peel\n"),
        line(&format!("ref-prefix refs/tags/{}\n", source.tags()))
    );
    let refs = ask(format!(
        "POST /{path}/git-upload-pack HTTP/1.1\r\n{general}\
         Content-Type: application/x-git-upload-pack-request\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert!(holds(&refs, "refs/tags/"), "{}: no tags", source.url);
}

fn line(content: &str) -> String {
    format!("{:04x}{content}", content.len() + 4)
}

fn holds(response: &[u8], text: &str) -> bool {
    response
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

/// One response of the kit's server, which always sends chunks.
fn read_chunked(connection: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut response = Vec::new();
    let mut buffer = [0; 65_536];
    while !response.ends_with(b"\r\n0\r\n\r\n") {
        match connection.read(&mut buffer)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => response.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(response)
}
