//! Hosts' names, and those by which a machine's own browsers and programs ask what runs on it.

use std::net::{IpAddr, Ipv6Addr};

/// An address, or one of the names that nobody else can give away (RFC 6761 §6.3); with a port or without. Any other
/// name may have been made to lead here by whoever owns it (DNS rebinding).
pub fn is_own_address(host: &str) -> bool {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
    if let Some(inner) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok();
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost") || name.parse::<IpAddr>().is_ok()
}

/// Labels of letters, digits, `-` and `_` between dots: a name, or an IPv4 address.
pub fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.split('.').all(|label| !label.is_empty() && label.bytes().all(letter))
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
            "[127.0.0.1]",
            "localhost@evil.example",
            "localhost:80@evil.example",
        ] {
            assert!(!is_own_address(host), "{host}");
        }
    }
}
