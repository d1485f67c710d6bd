//! The names by which a machine's own browsers and programs ask what runs on it.

use std::net::IpAddr;

use http::uri::Authority;

/// An address, or one of the names that nobody else can give away (RFC 6761 §6.3); with a port or without. Any other name
/// may have been made to lead here by whoever owns it (DNS rebinding).
pub fn is_own_address(host: &str) -> bool {
    let Ok(host) = host.parse::<Authority>() else { return false };
    let name = host.host().trim_end_matches('.').to_ascii_lowercase();
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
    bare == "localhost" || bare.ends_with(".localhost") || bare.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_nobody_elses() {
        for host in [
            "localhost:8080",
            "LOCALHOST.",
            "ui.localhost",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
            "192.0.2.7",
        ] {
            assert!(is_own_address(host), "{host}");
        }
        for host in [
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "notlocalhost",
            "",
            "a b",
            "[::1",
        ] {
            assert!(!is_own_address(host), "{host}");
        }
    }
}
