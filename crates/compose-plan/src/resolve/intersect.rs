//! Combines two requests for one environment of a repo.

use compose_model::{Requested, VersionRequest, version::VersionKind};

/// Returns the request that both agree on: the same request, an exact version inside a range, or
/// the intersection of two ranges. Returns `None` if no commit could answer both, or if that
/// depends on the repo (a branch and a version).
pub(super) fn intersect(one: &Requested, other: &Requested) -> Option<Requested> {
    if one == other {
        return Some(one.clone());
    }
    let (Requested::Version(a), Requested::Version(b)) = (one, other) else {
        return None;
    };
    match (a.kind(), b.kind()) {
        (VersionKind::Exact(x), VersionKind::Exact(y)) => (x == y).then(|| one.clone()),
        (VersionKind::Exact(exact), VersionKind::Range(range)) => range.matches(exact).then(|| one.clone()),
        (VersionKind::Range(range), VersionKind::Exact(exact)) => range.matches(exact).then(|| other.clone()),
        (VersionKind::Range(x), VersionKind::Range(y)) => {
            if y.comparators
                .iter()
                .all(|comparator| x.comparators.contains(comparator))
            {
                return Some(one.clone());
            }
            let fresh = y
                .comparators
                .iter()
                .filter(|comparator| !x.comparators.contains(comparator));
            let all: Vec<String> = x
                .comparators
                .iter()
                .chain(fresh)
                .map(ToString::to_string)
                .collect();
            VersionRequest::parse(&all.join(", "))
                .ok()
                .map(Requested::Version)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str) -> Requested {
        VersionRequest::parse(text).map_or_else(|_| Requested::Ref(text.to_owned()), Requested::Version)
    }

    #[test]
    fn what_two_requests_agree_on() {
        for (one, other, both) in [
            ("1.0.0", "1.0.0", Some("1.0.0")),
            ("1.0.0", "v1.0.0", Some("1.0.0")),
            ("1.0.0", "1.0.1", None),
            ("1.2.3", "^1", Some("1.2.3")),
            ("^1", "1.2.3", Some("1.2.3")),
            ("^2", "1.2.3", None),
            ("^1.2", ">=1.3", Some("^1.2, >=1.3")),
            ("^1.2", ">=1.3, ^1.2", Some("^1.2, >=1.3")),
            ("^1.2", "latest", Some("^1.2")),
            ("*", "~1.2", Some("~1.2")),
            ("latest", "*", Some("latest")),
            ("1.0", "1.0", Some("1.0")),
            ("1.0", "^1", None),
            ("main", "main", Some("main")),
            ("main", "dev", None),
            ("main", "^1", None),
        ] {
            let found = intersect(&request(one), &request(other));
            assert_eq!(found.as_ref().map(Requested::as_str), both, "{one} {other}");
        }
    }
}
