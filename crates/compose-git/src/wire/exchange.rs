//! One HTTP request and its answer: credentials, redirects and refusals.

use std::sync::Arc;

use bytes::Bytes;
use compose_model::{RepoUrl, text::escape};
use reqwest::{
    Method, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION},
};

use crate::{
    credentials::{self, Keyring},
    error::{Detour, Error, NotFollowed},
    run::Run,
    wire::{
        MAX_SHOWN_MESSAGE, Wire,
        answers::{error_text, printable_url, retry_after},
        net_error,
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
        loop {
            let response = self.send(&method, &url, &headers, body.clone()).await?;
            match response.status() {
                StatusCode::OK => {
                    self.report_move(&moved, &tail);
                    return self.accept(&method, url, response).await;
                }
                status if status.is_redirection() => {
                    redirects += 1;
                    url = self.redirect(&method, &url, &response, &tail, redirects)?;
                    moved.follow(status, &url);
                }
                StatusCode::UNAUTHORIZED => {
                    let tried = self.keyring.has_credential(&url);
                    let challenged = self.keyring.next(&self.run, &url).await;
                    if method != Method::GET || !challenged {
                        return Err(self.unauthenticated(&url, tried, response).await);
                    }
                    tracing::debug!(host = url.host_str(), "asked for credentials");
                }
                _ => return Err(self.error_for_status(&url, response).await),
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
        match tokio::time::timeout(bound, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(net_error::explain(self.wire.failed_at(), &error)),
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
        if !self.run.is_first_redirect_of(repo.as_str()) {
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
        if found.trim() != wanted_type(method) {
            let found = escape(found, 80);
            let said = error_text(response).await;
            let start = if said.is_empty() {
                String::new()
            } else {
                format!(", starting: {said}")
            };
            return Err(Error::NotGit {
                at: self.wire.failed_at(),
                why: format!("the server sent {found}{start}"),
            });
        }
        let head = Head {
            lines: format!("content-type: {}\n", wanted_type(method)).into_bytes(),
            url,
        };
        Ok((head, response))
    }

    async fn unauthenticated(&self, url: &Url, tried: bool, response: Response) -> Error {
        let why = if tried {
            "the credentials were refused"
        } else if credentials::may_carry(url) {
            "the server asks for credentials, and there are none"
        } else {
            "the server asks for credentials, which are not sent over plain http://"
        };
        let said = error_text(response).await;
        Error::Unauthenticated {
            at: self.wire.failed_at(),
            access: self.keyring.access(url),
            why: why.to_owned(),
            said,
        }
    }

    async fn error_for_status(&self, url: &Url, response: Response) -> Error {
        let at = self.wire.failed_at();
        let status = response.status();
        let after = retry_after(response.headers());
        let said = error_text(response).await;
        match status.as_u16() {
            403 => Error::Forbidden { at, said },
            404 | 410 => {
                let access = self.keyring.access(url);
                Error::NotFound { at, access, said }
            }
            407 => Error::ProxyLogin { at, said },
            429 | 500..=599 => Error::Overloaded {
                at,
                status: status.as_u16(),
                said,
                after,
            },
            code => {
                let said = if said.is_empty() {
                    said
                } else {
                    format!("; {said}")
                };
                let why = format!("the server answered {code}{said}");
                Error::NotGit { at, why }
            }
        }
    }
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
