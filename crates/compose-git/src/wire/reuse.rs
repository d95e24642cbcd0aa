//! Waits for a used connection to return to the client's pool before another one is made.
//!
//! hyper puts an HTTP/1 connection back with a task of its own, after the reader has seen the end of
//! the answer. On a busy machine the repo's next request can come first; hyper would then start a
//! second connection (through a proxy, a second tunnel) beside the one that is about to be free.
//! How many connections of a host are open and in use is therefore counted here, and a new one waits
//! while there must be a free one.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{self, Poll},
    time::Duration,
};

use reqwest::{Response, Url, Version, header::CONNECTION};
use tower_layer::Layer;
use tower_service::Service;

use crate::sync::lock_unpoisoned;

/// How long a new connection waits for a free one. A returning connection takes microseconds, and on
/// a machine with more tasks than cores some scheduler ticks; connecting to a hosted service takes
/// longer than this. It is spent in vain only if the server has closed the connection meanwhile.
const RETURN_TIME: Duration = Duration::from_millis(200);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

tokio::task_local! {
    /// The host that the current task sends a request to.
    static TARGET: Arc<HostConnections>;
}

/// The connections of a run, by host and port.
#[derive(Default)]
pub(crate) struct Connections(Mutex<HashMap<String, Arc<HostConnections>>>);

/// The connections of one host.
#[derive(Default)]
struct HostConnections {
    open: AtomicUsize,
    busy: AtomicUsize,
}

impl HostConnections {
    /// Returns whether a connection is free or about to be: the request that asks is counted as
    /// busy, although it has none yet.
    fn has_free(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= self.busy.load(Ordering::Relaxed)
    }

    fn lose_one(&self) {
        let less = |open: usize| open.checked_sub(1);
        _ = self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// The use of one connection by a request. It ends when the last copy is dropped, with the answer.
#[derive(Clone)]
pub(super) struct Lease {
    host: Arc<HostConnections>,
    _busy: Arc<Busy>,
}

struct Busy(Arc<HostConnections>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connections {
    /// Starts the use of a connection to the URL's host.
    pub(super) fn lease(&self, url: &Url) -> Lease {
        let key = format!(
            "{}:{:?}",
            url.host_str().unwrap_or_default(),
            url.port_or_known_default()
        );
        let host = Arc::clone(lock_unpoisoned(&self.0).entry(key).or_default());
        host.busy.fetch_add(1, Ordering::Relaxed);
        Lease {
            _busy: Arc::new(Busy(Arc::clone(&host))),
            host,
        }
    }
}

impl Lease {
    /// Sends a request over a free connection, or over a new one if there is none.
    pub(super) async fn send(self, request: reqwest::RequestBuilder) -> reqwest::Result<Response> {
        let sent = TARGET.scope(Arc::clone(&self.host), request.send()).await;
        match sent {
            Ok(mut response) => {
                let closes =
                    |value: &reqwest::header::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
                if response.version() < Version::HTTP_11
                    || response.headers().get(CONNECTION).is_some_and(closes)
                {
                    self.host.lose_one();
                }
                response.extensions_mut().insert(self);
                Ok(response)
            }
            Err(error) => {
                self.host.lose_one();
                Err(error)
            }
        }
    }
}

/// The layer of reqwest's connector that waits.
#[derive(Clone, Copy)]
pub(super) struct PreferFree;

impl<S> Layer<S> for PreferFree {
    type Service = WaitForFree<S>;

    fn layer(&self, connector: S) -> Self::Service {
        WaitForFree(connector)
    }
}

/// A connector that first waits for a free connection.
#[derive(Clone)]
pub(super) struct WaitForFree<S>(S);

impl<S, R> Service<R> for WaitForFree<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, to: R) -> Self::Future {
        let connecting = self.0.call(to);
        let target = TARGET.try_with(Arc::clone).ok();
        Box::pin(async move {
            let Some(host) = target else {
                return connecting.await;
            };
            if host.has_free() {
                tokio::time::sleep(RETURN_TIME).await;
                // hyper moves the attempt to a task of its own once the request has a connection.
                if TARGET.try_with(|_| ()).is_err() {
                    return Err("a free connection was used instead".into());
                }
                host.lose_one();
            }
            let made = connecting.await?;
            host.open.fetch_add(1, Ordering::Relaxed);
            Ok(made)
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;

    /// Starts a server that keeps connections and counts them.
    async fn server() -> (Url, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let accepted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while let Ok(1..) = stream.read_buf(&mut request).await {
                        if request.ends_with(b"\r\n\r\n") {
                            request.clear();
                            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                            _ = stream.write_all(answer).await;
                        }
                    }
                });
            }
        });
        (url, count)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn the_next_request_takes_the_connection_that_is_on_its_way_back() {
        let (url, count) = server().await;
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_backend_preconfigured(
                crate::wire::tls::base(rustls::RootCertStore::empty(), Vec::new()).unwrap(),
            )
            .connector_layer(PreferFree)
            .build()
            .unwrap();
        let connections = Connections::default();
        for _ in 0..500 {
            let mut answer = connections
                .lease(&url)
                .send(client.get(url.clone()))
                .await
                .unwrap();
            while answer.chunk().await.unwrap().is_some() {}
        }
        // Three without the layer.
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }
}
