//! Web search, as each dialect asks for it -> this dialect's tool.
//!
//! What they share is the user's place and the domains to search. Sources: the API references of
//! Anthropic (`web_search_*`), Google (`googleSearch`) and OpenAI (`web_search`, chat's
//! `web_search_options`).

use crate::dialect::hub::{Losses, Terms};
use crate::dialect::tree::{self, Node};
use crate::dialect::write::Array;
use crate::vocab::Ability;

/// Is this the type of one of our own search tools? They carry dates.
pub fn is_ours(kind: &str) -> bool {
    kind == "web_search" || kind.starts_with("web_search_preview") || kind.starts_with("web_search_2025_08")
}

/// The tool that does what `raw`, of another dialect, asks for.
pub fn write(raw: &str, terms: &Terms<'_>, losses: &mut Losses, array: &mut Array<'_>) {
    if terms.facts.lacks(Ability::WebSearch) {
        return losses.drop("web_search");
    }
    let Ok(tool) = tree::parse(raw.as_bytes()) else { return losses.drop("web_search") };
    for (key, value) in tool.members() {
        let said = matches!(
            &**key,
            "type"
                | "name"
                | "allowed_domains"
                | "user_location"
                | "search_context_size"
                | "googleSearch"
                | "google_search"
        );
        if !said && !value.is_null() {
            losses.drop(format!("web_search.{key}"));
        }
    }
    array.object(|o| {
        o.str("type", "web_search");
        if let Some(domains) = tool.at("allowed_domains").filter(|domains| domains.is_array()) {
            o.object("filters", |o| {
                o.raw("allowed_domains", domains.raw());
            });
        }
        o.str_if("search_context_size", tool.at("search_context_size").and_then(Node::as_str));
        // Chat has one level more than the others.
        let place = tool.at("user_location").map(|place| place.at("approximate").unwrap_or(place));
        if let Some(place) = place {
            o.object("user_location", |o| {
                o.str("type", "approximate");
                for key in ["city", "country", "region", "timezone"] {
                    o.str_if(key, place.at(key).and_then(Node::as_str));
                }
            });
        }
    });
}
