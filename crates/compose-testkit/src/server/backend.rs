//! Calls `git http-backend` as a CGI program.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use super::body::Response;
use super::http::Request;
use super::pkt;
use crate::git;

/// How the backend answers the requests for a repo.
pub(crate) struct BackendOptions<'a> {
    /// The value of `GIT_PROTOCOL`; `None` for protocol v0.
    pub(crate) protocol: Option<&'a str>,
    /// The capabilities to remove from the handshake.
    pub(crate) hidden: &'a [String],
}

/// Answers `request` by the backend, from the repos below `root`.
///
/// # Errors
///
/// If the client is gone, or a fault ends the connection.
pub(crate) fn answer(
    root: &Path,
    request: &Request,
    options: &BackendOptions<'_>,
    mut response: Response<'_>,
) -> io::Result<()> {
    let mut child = KillOnDrop(start(root, request, options)?);
    let mut stdin = child.0.stdin.take().expect("stdin is piped");
    let stdout = child.0.stdout.take().expect("stdout is piped");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // This fails if the backend answers without reading everything.
            let _ = stdin.write_all(&request.body);
        });
        let sent = send(stdout, options, &mut response);
        // This ends the writer above if the backend has not read everything.
        drop(child);
        sent
    })?;
    response.finish()
}

fn send(stdout: impl io::Read, options: &BackendOptions<'_>, response: &mut Response<'_>) -> io::Result<()> {
    let mut stdout = BufReader::with_capacity(64 * 1024, stdout);
    let (status, headers) = read_head(&mut stdout)?;
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let advertisement = headers.iter().any(|(_, value)| value.ends_with("-advertisement"));
    response.start(status, &headers)?;
    if advertisement && !options.hidden.is_empty() {
        let mut message = Vec::new();
        stdout.read_to_end(&mut message)?;
        return response.write(&pkt::rewrite(&message, |content| {
            without_hidden(content, options.hidden)
        }));
    }
    loop {
        let part = stdout.fill_buf()?;
        if part.is_empty() {
            return Ok(());
        }
        let length = part.len();
        response.write(part)?;
        stdout.consume(length);
    }
}

fn start(root: &Path, request: &Request, options: &BackendOptions<'_>) -> io::Result<Child> {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut command = Command::new(program());
    git::isolate(&mut command);
    command
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", request.header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("REMOTE_ADDR", "127.0.0.1");
    if let Some(protocol) = options.protocol {
        command.env("GIT_PROTOCOL", protocol);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

/// Returns the path of the program itself: `git http-backend` would start one more process per
/// request.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<std::path::PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| Path::new(&git::run(Path::new("/"), ["--exec-path"])).join("git-http-backend"))
}

/// Reads the status and the headers to pass on.
fn read_head(stdout: &mut impl io::BufRead) -> io::Result<(u16, Vec<(String, String)>)> {
    let mut status = 200;
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        if stdout.read_line(&mut line)? == 0 {
            // The backend died before it answered.
            return Ok((500, headers));
        }
        let line = line.trim_end();
        let Some((name, value)) = line.split_once(':') else {
            return Ok((status, headers));
        };
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            status = value
                .split(' ')
                .next()
                .and_then(|code| code.parse().ok())
                .unwrap_or(500);
        } else if !name.eq_ignore_ascii_case("content-length") {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
}

/// Removes the hidden capabilities from a line of the handshake. Those of v0 and v1 follow a NUL,
/// the features of a v2 command follow `=`.
fn without_hidden(content: &[u8], hidden: &[String]) -> Vec<u8> {
    let separator = content.iter().position(|byte| *byte == 0);
    let Some(separator) = separator.or_else(|| content.iter().position(|byte| *byte == b'=')) else {
        return content.to_vec();
    };
    let (kept, capabilities) = content.split_at(separator + 1);
    let capabilities = String::from_utf8_lossy(capabilities);
    let is_hidden = |capability: &str| {
        let name = capability.split('=').next().unwrap_or_default();
        hidden.iter().any(|hidden| hidden == name)
    };
    let shown: Vec<&str> = capabilities
        .trim_end_matches('\n')
        .split(' ')
        .filter(|capability| !is_hidden(capability))
        .collect();
    [kept, shown.join(" ").as_bytes(), b"\n"].concat()
}

/// A process that is killed on drop, so that a client which goes away leaves no process behind.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Both fail if the process has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_hidden_in_every_protocol_version() {
        let hidden = ["filter".to_owned(), "shallow".to_owned()];
        assert_eq!(
            without_hidden(b"fetch=shallow wait-for-done filter\n", &hidden),
            b"fetch=wait-for-done\n"
        );
        assert_eq!(
            without_hidden(b"id refs/tags/1\0multi_ack shallow agent=x\n", &hidden),
            b"id refs/tags/1\0multi_ack agent=x\n"
        );
        assert_eq!(without_hidden(b"version 2\n", &hidden), b"version 2\n");
    }
}
