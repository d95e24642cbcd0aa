//! A server for HTTP/2 over TLS alone, in front of `git http-backend`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use compose_testkit::server::Identity;
use h2::{RecvStream, server::SendResponse};
use tokio::{net::TcpListener, task::JoinHandle};

use super::server::{Request, backend};

/// A running server.
pub struct H2 {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    handshakes: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl H2 {
    pub async fn start(root: &Path, identity: &Identity) -> Self {
        let mut config = (*identity.server_config()).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::default();
        let handshakes = Arc::new(AtomicUsize::new(0));
        let (log, count, root) = (Arc::clone(&requests), Arc::clone(&handshakes), root.to_owned());
        let task = tokio::spawn(async move {
            for number in 0.. {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, log, count, root) = (
                    acceptor.clone(),
                    Arc::clone(&log),
                    Arc::clone(&count),
                    root.clone(),
                );
                tokio::spawn(async move {
                    let Ok(tls) = acceptor.accept(socket).await else {
                        return;
                    };
                    count.fetch_add(1, Ordering::SeqCst);
                    let Ok(mut connection) = h2::server::handshake(tls).await else {
                        return;
                    };
                    while let Some(Ok((request, respond))) = connection.accept().await {
                        tokio::spawn(serve(root.clone(), Arc::clone(&log), number, request, respond));
                    }
                });
            }
        });
        Self {
            address,
            requests,
            handshakes,
            task,
        }
    }

    pub fn url(&self, repo: &str) -> String {
        format!("https://localhost:{}/{repo}", self.address.port())
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Returns the number of TLS connections, with or without requests.
    pub fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::SeqCst)
    }
}

impl Drop for H2 {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    root: PathBuf,
    log: Arc<Mutex<Vec<Request>>>,
    connection: u64,
    request: http::Request<RecvStream>,
    mut respond: SendResponse<bytes::Bytes>,
) {
    assert_eq!(request.version(), http::Version::HTTP_2);
    let (head, mut stream) = request.into_parts();
    let mut body = Vec::new();
    while let Some(chunk) = stream.data().await {
        let Ok(chunk) = chunk else { return };
        body.extend_from_slice(&chunk);
        stream.flow_control().release_capacity(chunk.len()).unwrap();
    }
    let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
    let request = Request {
        method: head.method.to_string(),
        target: head.uri.path_and_query().unwrap().to_string(),
        headers: head
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect(),
        body,
        connection,
    };
    log.lock().unwrap().push(request.clone());
    let (status, headers, body) = tokio::task::spawn_blocking(move || backend(&root, &request, &[]))
        .await
        .unwrap();
    let mut response = http::Response::builder().status(status.split(' ').next().unwrap());
    for (name, value) in headers {
        response = response.header(name, value);
    }
    // The client may be gone.
    if let Ok(mut stream) = respond.send_response(response.body(()).unwrap(), false) {
        _ = stream.send_data(body.into(), true);
    }
}
