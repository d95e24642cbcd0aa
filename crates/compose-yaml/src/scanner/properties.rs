//! Scans directives, anchors, aliases and tags.

use super::{Scanner, TokenKind, is_blank, is_break};
use crate::error::{Error, Header, Property, Syntax};

/// Returns whether a character may be in the name of an anchor, a directive or a tag's handle.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

/// Returns whether a character ends a tag or the value of a directive. A tab does not.
fn is_space(c: char) -> bool {
    c == ' ' || is_break(c)
}

impl<'t> Scanner<'t> {
    pub(super) fn directive(&mut self) -> Result<(), Error> {
        self.unwind(-1);
        self.remove_key()?;
        self.allow_simple_key = false;
        let start = self.mark;
        self.forward();
        let name = self.take_while(is_word);
        if name.is_empty() || !is_space(self.peek(0)) {
            return self.error(Syntax::DirectiveName);
        }
        let kind = match name {
            "YAML" => {
                self.take_while(|c| c == ' ');
                let major = self.number()?;
                if self.peek(0) != '.' {
                    return self.error(Syntax::VersionPoint);
                }
                self.forward();
                self.number()?;
                TokenKind::YamlDirective { major }
            }
            "TAG" => {
                self.take_while(|c| c == ' ');
                let handle = self.tag_handle()?;
                if self.peek(0) != ' ' {
                    return self.error(Syntax::HandleSpace);
                }
                self.take_while(|c| c == ' ');
                let prefix = self.tag_uri()?;
                TokenKind::TagDirective { handle, prefix }
            }
            _ => {
                self.take_while(|c| !is_break(c));
                TokenKind::OtherDirective
            }
        };
        if !is_space(self.peek(0)) {
            return self.error(Syntax::DirectiveEnd);
        }
        self.push(kind, start);
        self.rest_of_line(Header::Directive)
    }

    fn number(&mut self) -> Result<u32, Error> {
        let digits = self.take_while(|c| c.is_ascii_digit());
        if digits.is_empty() {
            return self.error(Syntax::VersionNumber);
        }
        // Only the major version 1 is accepted, so numbers that are too large need not be exact.
        Ok(digits.parse().unwrap_or(u32::MAX))
    }

    /// Skips the rest of a line, which may contain only a comment.
    pub(super) fn rest_of_line(&mut self, header: Header) -> Result<(), Error> {
        self.take_while(|c| c == ' ');
        self.skip_comment();
        if !is_break(self.peek(0)) {
            return self.error(Syntax::MoreText(header));
        }
        self.line_break();
        Ok(())
    }

    pub(super) fn alias(&mut self) -> Result<(), Error> {
        let start = self.mark;
        let name = self.anchor_name(Property::Alias)?;
        self.push(TokenKind::Alias(name), start);
        Ok(())
    }

    pub(super) fn anchor(&mut self) -> Result<(), Error> {
        let start = self.mark;
        let name = self.anchor_name(Property::Anchor)?;
        self.push(TokenKind::Anchor(name), start);
        Ok(())
    }

    fn anchor_name(&mut self, property: Property) -> Result<&'t str, Error> {
        let start = self.mark.at;
        self.forward();
        let name = self.take_while(is_word);
        let next = self.peek(0);
        if name.is_empty() || !is_blank(next) && !"?:,]}%@`".contains(next) {
            return Err(Error::syntax(Syntax::Name(property), start));
        }
        Ok(name)
    }

    pub(super) fn tag(&mut self) -> Result<(), Error> {
        let start = self.mark;
        let next = self.peek(1);
        let (handle, suffix) = if next == '<' {
            self.forward();
            self.forward();
            let uri = self.tag_uri()?;
            if self.peek(0) != '>' {
                return self.error(Syntax::TagBracket);
            }
            self.forward();
            (None, uri)
        } else if is_blank(next) {
            self.forward();
            (None, "!".to_owned())
        } else {
            let rest = &self.rest()[1..];
            let word = &rest[..rest.find(is_space).unwrap_or(rest.len())];
            let handle = if word.contains('!') {
                self.tag_handle()?
            } else {
                self.forward();
                "!"
            };
            (Some(handle), self.tag_uri()?)
        };
        if !is_space(self.peek(0)) {
            return self.error(Syntax::TagSpace);
        }
        self.push(TokenKind::Tag { handle, suffix }, start);
        Ok(())
    }

    /// Scans the handle of a tag: `!`, `!!` or `!name!`.
    fn tag_handle(&mut self) -> Result<&'t str, Error> {
        let start = self.mark.at;
        if self.peek(0) != '!' {
            return self.error(Syntax::HandleStart);
        }
        self.forward();
        if self.peek(0) != ' ' {
            self.take_while(is_word);
            if self.peek(0) != '!' {
                return self.error(Syntax::HandleEnd);
            }
            self.forward();
        }
        Ok(&self.text[start..self.mark.at])
    }

    fn tag_uri(&mut self) -> Result<String, Error> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-;/?:@&=+$,_.!~*'()[]".contains(c);
        let mut uri = String::new();
        loop {
            uri.push_str(self.take_while(is_plain));
            if self.peek(0) != '%' {
                break;
            }
            uri.push_str(&self.uri_escapes()?);
        }
        if uri.is_empty() {
            return self.error(Syntax::TagName);
        }
        Ok(uri)
    }

    fn uri_escapes(&mut self) -> Result<String, Error> {
        let mut bytes = Vec::new();
        while self.peek(0) == '%' {
            self.forward();
            let digits = self.peek(0).to_digit(16).zip(self.peek(1).to_digit(16));
            let Some((high, low)) = digits else {
                return self.error(Syntax::TagEscape);
            };
            bytes.push((high << 4 | low) as u8);
            self.forward();
            self.forward();
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(text),
            Err(_) => self.error(Syntax::TagEncoding),
        }
    }
}
