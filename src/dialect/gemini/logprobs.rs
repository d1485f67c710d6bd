//! `logprobsResult` and OpenAI's form of it, which the hub holds.

use crate::dialect::tree::{self, Node};
use crate::dialect::write::{self, Array, Object};

use super::names::member;

/// OpenAI's `{"content":[…]}` of a `logprobsResult`; nothing when it holds no tokens.
pub fn read(result: &Node<'_>) -> Option<String> {
    let chosen = member(result, "chosenCandidates")?.elements();
    let top = member(result, "topCandidates").map(Node::elements).unwrap_or_default();
    Some(write::text(|out| {
        write::object(out, |o| {
            o.array("content", |tokens| {
                for (at, token) in chosen.iter().enumerate() {
                    let others = top.get(at).and_then(|step| member(step, "candidates"));
                    tokens.object(|o| {
                        openai_token(o, token);
                        o.array("top_logprobs", |a| {
                            for other in others.map(Node::elements).unwrap_or_default() {
                                a.object(|o| openai_token(o, other));
                            }
                        });
                    });
                }
            });
        });
    }))
}

fn openai_token(o: &mut Object<'_>, token: &Node<'_>) {
    let text = member(token, "token").and_then(Node::text).unwrap_or_default();
    o.str("token", &text);
    o.raw("logprob", number(member(token, "logProbability")));
    o.array("bytes", |a| {
        for byte in text.bytes() {
            a.number(byte);
        }
    });
}

/// Says OpenAI's form as a `logprobsResult`; nothing when it is not that.
pub fn write(o: &mut Object<'_>, openai: &str) {
    let Ok(root) = tree::parse(openai.as_bytes()) else { return };
    let Some(tokens) = root.at("content").filter(|tokens| tokens.is_array()) else { return };
    let alternatives =
        |token: &Node<'_>| token.at("top_logprobs").is_some_and(|top| !top.elements().is_empty());
    o.object("logprobsResult", |o| {
        o.array("chosenCandidates", |a| {
            for token in tokens.elements() {
                google_token(a, token);
            }
        });
        if tokens.elements().iter().any(alternatives) {
            o.array("topCandidates", |a| {
                for token in tokens.elements() {
                    a.object(|o| {
                        o.array("candidates", |a| {
                            for other in token.at("top_logprobs").map(Node::elements).unwrap_or_default() {
                                google_token(a, other);
                            }
                        });
                    });
                }
            });
        }
    });
}

fn google_token(a: &mut Array<'_>, token: &Node<'_>) {
    a.object(|o| {
        o.str("token", &token.at("token").and_then(Node::text).unwrap_or_default());
        o.raw("logProbability", number(token.at("logprob")));
    });
}

fn number<'a>(node: Option<&Node<'a>>) -> &'a str {
    node.filter(|node| node.as_number().is_some()).map_or("0", Node::raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_from_either_form() {
        let openai = r#"{"content":[{"token":"é","logprob":-0.5,"bytes":[195,169],"top_logprobs":[{"token":"e","logprob":-1,"bytes":[101]}]},{"token":"!","logprob":0,"bytes":[33],"top_logprobs":[]}]}"#;
        let google = write::text(|out| write::object(out, |o| write(o, openai)));
        assert_eq!(
            google,
            r#"{"logprobsResult":{"chosenCandidates":[{"token":"é","logProbability":-0.5},{"token":"!","logProbability":0}],"topCandidates":[{"candidates":[{"token":"e","logProbability":-1}]},{"candidates":[]}]}}"#
        );
        let root = tree::parse(google.as_bytes()).expect("JSON");
        assert_eq!(read(root.at("logprobsResult").expect("there")).as_deref(), Some(openai));
    }

    #[test]
    fn what_is_something_else_is_left_out() {
        for text in ["", "{}", "[]", r#"{"content":1}"#] {
            assert_eq!(write::text(|out| write::object(out, |o| write(o, text))), "{}");
        }
    }
}
