//! Extracts what can be shown of answers that do not follow git's protocol.

use compose_model::text::escape;
use reqwest::{
    Response, Url,
    header::{HeaderMap, RETRY_AFTER},
};

use super::packets::MAX_SHOWN_MESSAGE;

/// The most bytes of an error page that are read.
const ERROR_BODY: usize = 4096;

/// Returns the repo's address as a user would write it, without query, fragment, login and the
/// `tail` of the request.
pub(super) fn printable_url(url: &Url, tail: &str) -> String {
    let mut url =
        Url::parse(url.as_str().strip_suffix(tail).unwrap_or(url.as_str())).unwrap_or_else(|_| url.clone());
    url.set_query(None);
    url.set_fragment(None);
    // Both calls fail only for addresses that cannot have a login.
    _ = url.set_username("");
    _ = url.set_password(None);
    escape(url.as_str(), MAX_SHOWN_MESSAGE)
}

/// Parses `Retry-After`, which holds seconds or a date. A date in the past gives zero; an invalid
/// value gives `None`.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<std::time::Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(std::time::Duration::from_secs(seconds));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return Some(std::time::Duration::MAX);
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(
        date.duration_since(std::time::SystemTime::now())
            .unwrap_or_default(),
    )
}

/// Returns the start of an error page as one line of text, without tags.
pub(super) async fn error_text(mut response: Response) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes.extend_from_slice(&chunk[..chunk.len().min(ERROR_BODY - bytes.len())]);
            if bytes.len() >= ERROR_BODY {
                break;
            }
        }
    };
    // Whatever has arrived by then is shown.
    _ = tokio::time::timeout(std::time::Duration::from_secs(2), read).await;
    strip_tags(&String::from_utf8_lossy(&bytes))
}

fn strip_tags(page: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in page.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                text.push(' ');
            }
            c if !inside => text.push(c),
            _ => {}
        }
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    escape(&words.join(" "), 160)
}

#[cfg(test)]
mod tests {
    use compose_model::text::is_unprintable;
    use compose_testkit::fuzz::feed;
    use reqwest::header::HeaderValue;

    use super::*;
    use crate::retry::{RetryPolicy, Retryable};

    #[test]
    fn an_error_page_becomes_one_line() {
        assert_eq!(
            strip_tags("<html><title>Log in</title>\n<p>Please\x1b[0m"),
            "Log in Please\\u{1b}[0m"
        );
    }

    #[test]
    fn retry_after_takes_seconds_and_dates_and_ignores_the_rest() {
        let after = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(after("7"), Some(std::time::Duration::from_secs(7)));
        assert_eq!(
            after("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(std::time::Duration::ZERO)
        );
        assert_eq!(after("99999999999999999999999"), Some(std::time::Duration::MAX));
        assert_eq!(after("soon"), None);
        assert_eq!(after("-1"), None);
    }
    #[test]
    fn damaged_dates_give_bounded_waits_and_pages_printable_text() {
        let seeds = [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "120",
            "<html><title>Log in</title>\n<p>Please",
        ];
        let pieces = [
            "9999",
            "-1",
            "0",
            " ",
            ",",
            "31 Feb",
            "29 Feb 2100",
            ":60",
            "GMT",
            "<",
            ">",
            "\u{1b}[0m",
            "\u{202e}",
            "\n",
        ];
        let policy = RetryPolicy::default();
        feed(1000, &seeds, &pieces, |text, _| {
            if let Ok(value) = HeaderValue::from_bytes(text) {
                let headers = HeaderMap::from_iter([(RETRY_AFTER, value)]);
                let wait = retry_after(&headers).and_then(|after| policy.wait(1, Retryable::After(after)));
                assert!(wait.is_none_or(|wait| wait <= policy.longest_retry_after));
            }
            let shown = strip_tags(&String::from_utf8_lossy(text));
            assert!(!shown.chars().any(is_unprintable), "{shown:?}");
        });
    }
}
