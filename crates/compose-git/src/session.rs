//! One connection to one repo: handshake, refs and packs. All calls block.

mod announced;
mod route;
mod wants;

use std::{io, path::PathBuf, sync::Arc};

use compose_model::{RefEntry, RepoUrl, Stage, refs::HEAD, text::escape, url::Scheme};
use gix::error::ErrorExt as _;
use gix::protocol::{
    Handshake, LsRefsCommand,
    fetch::{self, Context, Shallow, Tags},
    ls_refs::RefPrefixes,
    transport::{
        Protocol, Service,
        client::{
            Capabilities,
            blocking_io::{Transport, http},
            git::{ConnectMode, blocking_io::Connection},
        },
    },
};
use reqwest::Url;
use tokio::runtime::Handle;

use crate::{
    credentials::Keyring,
    error::{Error, Excess, system_error},
    refs,
    run::Run,
    wire::{HEAD_SYMREF, Traffic, Wire, http::HttpLink, process},
};

pub(crate) use announced::{CheckedPack, Unusable};
pub(crate) use route::rewritten;
pub(crate) use route::route;
pub(crate) use wants::PackRequest;
use wants::WantAll;

/// A connection after its handshake.
pub(crate) struct Session {
    run: Arc<Run>,
    wire: Arc<Wire>,
    transport: Box<dyn Transport + Send>,
    handshake: Handshake,
}

/// A pack and its index, in a directory that the caller removes.
pub(crate) struct Pack {
    pub(crate) pack: PathBuf,
    pub(crate) index: PathBuf,
    pub(crate) objects: u32,
}

type Feature = (&'static str, Option<String>);

fn agent() -> Feature {
    (
        "agent",
        Some(gix::protocol::agent(concat!(
            "bitops-compose/",
            env!("CARGO_PKG_VERSION")
        ))),
    )
}

impl Session {
    /// Connects and performs the handshake. `meanwhile` runs while the first answer is awaited.
    pub(crate) fn open(
        run: &Arc<Run>,
        repo: &RepoUrl,
        traffic: &Arc<Traffic>,
        runtime: &Handle,
        meanwhile: impl FnOnce() + Send + 'static,
    ) -> Result<Self, Error> {
        run.check(repo)?;
        let (url, login) = route(run, repo)?;
        let wire = Arc::new(Wire::new(Arc::clone(run), repo.clone(), Arc::clone(traffic)));
        wire.meanwhile(meanwhile);
        wire.begin(
            Stage::Connecting,
            Excess::Refs,
            run.options.tuning.max_advertisement,
        );
        let mut transport: Box<dyn Transport + Send> = match url.scheme() {
            Scheme::Http | Scheme::Https => {
                let parsed = Url::parse(url.as_str()).map_err(|error| wire.network(error.to_string()))?;
                // The normal form, so that an answer's address only differs after a redirect.
                let address =
                    gix::Url::try_from(parsed.as_str()).map_err(|error| wire.network(error.to_string()))?;
                let keyring = Keyring::new(Arc::clone(run), Some((parsed, login)));
                let link = HttpLink::new(Arc::clone(run), Arc::clone(&wire), keyring, runtime.clone());
                Box::new(http::connect_http(link, address, Protocol::V2, false))
            }
            Scheme::Ssh | Scheme::File => {
                let (body, stdin) = process::connect(run, Arc::clone(&wire), &url, runtime)?;
                let host = None::<(String, Option<u16>)>;
                let path = url.path().to_owned();
                Box::new(Connection::new(
                    body,
                    stdin,
                    Protocol::V2,
                    path,
                    host,
                    ConnectMode::Process,
                    false,
                ))
            }
        };
        let no_questions = |_| Ok(None);
        let mut handshake = gix::protocol::handshake(
            &mut transport,
            Service::UploadPack,
            no_questions,
            Vec::new(),
            &mut gix::progress::Discard,
        )
        .map_err(|error| wire.explain(&ErrorChain(&error)))?;
        if handshake.server_protocol_version != Protocol::V2 {
            handshake.capabilities = without_relative_depth(&handshake.capabilities);
        }
        let format = handshake.capabilities.capability("object-format");
        if let Some(format) = format
            .and_then(|format| format.value().map(ToString::to_string))
            .filter(|name| name != "sha1")
        {
            return Err(Error::ObjectFormat {
                repo: repo.clone(),
                format: escape(&format, 40),
            });
        }
        tracing::debug!(protocol = ?handshake.server_protocol_version, "connected");
        Ok(Self {
            run: Arc::clone(run),
            wire,
            transport,
            handshake,
        })
    }

    /// Returns the refs that start with one of the prefixes.
    pub(crate) fn refs(&mut self, prefixes: &[String]) -> Result<Vec<RefEntry>, Error> {
        // Protocols 0 and 1 send all refs with the handshake.
        if let Some(advertised) = &self.handshake.refs {
            let mut all = refs::from_advertised(advertised);
            if let Some(head) = all.iter_mut().find(|entry| entry.name == HEAD) {
                head.symref = head_symref(&self.handshake.capabilities);
            }
            return Ok(refs::select(all, prefixes));
        }
        let most = self.run.options.tuning.max_advertisement;
        self.wire.begin(Stage::ListingRefs, Excess::Refs, most);
        let mut wanted = RefPrefixes::new();
        wanted.extend(prefixes.iter().map(|prefix| prefix.as_str().into()));
        let found = LsRefsCommand::new(Some(wanted), &self.handshake.capabilities, agent())
            .invoke_blocking(&mut self.transport, &mut gix::progress::Discard, false)
            .map_err(|error| self.wire.explain(&ErrorChain(&error)))?;
        // Prefixes are only a hint: a server may send more refs.
        Ok(refs::select(refs::from_advertised(&found), prefixes))
    }

    /// Returns whether all refs are known already, because protocol 0 or 1 sent them with the
    /// handshake.
    pub(crate) fn has_all_refs(&self) -> bool {
        self.handshake.refs.is_some()
    }

    /// Returns whether the server can leave objects out of a pack.
    pub(crate) fn can_filter(&self) -> bool {
        self.has_fetch_feature("filter")
    }

    fn has_fetch_feature(&self, name: &str) -> bool {
        if self.handshake.server_protocol_version == Protocol::V2 {
            let fetch = self.handshake.capabilities.capability("fetch");
            fetch.is_some_and(|fetch| fetch.supports(name).unwrap_or(false))
        } else {
            self.handshake.capabilities.contains(name)
        }
    }

    /// Fetches a pack into a directory. Returns `None` if the server had nothing to send.
    pub(crate) fn fetch(
        &mut self,
        ask: &PackRequest<'_>,
        into: &std::path::Path,
        stage: Stage,
    ) -> Result<Option<Pack>, Error> {
        let tuning = &self.run.options.tuning;
        self.wire.begin(stage, Excess::Pack, tuning.max_pack);
        let depth = match std::num::NonZeroU32::new(1) {
            Some(one) if ask.shallow && self.has_fetch_feature("shallow") => Shallow::DepthAtRemote(one),
            _ => Shallow::NoChange,
        };
        let mut written = None;
        let mut refused = None;
        let (wire, cancel) = (Arc::clone(&self.wire), self.run.options.cancel.clone());
        let allocation = self.run.options.largest_object();
        let most = tuning.max_objects;
        // `no-progress` is part of protocol 2, and a capability of the earlier protocols.
        let no_progress = self.handshake.server_protocol_version == Protocol::V2
            || self.handshake.capabilities.contains("no-progress");
        let done = gix::protocol::fetch(
            &mut WantAll { ask, no_progress },
            |pack, progress, interrupt| {
                let pack = match CheckedPack::read(pack, most) {
                    Ok(pack) => pack,
                    Err(Unusable::Broken(error)) => return Err(error.raise()),
                    Err(Unusable::TooMany(count)) => {
                        let limit = format!("{most} objects (it announces {count})");
                        refused = Some(Error::TooMuch {
                            at: wire.failed_at(),
                            what: Excess::Pack,
                            limit,
                        });
                        return Err(gix::error::message("too many objects").raise());
                    }
                };
                written = Some(pack.index(into, allocation, progress, interrupt)?);
                Ok(true)
            },
            gix::progress::Discard,
            cancel.flag(),
            Context {
                handshake: &mut self.handshake,
                transport: &mut self.transport,
                user_agent: agent(),
                trace_packetlines: false,
            },
            fetch::Options {
                // Private to this pack: gix locks the file for the whole fetch, and fails at once
                // if it is locked.
                shallow_file: into.join("shallow"),
                shallow: &depth,
                tags: Tags::None,
                reject_shallow_remote: false,
            },
        );
        match (done, refused) {
            (_, Some(refused)) => Err(refused),
            (Err(error), None) if cancel.is_cancelled() => {
                tracing::debug!(%error, "cancelled");
                Err(Error::Cancelled)
            }
            // Only gix's bound on allocations is classified as exhausted resources.
            (Err(error), None) if error.is_resource_exhausted() => Err(Error::Budget {
                repo: self.wire.repo.clone(),
                reference: "fetched commits".to_owned(),
                path: "an object".to_owned(),
                what: format!("{} bytes", self.run.options.largest_object()),
                variable: compose_model::env::MAX_FILE_SIZE,
            }),
            (Err(error), None) => match local_failure(&error) {
                Some(source) => Err(Error::Cache {
                    doing: "write",
                    path: into.to_owned(),
                    source,
                }),
                None => Err(self.wire.explain(&ErrorChain(&error))),
            },
            (Ok(_), None) => Ok(written.and_then(|written| {
                let (pack, index) = (written.data_path?, written.index_path?);
                Some(Pack {
                    pack,
                    index,
                    objects: written.index.num_objects,
                })
            })),
        }
    }
}

/// Returns the ref behind `HEAD` that protocols 0 and 1 advertise among the capabilities.
fn head_symref(all: &Capabilities) -> Option<String> {
    let found = all.capability(HEAD_SYMREF)?;
    let value = std::str::from_utf8(found.value()?).ok()?;
    value.strip_prefix("HEAD:").map(str::to_owned)
}

/// Removes `deepen-relative` from the capabilities. Protocols 0 and 1 apply it as soon as it is
/// among a request's capabilities, and gix sends all that it knows. A depth of 1 then counts from
/// the commits that the client has, which are none, and the whole history is sent.
fn without_relative_depth(all: &Capabilities) -> Capabilities {
    let mut kept = Vec::new();
    for capability in all
        .iter()
        .filter(|capability| capability.name() != "deepen-relative")
    {
        // The first capability follows the NUL that ends the first ref's name.
        kept.push(if kept.is_empty() { 0 } else { b' ' });
        kept.extend_from_slice(capability.name());
        if let Some(value) = capability.value() {
            kept.push(b'=');
            kept.extend_from_slice(value);
        }
    }
    Capabilities::from_bytes(&kept).map_or_else(|_| all.clone(), |(kept, _)| kept)
}

/// An error with all its causes, for failures that only gix describes.
struct ErrorChain<'a>(&'a gix::Error);

impl std::fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = std::error::Error::source(self.0);
        while let Some(current) = cause {
            write!(f, ": {current}")?;
            cause = current.source();
        }
        Ok(())
    }
}

/// Returns the error if this machine caused the failure and not the server: its disk, or its limits
/// of open files, threads and memory. Errors of the connection itself
/// ([`Body`](crate::wire::body::Body)) have no errno.
fn local_failure(error: &gix::Error) -> Option<io::Error> {
    use io::ErrorKind::{FileTooLarge, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let found = error.downcast_any_ref::<io::Error>()?;
    let kind = found.kind();
    if let Some(number) = system_error(found) {
        return Some(io::Error::from_raw_os_error(number));
    }
    matches!(
        kind,
        StorageFull | QuotaExceeded | ReadOnlyFilesystem | FileTooLarge | PermissionDenied
    )
    .then(|| kind.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_this_machine_are_distinguished_from_those_of_the_server() {
        let deep = |inner: io::Error| {
            let inner = inner.and_raise(gix::error::message("could not write"));
            local_failure(&inner.and_raise(gix::error::message("could not fetch")))
        };
        let kind = |kind: io::ErrorKind| deep(kind.into()).map(|error| error.kind());
        assert_eq!(kind(io::ErrorKind::StorageFull), Some(io::ErrorKind::StorageFull));
        assert_eq!(
            kind(io::ErrorKind::QuotaExceeded),
            Some(io::ErrorKind::QuotaExceeded)
        );
        assert_eq!(kind(io::ErrorKind::ConnectionAborted), None);
        // ENOENT and EIO: the cache's directory is gone, the disk is broken.
        for number in [2, 5] {
            let found = deep(io::Error::from_raw_os_error(number)).unwrap();
            assert_eq!(found.raw_os_error(), Some(number));
        }
        // Wrapped twice, as by `tempfile`.
        let open_files = io::Error::from_raw_os_error(24);
        let wrapped = io::Error::new(open_files.kind(), io::Error::other(open_files));
        assert_eq!(deep(wrapped).unwrap().raw_os_error(), Some(24));
    }
}
