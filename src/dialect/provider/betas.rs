//! Which of the flags in `anthropic-beta` a host takes. Anthropic ignores none of its own; the clouds
//! refuse a request for a single flag that they do not know.
//!
//! Sources: docs.aws.amazon.com "Anthropic Claude Messages API", docs.claude.com "Claude on Vertex AI"
//! and "… in Microsoft Foundry"; what others let through (the public configuration of litellm, read
//! in November 2026). A flag that is missing here is dropped, which loses a feature and no request.

use std::borrow::Cow;

/// What a host takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Betas {
    All,
    /// These and no others, each with the name that it has there.
    Only(&'static [(&'static str, &'static str)]),
    /// It has no such thing.
    None,
}

/// What is left of a caller's flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filtered<'a> {
    /// The header to send, if any flag is left.
    pub header: Option<Cow<'a, str>>,
    /// The flags that were taken out, as the caller wrote them.
    pub dropped: Vec<&'a str>,
}

impl Betas {
    /// Takes out of a header's value (several values joined by commas) what the host does not take.
    pub fn filter<'a>(&self, header: &'a str) -> Filtered<'a> {
        let flags = || header.split(',').map(str::trim).filter(|flag| !flag.is_empty());
        match self {
            Self::All => {
                Filtered { header: flags().next().map(|_| Cow::Borrowed(header)), dropped: Vec::new() }
            }
            Self::None => Filtered { header: None, dropped: flags().collect() },
            Self::Only(known) => {
                let mut kept: Vec<&str> = Vec::new();
                let mut dropped = Vec::new();
                for flag in flags() {
                    match known.iter().find(|(ours, _)| *ours == flag) {
                        Some((_, theirs)) if kept.contains(theirs) => {}
                        Some((_, theirs)) => kept.push(theirs),
                        None => dropped.push(flag),
                    }
                }
                let header = (!kept.is_empty()).then(|| Cow::Owned(kept.join(",")));
                Filtered { header, dropped }
            }
        }
    }
}

pub(super) const VERTEX: Betas = Betas::Only(&[
    ("advanced-tool-use-2025-11-20", "tool-search-tool-2025-10-19"),
    ("compact-2026-01-12", "compact-2026-01-12"),
    ("compact-2026-09-04", "compact-2026-09-04"),
    ("computer-use-2025-01-24", "computer-use-2025-01-24"),
    ("computer-use-2025-11-24", "computer-use-2025-11-24"),
    ("context-1m-2025-08-07", "context-1m-2025-08-07"),
    ("context-management-2025-06-27", "context-management-2025-06-27"),
    ("interleaved-thinking-2025-05-14", "interleaved-thinking-2025-05-14"),
    ("per-turn-control-2026-07-01", "per-turn-control-2026-07-01"),
    ("thinking-binding-controls-2026-08-01", "thinking-binding-controls-2026-08-01"),
    ("thinking-display-updates-2026-08-18", "thinking-display-updates-2026-08-18"),
    ("tool-search-tool-2025-10-19", "tool-search-tool-2025-10-19"),
    ("web-search-2025-03-05", "web-search-2025-03-05"),
]);

/// Of converse, where they go into `additionalModelRequestFields.anthropic_beta`.
pub(super) const BEDROCK: Betas = Betas::Only(&[
    ("computer-use-2025-01-24", "computer-use-2025-01-24"),
    ("computer-use-2025-11-24", "computer-use-2025-11-24"),
    ("context-1m-2025-08-07", "context-1m-2025-08-07"),
    ("effort-2025-11-24", "effort-2025-11-24"),
    ("fine-grained-tool-streaming-2025-05-14", "fine-grained-tool-streaming-2025-05-14"),
    ("structured-outputs-2025-11-13", "structured-outputs-2025-11-13"),
    ("thinking-binding-controls-2026-08-01", "thinking-binding-controls-2026-08-01"),
    ("thinking-display-updates-2026-08-18", "thinking-display-updates-2026-08-18"),
]);

/// Of Bedrock's own Messages API.
pub(super) const MANTLE: Betas = Betas::Only(&[
    ("advanced-tool-use-2025-11-20", "tool-search-tool-2025-10-19"),
    ("claude-code-20250219", "claude-code-20250219"),
    ("compact-2026-01-12", "compact-2026-01-12"),
    ("computer-use-2025-01-24", "computer-use-2025-01-24"),
    ("computer-use-2025-11-24", "computer-use-2025-11-24"),
    ("context-1m-2025-08-07", "context-1m-2025-08-07"),
    ("context-management-2025-06-27", "context-management-2025-06-27"),
    ("effort-2025-11-24", "effort-2025-11-24"),
    ("fine-grained-tool-streaming-2025-05-14", "fine-grained-tool-streaming-2025-05-14"),
    ("interleaved-thinking-2025-05-14", "interleaved-thinking-2025-05-14"),
    ("output-128k-2025-02-19", "output-128k-2025-02-19"),
    ("per-turn-control-2026-07-01", "per-turn-control-2026-07-01"),
    ("structured-outputs-2025-11-13", "structured-outputs-2025-11-13"),
    ("thinking-binding-controls-2026-08-01", "thinking-binding-controls-2026-08-01"),
    ("thinking-display-updates-2026-08-18", "thinking-display-updates-2026-08-18"),
    ("token-efficient-tools-2025-02-19", "token-efficient-tools-2025-02-19"),
    ("tool-examples-2025-10-29", "tool-examples-2025-10-29"),
    ("tool-search-tool-2025-10-19", "tool-search-tool-2025-10-19"),
    ("web-search-2025-03-05", "web-search-2025-03-05"),
]);

pub(super) const FOUNDRY: Betas = Betas::Only(&[
    ("advanced-tool-use-2025-11-20", "advanced-tool-use-2025-11-20"),
    ("code-execution-2025-08-25", "code-execution-2025-08-25"),
    ("computer-use-2025-01-24", "computer-use-2025-01-24"),
    ("computer-use-2025-11-24", "computer-use-2025-11-24"),
    ("context-1m-2025-08-07", "context-1m-2025-08-07"),
    ("context-management-2025-06-27", "context-management-2025-06-27"),
    ("effort-2025-11-24", "effort-2025-11-24"),
    ("files-api-2025-04-14", "files-api-2025-04-14"),
    ("interleaved-thinking-2025-05-14", "interleaved-thinking-2025-05-14"),
    ("mcp-client-2025-04-04", "mcp-client-2025-04-04"),
    ("mcp-client-2025-11-20", "mcp-client-2025-11-20"),
    ("per-turn-control-2026-07-01", "per-turn-control-2026-07-01"),
    ("prompt-caching-scope-2026-01-05", "prompt-caching-scope-2026-01-05"),
    ("skills-2025-10-02", "skills-2025-10-02"),
    ("structured-outputs-2025-11-13", "structured-outputs-2025-11-13"),
    ("thinking-display-updates-2026-08-18", "thinking-display-updates-2026-08-18"),
    ("web-fetch-2025-09-10", "web-fetch-2025-09-10"),
    ("web-search-2025-03-05", "web-search-2025-03-05"),
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_does_not_take_is_taken_out_and_named() {
        let check = |betas: &Betas, header: &'static str, left: Option<&str>, dropped: &[&str]| {
            let filtered = betas.filter(header);
            assert_eq!(filtered.header.as_deref(), left, "{header}");
            assert_eq!(filtered.dropped, dropped, "{header}");
        };
        let claude_code = "claude-code-20250219,interleaved-thinking-2025-05-14, oauth-2025-04-20";
        check(&Betas::All, claude_code, Some(claude_code), &[]);
        let dropped = ["claude-code-20250219", "oauth-2025-04-20"];
        check(&VERTEX, claude_code, Some("interleaved-thinking-2025-05-14"), &dropped);
        check(&VERTEX, "a,b", None, &["a", "b"]);
        check(&Betas::None, "a,b", None, &["a", "b"]);
        for betas in [&Betas::All, &Betas::None, &VERTEX] {
            check(betas, " , ", None, &[]);
        }
    }

    #[test]
    fn a_flag_is_sent_under_the_hosts_own_name_and_once() {
        let both = VERTEX.filter("advanced-tool-use-2025-11-20,tool-search-tool-2025-10-19");
        assert_eq!(both.header.as_deref(), Some("tool-search-tool-2025-10-19"));
        assert!(both.dropped.is_empty());
    }

    #[test]
    fn lists_are_in_order_and_name_each_flag_once() {
        for betas in [VERTEX, BEDROCK, MANTLE, FOUNDRY] {
            let Betas::Only(flags) = betas else { panic!("a list") };
            assert!(flags.is_sorted_by(|one, two| one.0 < two.0));
        }
    }
}
