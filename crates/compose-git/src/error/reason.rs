//! The fixed reasons that errors give, whose `Display` is the text in the message.

/// How an address leads to another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Detour {
    /// A rule of git's configuration.
    #[error("url.*.insteadOf of git's configuration rewrites the address to")]
    Rewrite,
    /// A redirect.
    #[error("the server redirects to")]
    Redirect,
}

/// Why a redirect is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFollowed {
    /// The answer names no address, or an invalid one.
    #[error("it has no address")]
    NoAddress,
    /// A later request of a fetch was redirected.
    #[error("only the first request of a fetch may be redirected")]
    LateRequest,
    /// Every redirect leads to another one.
    #[error("there were too many redirects")]
    TooMany,
    /// It gives up the encryption.
    #[error("it leads from https to http")]
    Downgrade,
    /// It leads to another scheme than http and https.
    #[error("only http and https are followed")]
    Scheme,
    /// Its address contains a user or a password.
    #[error("it contains a login")]
    Login,
    /// Its address does not end in the path of the file that was requested.
    #[error("it does not point to the same file of another repository")]
    OtherFile,
}

/// What exceeds a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Excess {
    /// An answer of another kind.
    #[error("the answer")]
    Answer,
    /// The list of refs.
    #[error("the list of refs")]
    Refs,
    /// A pack.
    #[error("the pack")]
    Pack,
    /// The requests for the targets of symlinks.
    #[error("the chain of symlinks")]
    Symlinks,
}
