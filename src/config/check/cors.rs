//! The `server.cors` section: whose web pages may ask.

use super::Scene;
use super::access::access;
use crate::config::blueprint::Access;
use crate::config::page_origin::PageOrigin;
use crate::config::path::Path;
use crate::config::problem::Findings;

pub fn check(scene: &Scene<'_>, path: &Path, findings: &mut Findings) -> Option<Vec<PageOrigin>> {
    let said = &scene.file.server.cors.origins;
    let path = path.key("origins");
    let mut origins = Vec::with_capacity(said.len());
    for (index, text) in said.iter().enumerate() {
        let Some(origin) = PageOrigin::parse(text) else {
            findings.error(&path.index(index), format!("`{text}` is not an origin"), hint(text));
            continue;
        };
        let at = path.index(index);
        if origin == PageOrigin::Any && said.len() > 1 {
            findings.error(
                &at,
                "`*` is any page, whatever else is listed",
                "write it alone, or leave it out",
            );
        } else if origin == PageOrigin::Any && is_open(scene) {
            findings.error(
                &at,
                "any web page that somebody looks at could spend your money: nobody is asked for a key",
                "name the pages' origins, or write `access: keys` and `keys:`, or, where everybody may use what you pay for, \
                 `server.open_to_everybody: true`",
            );
        }
        origins.push(origin);
    }
    (origins.len() == said.len()).then_some(origins)
}

fn is_open(scene: &Scene<'_>) -> bool {
    access(scene.file.access) == Access::Open && scene.file.server.open_to_everybody != Some(true)
}

fn hint(text: &str) -> &'static str {
    if text == "null" {
        "any page can have that one; serve yours from an address of its own, and write that"
    } else {
        "write scheme and host as browsers say them, like https://chat.example.com or http://localhost:5173, or \
         https://*.example.com for all below one; no path, not even a slash at the end"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::Given;
    use crate::config::{Problem, load};

    fn settled(access: &str, server: &str) -> Result<Vec<PageOrigin>, Vec<Problem>> {
        let text = format!(
            "version: 1\naccess: {access}\nserver: {server}\nkeys: {{shop: {{secret: \"${{SHOP_KEY}}\"}}}}\n\
             upstreams: {{a: {{provider: simulated}}}}\nroutes: [{{model: m, channels: [{{upstream: a}}]}}]\n"
        );
        let given = Given::default().var("SHOP_KEY", "sixteen-characters");
        load(&text, &given).map(|loaded| loaded.blueprint.server.cors)
    }

    #[test]
    fn origins_are_taken_as_they_are_meant() {
        let one = |text| PageOrigin::parse(text).expect("an origin");
        let said = "{cors: {origins: [\"https://Chat.example.com\", \"https://*.example.com:8443\"]}}";
        let taken = vec![one("https://chat.example.com"), one("https://*.example.com:8443")];
        for access in ["open", "keys"] {
            assert_eq!(settled(access, said).expect("sound"), taken);
            assert_eq!(settled(access, "{}").expect("sound"), []);
            assert_eq!(settled(access, "{cors: {origins: []}}").expect("sound"), []);
        }
        assert_eq!(settled("keys", "{cors: {origins: [\"*\"]}}").expect("sound"), [PageOrigin::Any]);
        let everybody = "{open_to_everybody: true, cors: {origins: [\"*\"]}}";
        assert_eq!(settled("open", everybody).expect("sound"), [PageOrigin::Any]);
    }

    #[test]
    fn what_would_let_in_nobody_or_anybody_is_refused_at_its_place() {
        for (access, cors, path) in [
            ("keys", "{origins: [\"https://a.b\", \"https://a.b/\"]}", "server.cors.origins[1]"),
            ("keys", "{origins: [a.b]}", "server.cors.origins[0]"),
            ("keys", "{origins: [\"null\"]}", "server.cors.origins[0]"),
            ("keys", "{origins: [\"https://a.b\", \"*\"]}", "server.cors.origins[1]"),
            ("open", "{origins: [\"*\"]}", "server.cors.origins[0]"),
            ("open", "{origins: \"*\"}", "server.cors.origins"),
        ] {
            let problems = settled(access, &format!("{{cors: {cors}}}")).expect_err(cors);
            assert_eq!(problems.iter().map(|p| p.path.as_str()).collect::<Vec<_>>(), [path], "{cors}");
        }
    }
}
