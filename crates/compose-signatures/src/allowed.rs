//! OpenSSH's allowed-signers format and lists of revoked keys (ssh-keygen(1), "ALLOWED SIGNERS" and `-r`).

use std::sync::Arc;

use compose_model::{Diagnostic, Place, text};
use ssh_key::{PublicKey, public::KeyData};

use crate::{
    keys::{Allowed, Keys, Limits},
    ssh, time,
};

const EXAMPLE: &str = "a line is `NAME KEYTYPE KEY`, as in `ada@example.org ssh-ed25519 AAAAC3…`";

impl Keys {
    /// Parses a file of trusted keys: lines in OpenSSH's allowed-signers format (ssh-keygen(1), "ALLOWED SIGNERS"), which
    /// git's `gpg.ssh.allowedSignersFile` also names, and armoured OpenPGP public keys, in any mixture.
    ///
    /// Of the format's options `namespaces`, `valid-after` and `valid-before` are honoured (times are UTC), and
    /// `cert-authority` is refused. A line `@revoked KEYTYPE KEY` revokes a key, as in `known_hosts`; `ssh-keygen` does
    /// not know it, so a file that git reads as well keeps its revoked keys in a list of their own ([`Keys::revoke`]).
    ///
    /// Every mistake is reported with its place. A file that trusts no key is a mistake.
    pub fn parse(file_name: &str, bytes: &[u8]) -> Result<Self, Vec<Diagnostic>> {
        parse(file_name, bytes)
    }

    /// Adds a list of revoked keys, one `KEYTYPE KEY [COMMENT]` a line, as `ssh-keygen -Y verify -r` and git's
    /// `gpg.ssh.revocationFile` do. A binary revocation list (KRL) is refused with a remedy. A revoked OpenPGP key
    /// carries its own revocation: export it again with `gpg --export`.
    ///
    /// If there is any mistake, nothing is revoked.
    pub fn revoke(&mut self, file_name: &str, bytes: &[u8]) -> Result<(), Vec<Diagnostic>> {
        self.revoked.extend(parse_revoked(file_name, bytes)?);
        Ok(())
    }
}

fn parse(file_name: &str, bytes: &[u8]) -> Result<Keys, Vec<Diagnostic>> {
    let file = File::new(file_name, bytes)?;
    let mut keys = Keys::default();
    let mut errors = Vec::new();
    let mut lines = file.lines();
    while let Some(line) = lines.next() {
        let taken = if line.starts_with("-----BEGIN ") {
            // The block is skipped to its end, whatever it holds, so that its lines are not read as keys.
            let label = line
                .trim_end_matches('-')
                .trim_start_matches('-')
                .trim_start_matches("BEGIN ");
            let end = lines.find(|line| line.starts_with("-----END "));
            let end = end.map_or(file.text.len(), |end| file.offset(end) + end.len());
            armoured(&file, label, line, &file.text[file.offset(line)..end], &mut keys)
        } else {
            allowed_line(&file, line, &mut keys)
        };
        errors.extend(taken.err());
    }
    #[cfg(feature = "openpgp")]
    let trusts_none = keys.ssh.is_empty() && keys.openpgp.is_empty();
    #[cfg(not(feature = "openpgp"))]
    let trusts_none = keys.ssh.is_empty();
    if errors.is_empty() && trusts_none {
        errors.push(
            file.error("the file trusts no key", &file.text[..0])
                .hint(EXAMPLE),
        );
    }
    if errors.is_empty() { Ok(keys) } else { Err(errors) }
}

fn parse_revoked(file_name: &str, bytes: &[u8]) -> Result<Vec<KeyData>, Vec<Diagnostic>> {
    if bytes.starts_with(b"SSHKRL\n\0") {
        return Err(vec![
            Diagnostic::error(format!(
                "{file_name} is a binary revocation list, which is not read"
            ))
            .hint("list the revoked public keys themselves, one a line"),
        ]);
    }
    let file = File::new(file_name, bytes)?;
    let mut revoked = Vec::new();
    let mut errors = Vec::new();
    for line in file.lines() {
        match public_key(&file, line, line) {
            Ok(key) => revoked.push(key),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(revoked)
    } else {
        Err(errors)
    }
}

struct File {
    name: Arc<str>,
    text: Arc<str>,
    /// The text for places in messages, with every character hidden. A config can name any file, and
    /// a message must not show what is in it.
    hidden: Arc<str>,
}

impl File {
    fn new(name: &str, bytes: &[u8]) -> Result<Self, Vec<Diagnostic>> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self {
                name: name.into(),
                text: text.into(),
                hidden: hide(text).into(),
            }),
            Err(_) => Err(vec![Diagnostic::error(format!("{name} is no text")).hint(
                "OpenPGP keys are read in their armoured form: `gpg --armor --export`",
            )]),
        }
    }

    /// The lines that are neither empty nor comments, trimmed.
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.text
            .strip_prefix('\u{feff}')
            .unwrap_or(&self.text)
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
    }

    /// The offset of a part of the text.
    fn offset(&self, part: &str) -> usize {
        part.as_ptr() as usize - self.text.as_ptr() as usize
    }

    /// An error about a part of the text.
    fn error(&self, message: impl Into<String>, part: &str) -> Diagnostic {
        let start = self.offset(part);
        Diagnostic::error(message).with_place(Place {
            file: Arc::clone(&self.name),
            text: Arc::clone(&self.hidden),
            span: start..start + part.len(),
        })
    }
}

/// Replaces each byte of a text by `*`, except for white space.
fn hide(text: &str) -> String {
    let hidden = |c: char| match c {
        ' ' | '\t' | '\n' | '\r' => c.to_string(),
        _ => "*".repeat(c.len_utf8()),
    };
    text.chars().map(hidden).collect()
}

fn armoured(file: &File, label: &str, line: &str, block: &str, keys: &mut Keys) -> Result<(), Diagnostic> {
    if label.contains("PRIVATE") {
        return Err(file
            .error("a private key stands among the trusted keys", line)
            .hint("take it out, make a new one, and put its public key here: this one must count as known to others"));
    }
    if label != "PGP PUBLIC KEY BLOCK" {
        return Err(file.error("the block is no public key", line).hint(EXAMPLE));
    }
    #[cfg(feature = "openpgp")]
    {
        let certificates =
            crate::openpgp::parse(block).map_err(|why| file.error(why.message, line).hint(why.hint))?;
        keys.openpgp.extend(certificates);
        Ok(())
    }
    #[cfg(not(feature = "openpgp"))]
    {
        let _ = (block, keys);
        Err(file
            .error("this build reads no OpenPGP keys", line)
            .hint("trust ssh keys, or build with the cargo feature `openpgp`"))
    }
}

fn allowed_line(file: &File, line: &str, keys: &mut Keys) -> Result<(), Diagnostic> {
    let (principals, rest) = word(file, line)?;
    if is_key_type(principals) {
        return Err(file
            .error("no name stands before the key", principals)
            .hint(EXAMPLE));
    }
    if principals == "@revoked" {
        keys.revoked.push(public_key(file, rest, line)?);
        return Ok(());
    }
    if principals.starts_with('@') {
        return Err(file
            .error("a word that starts with `@` is no name", principals)
            .hint(
                "the only such word is `@revoked`; an authority is not supported: name the keys themselves",
            ));
    }
    let (first, after) = word(file, rest)?;
    let (limits, key) = if is_key_type(first) {
        (Limits::default(), rest)
    } else {
        (options(file, first)?, after)
    };
    let key = public_key(file, key, line)?;
    keys.ssh.push(Allowed {
        principals: principals.trim_matches('"').to_owned(),
        key,
        limits,
    });
    Ok(())
}

fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-"]
        .iter()
        .any(|prefix| word.starts_with(prefix))
}

/// The text up to the next blank outside of quotes, and what follows.
fn word<'a>(file: &File, text: &'a str) -> Result<(&'a str, &'a str), Diagnostic> {
    let end = unquoted(text, |c| c == ' ' || c == '\t').map_err(|()| {
        file.error("a quote is not closed", text)
            .hint("close it with `\"`")
    })?;
    Ok((&text[..end], text[end..].trim_start()))
}

/// The offset of the first wanted character outside of quotes, else the end of the text. An open quote is an error.
fn unquoted(text: &str, wanted: impl Fn(char) -> bool) -> Result<usize, ()> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if !quoted && wanted(c) => return Ok(at),
            _ => {}
        }
    }
    if quoted { Err(()) } else { Ok(text.len()) }
}

fn options(file: &File, list: &str) -> Result<Limits, Diagnostic> {
    let mut limits = Limits::default();
    let mut rest = list;
    while !rest.is_empty() {
        // `word` has checked that all quotes are closed.
        let end = unquoted(rest, |c| c == ',').unwrap_or(rest.len());
        option(file, &rest[..end], &mut limits)?;
        rest = rest[end..].strip_prefix(',').unwrap_or_default();
    }
    match (limits.after, limits.before) {
        (Some(after), Some(before)) if before <= after => Err(file
            .error("`valid-before` is not after `valid-after`", list)
            .hint("swap them")),
        _ => Ok(limits),
    }
}

fn option(file: &File, option: &str, limits: &mut Limits) -> Result<(), Diagnostic> {
    let (name, value) = option
        .split_once('=')
        .map_or((option, None), |(name, value)| (name, Some(value)));
    let quoted = || {
        value
            .and_then(|value| value.strip_prefix('"')?.strip_suffix('"'))
            .map(|value| value.replace("\\\"", "\""))
            .ok_or_else(|| {
                file.error(format!("`{name}` needs a value in quotes"), option)
                    .hint(format!("write {name}=\"…\""))
            })
    };
    let point = || {
        time::parse(&quoted()?).ok_or_else(|| {
            file.error(format!("the value of `{name}` is no time"), option)
                .hint("write YYYYMMDD or YYYYMMDDHHMM or YYYYMMDDHHMMSS; it is UTC")
        })
    };
    let twice = || {
        Err(file
            .error(format!("`{name}` is given twice"), option)
            .hint("keep one of them"))
    };
    match name.to_ascii_lowercase().as_str() {
        "namespaces" if limits.namespaces.is_some() => return twice(),
        "valid-after" if limits.after.is_some() => return twice(),
        "valid-before" if limits.before.is_some() => return twice(),
        "namespaces" => limits.namespaces = Some(quoted()?),
        "valid-after" => limits.after = Some(point()?),
        "valid-before" => limits.before = Some(point()?),
        "cert-authority" => {
            return Err(file
                .error("certificate authorities are not supported", option)
                .hint("name the keys that sign themselves, one a line"));
        }
        _ => {
            let known = ["namespaces", "valid-after", "valid-before"];
            let hint = match text::did_you_mean(name, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => EXAMPLE.to_owned(),
            };
            return Err(file.error("this is not an option of a key", option).hint(hint));
        }
    }
    Ok(())
}

/// Parses `KEYTYPE KEY [COMMENT]`. An error about a missing key marks `line`.
fn public_key(file: &File, text: &str, line: &str) -> Result<KeyData, Diagnostic> {
    let mut words = text.split([' ', '\t']).filter(|word| !word.is_empty());
    let (Some(kind), Some(base64)) = (words.next(), words.next()) else {
        return Err(file.error("the key is missing", line).hint(EXAMPLE));
    };
    let key = PublicKey::from_openssh(&format!("{kind} {base64}")).map_err(|error| {
        file.error(format!("the key cannot be read: {error}"), base64)
            .hint("copy the whole line of the public key's file (`.pub`)")
    })?;
    let key = KeyData::from(key);
    ssh::check_usable(&key).map_err(|unusable| {
        file.error(format!("the key is {unusable}"), kind)
            .hint("use an ed25519, ecdsa or rsa key, which may be on a token")
    })?;
    Ok(key)
}
