//! The `server.media` section: hosts and blocks of addresses.

use crate::config::blueprint::Media;
use crate::config::cidr::Cidr;
use crate::config::file::server;
use crate::config::path::Path;
use crate::config::problem::Findings;
use crate::config::settle;
use crate::vocab::host::is_name;

pub fn check(said: &server::Media, path: &Path, findings: &mut Findings) -> Option<Media> {
    let mut sound = true;
    let mut hosts = Vec::new();
    for (index, host) in said.allow_hosts.iter().flatten().enumerate() {
        if is_host(host) {
            hosts.push(host.to_ascii_lowercase());
        } else {
            sound = false;
            findings.error(
                &path.key("allow_hosts").index(index),
                format!("`{host}` is not a host"),
                "write a name like cdn.example.com, or *.example.com for all below one; no scheme, port or path",
            );
        }
    }
    if said.allow_hosts.as_ref().is_some_and(Vec::is_empty) && said.enabled != Some(false) {
        sound = false;
        findings.error(
            &path.key("allow_hosts"),
            "an empty list allows no host",
            "leave it out to allow every public host, or write `enabled: false`",
        );
    }
    let mut blocks = Vec::new();
    for (index, block) in said.allow_private.iter().flatten().enumerate() {
        if let Some(block) = Cidr::parse(block) {
            blocks.push(block);
        } else {
            sound = false;
            findings.error(
                &path.key("allow_private").index(index),
                format!("`{block}` is not a block of addresses"),
                "write it like 10.1.0.0/16 or fd00::/8, with zeros after the first bits",
            );
        }
    }
    sound.then(|| settle::media(said, hosts, blocks))
}

/// A name or an address, perhaps with `*.` in front.
fn is_host(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    is_name(name) || text.parse::<std::net::Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::Given;
    use crate::config::{Problem, load};

    fn settled(media: &str) -> Result<Media, Vec<Problem>> {
        let text = format!(
            "version: 1\nserver: {{media: {media}}}\nupstreams: {{a: {{provider: simulated}}}}\n\
             routes: [{{model: m, channels: [{{upstream: a}}]}}]\n"
        );
        load(&text, &Given::default()).map(|loaded| loaded.blueprint.server.media)
    }

    #[test]
    fn hosts_and_blocks_are_taken_as_they_are_meant() {
        let media =
            settled("{allow_hosts: [CDN.example.com, \"*.a.b\", 10.1.2.3], allow_private: [10.1.0.0/16]}");
        let media = media.expect("sound");
        assert_eq!(media.allow_hosts, ["cdn.example.com", "*.a.b", "10.1.2.3"]);
        assert_eq!(media.allow_private, [Cidr::parse("10.1.0.0/16").expect("a block")]);
        assert!(media.enabled && !media.plain_http);
        assert!(!settled("{enabled: false, allow_hosts: []}").expect("sound").enabled);
    }

    #[test]
    fn what_would_not_do_what_it_says_is_refused_at_its_place() {
        for (media, path) in [
            ("{allow_hosts: [\"https://a.b\"]}", "server.media.allow_hosts[0]"),
            ("{allow_hosts: [a.b, \"a.b:443\"]}", "server.media.allow_hosts[1]"),
            ("{allow_hosts: [\"a*.b\"]}", "server.media.allow_hosts[0]"),
            ("{allow_hosts: []}", "server.media.allow_hosts"),
            ("{allow_private: [10.1.2.3/16]}", "server.media.allow_private[0]"),
            ("{allow_private: [localhost]}", "server.media.allow_private[0]"),
            ("{max_urls: 0}", "server.media.max_urls"),
        ] {
            let problems = settled(media).expect_err(media);
            assert_eq!(problems.iter().map(|p| p.path.as_str()).collect::<Vec<_>>(), [path], "{media}");
        }
    }
}
