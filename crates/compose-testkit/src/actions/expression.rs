//! GitHub's expression syntax.

use std::collections::BTreeMap;

/// The values of names such as `inputs.command` and `steps.run.outputs.changed`; other names are
/// empty.
pub(super) type Contexts = BTreeMap<String, String>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    Bool(bool),
}

impl Value {
    fn is_true(&self) -> bool {
        match self {
            Value::Text(text) => !text.is_empty(),
            Value::Bool(value) => *value,
        }
    }

    fn into_text(self) -> String {
        match self {
            Value::Text(text) => text,
            Value::Bool(value) => value.to_string(),
        }
    }
}

/// Replaces every `${{ }}` in the text by its value.
pub(super) fn interpolate(text: &str, contexts: &Contexts) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${{") {
        let end = rest[start..].find("}}").expect("an expression ends") + start;
        out.push_str(&rest[..start]);
        out.push_str(&evaluate(&rest[start + 3..end], contexts).into_text());
        rest = &rest[end + 2..];
    }
    out + rest
}

/// Evaluates an `if:`, with or without `${{ }}`. `success` says whether all earlier steps
/// succeeded.
pub(super) fn holds(condition: &str, contexts: &Contexts, success: bool) -> bool {
    let bare = condition.trim();
    let bare = bare
        .strip_prefix("${{")
        .and_then(|bare| bare.strip_suffix("}}"))
        .unwrap_or(bare);
    let asks = ["always()", "failure()", "success()"]
        .iter()
        .any(|call| bare.contains(call));
    let mut contexts = contexts.clone();
    contexts.insert("success".to_owned(), success.to_string());
    (success || asks) && evaluate(bare, &contexts).is_true()
}

fn evaluate(text: &str, contexts: &Contexts) -> Value {
    let mut parser = Parser {
        tokens: tokens(text),
        next: 0,
        contexts,
    };
    let value = parser.or();
    assert_eq!(parser.next, parser.tokens.len(), "{text:?} is read to its end");
    value
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '\'' => 2 + rest[1..].find('\'').expect("a string ends"),
            c if c.is_alphanumeric() || c == '_' => rest
                .find(|c: char| !(c.is_alphanumeric() || "_.-*".contains(c)))
                .unwrap_or(rest.len()),
            _ if ["==", "!=", "&&", "||"]
                .iter()
                .any(|operator| rest.starts_with(operator)) =>
            {
                2
            }
            _ => 1,
        };
        tokens.push(rest[..length].to_owned());
        rest = rest[length..].trim_start();
    }
    tokens
}

struct Parser<'a> {
    tokens: Vec<String>,
    next: usize,
    contexts: &'a Contexts,
}

impl Parser<'_> {
    fn take(&mut self, token: &str) -> bool {
        let found = self.tokens.get(self.next).is_some_and(|found| found == token);
        self.next += usize::from(found);
        found
    }

    fn or(&mut self) -> Value {
        let mut value = self.and();
        while self.take("||") {
            let other = self.and();
            value = if value.is_true() { value } else { other };
        }
        value
    }

    fn and(&mut self) -> Value {
        let mut value = self.comparison();
        while self.take("&&") {
            let other = self.comparison();
            value = if value.is_true() { other } else { value };
        }
        value
    }

    fn comparison(&mut self) -> Value {
        let value = self.single();
        for (operator, equal) in [("==", true), ("!=", false)] {
            if self.take(operator) {
                // Comparisons of texts ignore case.
                let (one, other) = (
                    value.into_text().to_lowercase(),
                    self.single().into_text().to_lowercase(),
                );
                return Value::Bool((one == other) == equal);
            }
        }
        value
    }

    fn single(&mut self) -> Value {
        if self.take("!") {
            return Value::Bool(!self.single().is_true());
        }
        if self.take("(") {
            let value = self.or();
            assert!(self.take(")"), "a parenthesis is closed");
            return value;
        }
        let token = self.tokens.get(self.next).expect("an expression goes on").clone();
        self.next += 1;
        if let Some(text) = token.strip_prefix('\'') {
            return Value::Text(text.trim_end_matches('\'').to_owned());
        }
        if self.take("(") {
            return self.call(&token);
        }
        match token.as_str() {
            "true" | "false" => Value::Bool(token == "true"),
            _ => Value::Text(self.contexts.get(&token).cloned().unwrap_or_default()),
        }
    }

    fn call(&mut self, name: &str) -> Value {
        let mut arguments = Vec::new();
        while !self.take(")") {
            arguments.push(self.or().into_text());
            self.take(",");
        }
        let success = self
            .contexts
            .get("success")
            .is_none_or(|success| success == "true");
        match name {
            "always" => Value::Bool(true),
            "success" => Value::Bool(success),
            "failure" => Value::Bool(!success),
            "hashFiles" => Value::Text(format!("hash of {}", arguments.join(" "))),
            _ => panic!("the function {name} is not known here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_evaluated_as_by_github() {
        let contexts: Contexts = [("inputs.a", "x"), ("steps.run.outputs.composed-files", "3")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        for (text, expected) in [
            ("a ${{ inputs.a }} b", "a x b"),
            ("${{ inputs.none || inputs.a }}", "x"),
            ("${{ inputs.a == 'X' && 'same' || 'other' }}", "same"),
            ("${{ !(inputs.a != 'x') }}", "true"),
            ("${{ steps.run.outputs.composed-files }}${{ inputs.none }}", "3"),
            ("k-${{ hashFiles('**/a', 'b') }}", "k-hash of **/a b"),
        ] {
            assert_eq!(interpolate(text, &contexts), expected, "{text}");
        }
        assert!(holds("inputs.a == 'x'", &contexts, true));
        assert!(!holds("${{ inputs.a == 'y' }}", &contexts, true));
        assert!(!holds("inputs.a == 'x'", &contexts, false));
        assert!(holds("always()", &contexts, false));
        assert!(holds("failure()", &contexts, false));
    }
}
