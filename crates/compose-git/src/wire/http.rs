//! Implements gix's HTTP interface with the shared client.

use std::{
    any::Any,
    io::{self, BufRead as _, Cursor, Write},
    sync::Arc,
};

use gix::error::ErrorExt as _;
use gix::protocol::transport::client::blocking_io::http::{
    GetResponse, Http, PostBodyDataKind, PostResponse,
};
use reqwest::{
    Method,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
};

use crate::{
    credentials::Keyring,
    run::Run,
    wire::{
        body::{Body, Event},
        connection::Wire,
        exchange::{Head, HttpExchange, HttpRequest, wanted_type},
        pump::{ChunkSource, IN_FLIGHT, pump},
    },
};

/// The HTTP connection of one repo.
pub(crate) struct HttpLink {
    exchange: Arc<HttpExchange>,
    runtime: Handle,
    /// The base address that the server redirected to.
    moved: Option<String>,
}

impl HttpLink {
    pub(crate) fn new(run: Arc<Run>, wire: Arc<Wire>, keyring: Keyring, runtime: Handle) -> Self {
        Self {
            exchange: Arc::new(HttpExchange { run, wire, keyring }),
            runtime,
            moved: None,
        }
    }

    /// Prepares a request whose body is not known yet.
    fn prepare(
        &self,
        method: Method,
        url: &str,
        base_url: &str,
        headers: HeaderMap,
    ) -> (PendingRequest, Body, oneshot::Receiver<Head>) {
        let (head_to, head) = oneshot::channel();
        let (to, from) = mpsc::channel(IN_FLIGHT);
        let wire = Arc::clone(&self.exchange.wire);
        let body = if method == Method::GET {
            Body::of_handshake(wire, from)
        } else {
            Body::new(wire, from)
        };
        let request = HttpRequest {
            method,
            url: url.to_owned(),
            tail: url.strip_prefix(base_url).unwrap_or(url).to_owned(),
            headers,
            body: None,
        };
        let start = PendingRequest {
            exchange: Arc::clone(&self.exchange),
            runtime: self.runtime.clone(),
            request,
            head_to,
            to,
        };
        (start, body, head)
    }
}

/// A request that can be sent once its body is known.
struct PendingRequest {
    exchange: Arc<HttpExchange>,
    runtime: Handle,
    request: HttpRequest,
    head_to: oneshot::Sender<Head>,
    to: mpsc::Sender<Event>,
}

impl PendingRequest {
    /// Sends the request on the runtime and moves its answer to the reader.
    fn spawn(self) {
        let Self {
            exchange,
            runtime,
            request,
            head_to,
            to,
        } = self;
        runtime.spawn(async move {
            let wire = Arc::clone(&exchange.wire);
            let done = tokio::select! {
                biased;
                error = wire.interrupted() => Err(error),
                () = to.closed() => return,
                answer = exchange.answer(request) => answer,
            };
            let done = match done {
                Ok((head, response)) => {
                    // The receiver of a POST is dropped.
                    _ = head_to.send(head);
                    pump(&wire, &mut ChunkSource::Http(response), &to).await
                }
                Err(error) => Err(error),
            };
            match done {
                Ok(rest) => {
                    // The reader may be gone; then the end does not matter.
                    _ = to.send(Event::End(rest)).await;
                }
                Err(error) => wire.fail(error),
            }
        });
    }
}

fn header_map(lines: impl IntoIterator<Item = impl AsRef<str>>) -> HeaderMap {
    lines
        .into_iter()
        .filter_map(|line| {
            let (name, value) = line.as_ref().split_once(':')?;
            Some((
                name.parse::<HeaderName>().ok()?,
                value.trim().parse::<HeaderValue>().ok()?,
            ))
        })
        // The client sends its own `User-Agent`.
        .filter(|(name, _)| name != reqwest::header::USER_AGENT)
        .collect()
}

impl Http for HttpLink {
    type Headers = Cursor<Vec<u8>>;
    type ResponseBody = Body;
    type PostBody = PostBody;

    fn get(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> gix::Result<GetResponse<Self::Headers, Body>> {
        let (start, mut body, mut head) = self.prepare(Method::GET, url, base_url, header_map(headers));
        start.spawn();
        // This waits for the body, and the head arrives before it.
        _ = body.fill_buf();
        let head = head
            .try_recv()
            .map_err(|_| gix::error::message("no answer").raise())?;
        if head.url.as_str() != url {
            let tail = url.strip_prefix(base_url).unwrap_or(url);
            self.moved = head.url.as_str().strip_suffix(tail).map(str::to_owned);
        }
        Ok(GetResponse {
            headers: Cursor::new(head.lines),
            body,
        })
    }

    fn post(
        &mut self,
        url: &str,
        base_url: &str,
        headers: impl IntoIterator<Item = impl AsRef<str>>,
        _kind: PostBodyDataKind,
    ) -> gix::Result<PostResponse<Self::Headers, Body, PostBody>> {
        let (start, body, _head) = self.prepare(Method::POST, url, base_url, header_map(headers));
        // The head was checked where it was received; gix checks the content type again.
        let headers = Cursor::new(format!("content-type: {}\n", wanted_type(&Method::POST)).into_bytes());
        Ok(PostResponse {
            post_body: PostBody {
                bytes: Vec::new(),
                start: Some(start),
            },
            headers,
            body,
        })
    }

    fn configure(&mut self, _config: &dyn Any) -> gix::Result {
        Ok(())
    }

    fn redirected_base_url(&self) -> Option<String> {
        self.moved.clone()
    }
}

/// Collects a request's body (a small list of wants) and sends the request when gix drops it.
pub(crate) struct PostBody {
    bytes: Vec<u8>,
    start: Option<PendingRequest>,
}

impl Write for PostBody {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for PostBody {
    fn drop(&mut self) {
        if let Some(mut start) = self.start.take() {
            start.request.body = Some(std::mem::take(&mut self.bytes).into());
            start.spawn();
        }
    }
}
