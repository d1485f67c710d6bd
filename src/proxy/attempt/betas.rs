//! The caller's flags for Anthropic's betas, of which each host takes its own.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::spoken::Spoken;
use crate::config::{self, Unsupported};

const BETAS: HeaderName = HeaderName::from_static("anthropic-beta");

/// The flags that a caller sent, joined by commas: several lines of one name are a list (RFC 9110, section 5.3).
pub fn asked(fields: &HeaderMap) -> Option<String> {
    let lines: Vec<_> = fields.get_all(BETAS).iter().filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

/// Leaves of them those that the host takes: it would refuse the request for the others.
pub fn take(fields: &mut HeaderMap, upstream: &config::Upstream, route: &config::Route, spoken: &mut Spoken) {
    let Some(flags) = asked(fields) else { return };
    let filtered = upstream.provider.betas.filter(&flags);
    match filtered.header.and_then(|kept| HeaderValue::from_str(&kept).ok()) {
        Some(kept) => fields.insert(BETAS, kept),
        None => fields.remove(BETAS),
    };
    if route.unsupported == Unsupported::Warn {
        spoken.also_dropped(&filtered.dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lines_are_one_list() {
        let mut fields = HeaderMap::new();
        assert_eq!(asked(&fields), None);
        for flags in ["a,b", "c"] {
            fields.append(BETAS, HeaderValue::from_static(flags));
        }
        assert_eq!(asked(&fields).as_deref(), Some("a,b,c"));
    }
}
