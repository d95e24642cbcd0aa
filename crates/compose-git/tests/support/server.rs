//! An HTTP/1.1 server over `git http-backend`.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

/// One request as it came in.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// The target, with the query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The number of the connection that it came on.
    pub connection: u64,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// What to do with a request.
pub enum Action {
    /// Sends git's answer.
    Serve,
    /// Sends git's answer, with these variables set for `git http-backend`.
    ServeWith(Vec<(&'static str, String)>),
    /// Sends another answer: status line, headers and body.
    Answer(&'static str, Vec<(&'static str, String)>, Vec<u8>),
    /// Sends the first bytes of the real body, then closes the connection.
    Cut(usize),
    /// Sends the start of another answer (headers and bytes), then closes the connection.
    CutAnswer(Vec<(&'static str, String)>, Vec<u8>),
    /// Sends the real body after changing it.
    Change(Box<dyn FnOnce(Vec<u8>) -> Vec<u8> + Send>),
    /// Sends the real body except its last bytes, calls the function, then sends the rest.
    Split(Box<dyn FnOnce() + Send>),
    /// Sends the head, then nothing until the server is dropped.
    Stall,
    /// Sends the head, then the same bytes for ever.
    Endless(Vec<u8>),
    /// Sends the real body, a byte at a time.
    Drip(std::time::Duration),
    /// Closes the connection at once.
    Hangup,
}

type Hook = dyn Fn(&Request) -> Action + Send + Sync;

pub struct Server {
    pub address: SocketAddr,
    pub requests: Arc<Mutex<Vec<Request>>>,
    pub sent: Arc<AtomicU64>,
    stop: Arc<Mutex<Vec<TcpStream>>>,
}

impl Server {
    /// Serves the repositories below a directory.
    pub fn start(root: &Path) -> Self {
        Self::with(root, |_| Action::Serve)
    }

    pub fn with(root: &Path, hook: impl Fn(&Request) -> Action + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let sent = Arc::<AtomicU64>::default();
        let stop = Arc::<Mutex<Vec<TcpStream>>>::default();
        let state = (
            root.to_owned(),
            Arc::new(hook) as Arc<Hook>,
            Arc::clone(&requests),
            Arc::clone(&sent),
        );
        let streams = Arc::clone(&stop);
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { return };
                streams.lock().unwrap().push(stream.try_clone().unwrap());
                let (root, hook, requests, sent) = state.clone();
                thread::spawn(move || {
                    let mut connection = Connection {
                        stream,
                        root,
                        hook,
                        requests,
                        sent,
                        number: number as u64,
                    };
                    // A client that goes away is not a failure of the server.
                    _ = connection.run();
                    _ = connection.stream.shutdown(std::net::Shutdown::Both);
                });
            }
        });
        Self {
            address,
            requests,
            sent,
            stop,
        }
    }

    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    pub fn bytes(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for stream in self.stop.lock().unwrap().drain(..) {
            _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

struct Connection {
    stream: TcpStream,
    root: PathBuf,
    hook: Arc<Hook>,
    requests: Arc<Mutex<Vec<Request>>>,
    sent: Arc<AtomicU64>,
    number: u64,
}

impl Connection {
    fn run(&mut self) -> std::io::Result<()> {
        let mut reader = BufReader::new(self.stream.try_clone()?);
        while let Some(request) = read(&mut reader, self.number)? {
            self.requests.lock().unwrap().push(request.clone());
            let go_on = match (self.hook)(&request) {
                Action::Serve => self.serve(&request, &[])?,
                Action::ServeWith(variables) => self.serve(&request, &variables)?,
                Action::Answer(status, headers, body) => self.answer(status, &headers, &body)?,
                Action::Cut(count) => {
                    let (status, headers, body) = backend(&self.root, &request, &[]);
                    self.head(&status, &headers, Some(body.len()))?;
                    self.write(&body[..count.min(body.len())])?;
                    false
                }
                Action::CutAnswer(headers, body) => {
                    let headers: Vec<_> = headers
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect();
                    self.head("200 OK", &headers, Some(body.len() + 1))?;
                    self.write(&body)?;
                    false
                }
                Action::Change(change) => {
                    let (status, headers, body) = backend(&self.root, &request, &[]);
                    let body = change(body);
                    self.head(&status, &headers, Some(body.len()))?;
                    self.write(&body)?;
                    true
                }
                Action::Split(between) => {
                    let (status, headers, body) = backend(&self.root, &request, &[]);
                    self.head(&status, &headers, Some(body.len()))?;
                    let (most, rest) = body.split_at(body.len().saturating_sub(4));
                    self.write(most)?;
                    between();
                    self.write(rest)?;
                    true
                }
                Action::Stall => {
                    let (status, headers, body) = backend(&self.root, &request, &[]);
                    self.head(&status, &headers, Some(body.len()))?;
                    // Waits until the client or the server's end closes the connection.
                    _ = self.stream.read(&mut [0])?;
                    false
                }
                Action::Endless(bytes) => {
                    let (status, headers, _) = backend(&self.root, &request, &[]);
                    self.head(&status, &headers, None)?;
                    loop {
                        self.write(format!("{:x}\r\n", bytes.len()).as_bytes())?;
                        self.write(&bytes)?;
                        self.write(b"\r\n")?;
                    }
                }
                Action::Drip(pause) => {
                    let (status, headers, body) = backend(&self.root, &request, &[]);
                    self.head(&status, &headers, Some(body.len()))?;
                    // Nothing is received meanwhile unless the client hangs up.
                    self.stream.set_read_timeout(Some(pause))?;
                    for byte in body {
                        self.write(&[byte])?;
                        if self.stream.read(&mut [0]).is_ok() {
                            break;
                        }
                    }
                    false
                }
                Action::Hangup => false,
            };
            if !go_on {
                return Ok(());
            }
        }
        Ok(())
    }

    fn serve(&mut self, request: &Request, variables: &[(&'static str, String)]) -> std::io::Result<bool> {
        let (status, headers, body) = backend(&self.root, request, variables);
        self.head(&status, &headers, Some(body.len()))?;
        self.write(&body)?;
        Ok(true)
    }

    fn answer(
        &mut self,
        status: &str,
        headers: &[(&'static str, String)],
        body: &[u8],
    ) -> std::io::Result<bool> {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        self.head(status, &headers, Some(body.len()))?;
        self.write(body)?;
        Ok(true)
    }

    fn head(
        &mut self,
        status: &str,
        headers: &[(String, String)],
        length: Option<usize>,
    ) -> std::io::Result<()> {
        let mut head = format!("HTTP/1.1 {status}\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match length {
            Some(length) => head.push_str(&format!("content-length: {length}\r\n\r\n")),
            None => head.push_str("transfer-encoding: chunked\r\n\r\n"),
        }
        self.stream.write_all(head.as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.sent.fetch_add(bytes.len() as u64, Ordering::SeqCst);
        self.stream.write_all(bytes)
    }
}

/// Returns the answer of `git http-backend`: status, headers and body.
pub fn backend(
    root: &Path,
    request: &Request,
    variables: &[(&'static str, String)],
) -> (String, Vec<(String, String)>, Vec<u8>) {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    // Requests to a proxy hold absolute addresses.
    let path = path.find("://").map_or(path, |scheme_end| {
        path[scheme_end + 3..]
            .find('/')
            .map_or("/", |slash| &path[scheme_end + 3 + slash..])
    });
    let mut command = Command::new("git");
    command
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &request.method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", request.header("content-type").unwrap_or_default())
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(version) = request.header("git-protocol") {
        command
            .env("GIT_PROTOCOL", version)
            .env("HTTP_GIT_PROTOCOL", version);
    }
    for (name, value) in variables {
        command.env(name, value);
    }
    let mut child = command.spawn().unwrap();
    _ = child.stdin.take().unwrap().write_all(&request.body);
    let output = child.wait_with_output().unwrap().stdout;
    let end = output
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .expect("a CGI head");
    let head = String::from_utf8(output[..end].to_vec()).unwrap();
    let mut status = "200 OK".to_owned();
    let mut headers = Vec::new();
    for line in head.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        if name == "Status" {
            value.clone_into(&mut status);
        } else {
            headers.push((name.to_owned(), value.to_owned()));
        }
    }
    (status, headers, output[end + 4..].to_vec())
}

fn read(reader: &mut BufReader<TcpStream>, connection: u64) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (method, target) = (
        words.next().unwrap_or_default().to_owned(),
        words.next().unwrap_or_default().to_owned(),
    );
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    let mut request = Request {
        method,
        target,
        headers,
        body: Vec::new(),
        connection,
    };
    let length = request
        .header("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}
