//! One HTTP request and its answer: credentials, redirects and refusals.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use compose_model::{RepoUrl, text::escape};
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION},
};

use crate::{
    credentials::{self, Keyring},
    error::{Access, Detour, Error, NotFollowed},
    run::Run,
    wire::{
        MAX_SHOWN_MESSAGE, Wire,
        answers::{error_text, printable_url, retry_after},
        net_error,
        tls::TlsSettings,
    },
};

/// The most redirects that are followed. Real ones need one or two.
const MOST_REDIRECTS: usize = 5;

/// The context of a request, shared with the tasks.
pub(super) struct HttpExchange {
    pub(super) run: Arc<Run>,
    pub(super) wire: Arc<Wire>,
    pub(super) keyring: Keyring,
}

/// One HTTP request.
pub(super) struct HttpRequest {
    pub(super) method: Method,
    pub(super) url: String,
    /// The part of `url` after the repo's address.
    pub(super) tail: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

/// An answer's head in the form that gix reads, and the URL that it came from.
pub(super) struct Head {
    pub(super) lines: Vec<u8>,
    pub(super) url: Url,
}

/// Returns the content type that an answer must have.
pub(super) fn wanted_type(method: &Method) -> &'static str {
    if *method == Method::GET {
        "application/x-git-upload-pack-advertisement"
    } else {
        "application/x-git-upload-pack-result"
    }
}

impl HttpExchange {
    /// Sends a request, follows redirects and answers challenges, until there is an answer that gix
    /// can read.
    pub(super) async fn answer(&self, request: HttpRequest) -> Result<(Head, Response), Error> {
        let HttpRequest {
            method,
            url,
            tail,
            headers,
            body,
        } = request;
        let mut url = Url::parse(&url).map_err(|error| self.wire.network(error.to_string()))?;
        let mut redirects = 0;
        let mut moved = Moved::default();
        let mut refused: Option<Refusal> = None;
        loop {
            let response = self.send(&method, &url, &headers, body.clone()).await?;
            match response.status() {
                StatusCode::OK => {
                    self.report_move(&moved, &tail);
                    if refused.is_some_and(|refused| refused.status == StatusCode::UNAUTHORIZED) {
                        self.keyring.report_refused(&url);
                    }
                    let accepted = self.keyring.current_name(&url);
                    self.run.record_accepted(&self.wire.repo, accepted);
                    return self.accept(&method, url, response).await;
                }
                status if is_redirect(status) => {
                    redirects += 1;
                    url = self.redirect(&method, &url, &response, &tail, redirects)?;
                    refused = None;
                    moved.follow(status, &url);
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => {
                    let sent = self.keyring.has_credential(&url);
                    let asked = response.status() == StatusCode::UNAUTHORIZED;
                    let refusal = match Refusal::read(response).await {
                        Ok(refusal) => refusal,
                        Err(passing) => return Err(self.overloaded(passing)),
                    };
                    // What the host answers to a credential says more than its answer to none.
                    if sent || refused.is_none() {
                        refused = Some(refusal);
                    }
                    // A host that hides a repo from a credential answers 403 or 404.
                    let may_change = method == Method::GET && (asked || sent);
                    if may_change && self.keyring.next(&self.run, &url).await {
                        tracing::debug!(host = url.host_str(), "the next credential, or none, is tried");
                        continue;
                    }
                    return Err(self.refused(&url, refused));
                }
                _ => return Err(self.error_for_status(response).await),
            }
        }
    }

    async fn send(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, Error> {
        let run = &self.run;
        let client = run
            .net
            .client(&run.options, run.git_config(), self.wire.failed_at(), url)?;
        let mut request = client
            .request(method.clone(), url.clone())
            .headers(headers.clone())
            .headers(self.keyring.extra_headers(url));
        if let Some(credential) = self.keyring.authorization(url) {
            request = request.header(AUTHORIZATION, credential);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        self.wire.count_request();
        // The time after connecting is bounded by the stall window: a server sends the head before
        // it looks for objects.
        let bound = self.run.stall().window + self.run.options.tuning.connect_timeout;
        match tokio::time::timeout(bound, run.net.connections.lease(url).send(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                let trust = TlsSettings::of(&run.options, run.git_config(), url).trust();
                Err(net_error::explain(self.wire.failed_at(), &error, trust))
            }
            Err(_) => {
                let why = format!(
                    "the server stalled: no answer within {:.1} s",
                    bound.as_secs_f32()
                );
                Err(self.wire.network(why))
            }
        }
    }

    fn redirect(
        &self,
        method: &Method,
        from: &Url,
        response: &Response,
        tail: &str,
        count: usize,
    ) -> Result<Url, Error> {
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let to = from.join(location).ok().filter(|_| !location.is_empty());
        let shown = to.as_ref().map_or_else(
            || escape(location, MAX_SHOWN_MESSAGE),
            |to| printable_url(to, tail),
        );
        let refuse = |why| {
            Err(Error::Redirect {
                at: self.wire.failed_at(),
                to: shown.clone(),
                why,
            })
        };
        let Some(to) = to else {
            return refuse(NotFollowed::NoAddress);
        };
        if *method != Method::GET {
            return refuse(NotFollowed::LateRequest);
        }
        if count > MOST_REDIRECTS {
            return refuse(NotFollowed::TooMany);
        }
        if let Some(why) = objection(from, &to, tail) {
            return refuse(why);
        }
        let address = RepoUrl::parse(&printable_url(&to, tail));
        if !address.is_ok_and(|address| (self.run.options.allow)(&address)) {
            return Err(Error::NotAllowed {
                repo: self.wire.failed_at().repo,
                to: shown,
                way: Detour::Redirect,
            });
        }
        Ok(to)
    }

    /// Reports once per run that the repo's address redirects elsewhere.
    fn report_move(&self, moved: &Moved, tail: &str) {
        let repo = self.wire.failed_at().repo;
        let Some(last) = moved.last.as_ref().map(|url| printable_url(url, tail)) else {
            return;
        };
        if !self.run.is_first(format!("redirect of {repo}")) {
            return;
        }
        tracing::info!("{repo} is redirected to {last}");
        if let Some(home) = moved.home.as_ref().map(|url| printable_url(url, tail)) {
            tracing::warn!("{repo} has permanently moved to {home}: use that address as the `repo`");
        }
    }

    async fn accept(&self, method: &Method, url: Url, response: Response) -> Result<(Head, Response), Error> {
        let found = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("nothing");
        if !is_type(found, wanted_type(method)) {
            let found = escape(found, 80);
            let said = error_text(response).await;
            let why = if is_dumb(&found, &said) {
                "the server offers its files only (git's \"dumb\" HTTP protocol), not the smart protocol"
                    .to_owned()
            } else if said.is_empty() {
                format!("the server sent {found}")
            } else {
                format!("the server sent {found}, starting: {said}")
            };
            return Err(Error::NotGit {
                at: self.wire.failed_at(),
                why,
            });
        }
        let head = Head {
            lines: format!("content-type: {}\n", wanted_type(method)).into_bytes(),
            url,
        };
        Ok((head, response))
    }

    fn refused(&self, url: &Url, refusal: Option<Refusal>) -> Error {
        let at = self.wire.failed_at();
        let access = self.keyring.access(url);
        let (status, said) = refusal.map_or((StatusCode::UNAUTHORIZED, String::new()), |refusal| {
            (refusal.status, refusal.said)
        });
        match status {
            StatusCode::FORBIDDEN => Error::Forbidden { at, access, said },
            StatusCode::NOT_FOUND => Error::NotFound { at, access, said },
            _ => {
                let why = if credentials::may_carry(url) {
                    "the server asks for credentials, and there are none"
                } else {
                    "the server asks for credentials, which are not sent over plain http://"
                };
                Error::Unauthenticated {
                    at,
                    access,
                    why: why.to_owned(),
                    said,
                }
            }
        }
    }

    fn overloaded(&self, passing: Passing) -> Error {
        Error::Overloaded {
            at: self.wire.failed_at(),
            status: passing.status.as_u16(),
            said: passing.said,
            after: passing.after,
        }
    }

    async fn error_for_status(&self, response: Response) -> Error {
        let at = self.wire.failed_at();
        let status = response.status().as_u16();
        let after = retry_after(response.headers());
        let said = error_text(response).await;
        match status {
            407 => Error::ProxyLogin { at, said },
            // 420: "enhance your calm"; 425: too early.
            408 | 420 | 425 | 429 | 500..=599 => Error::Overloaded {
                at,
                status,
                said,
                after,
            },
            410 => Error::NotFound {
                at,
                access: Access::default(),
                said,
            },
            _ => Error::Status { at, status, said },
        }
    }
}

/// A refused request.
struct Refusal {
    status: StatusCode,
    said: String,
}

/// A refusal that passes: the host limits the rate of requests.
struct Passing {
    status: StatusCode,
    said: String,
    after: Option<Duration>,
}

impl Refusal {
    /// Reads a 401, 403 or 404.
    async fn read(response: Response) -> Result<Self, Passing> {
        let status = response.status();
        let after = retry_after(response.headers());
        let said = error_text(response).await;
        if status == StatusCode::FORBIDDEN && after.is_some() {
            return Err(Passing { status, said, after });
        }
        Ok(Self { status, said })
    }
}

/// Returns whether a status leads to another address: 300 and 304 do not, although they begin with 3.
fn is_redirect(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// Returns whether a content type is the wanted one: case and parameters do not matter.
fn is_type(found: &str, wanted: &str) -> bool {
    let essence = found.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case(wanted)
}

/// Returns whether an answer to the handshake is the list of refs that a server of plain files has
/// (`git update-server-info`): lines of an id, a tab and a name.
fn is_dumb(content_type: &str, text: &str) -> bool {
    let (id, rest) = text.split_at_checked(40).unwrap_or_default();
    !is_type(content_type, "text/html")
        && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        && rest.trim_start().starts_with("refs/")
}

/// The redirects that were followed.
#[derive(Default)]
struct Moved {
    last: Option<Url>,
    /// The target of the permanent redirects before the first temporary one.
    home: Option<Url>,
}

impl Moved {
    fn follow(&mut self, status: StatusCode, to: &Url) {
        let is_permanent = matches!(
            status,
            StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT
        );
        if is_permanent && self.home == self.last {
            self.home = Some(to.clone());
        }
        self.last = Some(to.clone());
    }
}

/// Returns the reason not to follow a redirect, if there is one.
fn objection(from: &Url, to: &Url, tail: &str) -> Option<NotFollowed> {
    match (from.scheme(), to.scheme()) {
        ("http" | "https", "https") | ("http", "http") => {}
        ("https", "http") => return Some(NotFollowed::Downgrade),
        _ => return Some(NotFollowed::Scheme),
    }
    if !to.username().is_empty() || to.password().is_some() {
        return Some(NotFollowed::Login);
    }
    // The parts are compared one by one: a query or fragment that ends in the same text could lead
    // anywhere.
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let same =
        to.path().ends_with(path) && to.query().unwrap_or_default() == query && to.fragment().is_none();
    (!same).then_some(NotFollowed::OtherFile)
}

#[cfg(test)]
mod tests {
    use compose_model::text::is_unprintable;
    use compose_testkit::fuzz::feed;

    use super::*;

    #[test]
    fn a_query_or_fragment_does_not_count_as_the_repositorys_path() {
        let tail = "/info/refs?service=git-upload-pack";
        let url = |text: &str| Url::parse(&format!("https://{text}{tail}")).unwrap();
        let follows = |to: &str| objection(&url("host/repo"), &url(to), tail).is_none();
        assert!(follows("other/moved/repo.git"));
        assert!(!follows("other/delete?all="));
        assert!(!follows("other/delete#"));
        assert!(!follows("other/info/refs?service=git-upload-pack#"));
    }

    #[test]
    fn content_types_are_compared_without_case_and_parameters() {
        let wanted = wanted_type(&Method::GET);
        for found in [
            wanted,
            "Application/X-Git-Upload-Pack-Advertisement",
            "application/x-git-upload-pack-advertisement; charset=utf-8",
            " application/x-git-upload-pack-advertisement ;x",
        ] {
            assert!(is_type(found, wanted), "{found}");
        }
        assert!(!is_type(
            "text/html; application/x-git-upload-pack-advertisement",
            wanted
        ));
        assert!(!is_type("", wanted));
    }

    #[test]
    fn damaged_locations_lead_to_a_repository_or_are_refused() {
        let tail = "/info/refs?service=git-upload-pack";
        let from = Url::parse(&format!("https://host/org/repo{tail}")).unwrap();
        let seeds = [
            format!("https://other:8443/moved/repo.git{tail}"),
            format!("/moved/repo{tail}"),
            format!("//host/repo{tail}"),
            format!("http://me:secret@host/org/repo{tail}"),
        ];
        let pieces = [
            "http://",
            "file://",
            "ext::",
            "javascript:",
            "@",
            ":",
            "\\",
            "//",
            "/../",
            "%0a",
            "%00",
            "#",
            "?",
            tail,
            "\u{1b}[0m",
            "\n",
            "\t",
            "xn--",
            "[::1]",
            "0x7f.1",
            "\u{3002}",
            ":99999",
        ];
        feed(1000, &seeds, &pieces, |text, _| {
            let Ok(to) = from.join(&String::from_utf8_lossy(text)) else {
                return;
            };
            let shown = printable_url(&to, tail);
            assert!(!shown.chars().any(is_unprintable), "{shown}");
            assert!(
                Url::parse(&shown).is_ok_and(|url| url.username().is_empty()),
                "{shown}"
            );
            if objection(&from, &to, tail).is_none() {
                assert!(to.scheme() == "https" && to.host().is_some() && to.fragment().is_none());
                assert!(to.username().is_empty() && to.password().is_none());
                // The base address that gix derives and continues with.
                let base = to.as_str().strip_suffix(tail).unwrap();
                let again = Url::parse(base).unwrap();
                assert_eq!(again.origin(), to.origin(), "{to}");
            }
        });
    }
}
