//! One of each: what every dialect has to be able to say, or to report as lost.
//!
//! The dialects' tests write each sample as a golden file under `tests/fixtures/dialect/pairs` and
//! read it again; `translate`'s tests then translate every dialect's file into every other one's.

use super::{
    Ask, Block, CacheMark, Call, CallKind, Choice, Content, Delta, Effort, Event, Family, Format, Logprobs,
    Manner, Media, Mode, Outcome, Part, Reasoning, Reply, Role, Signature, Source, Stop, Summary, Terms,
    Thought, Tier, Tool, ToolChoice, ToolKind, Turn,
};
use crate::dialect::Dialect;
use crate::dialect::framing::Framing;
use crate::dialect::quirks::Quirks;
use crate::vocab::{Facts, Usage};

/// A transparent pixel.
pub const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
/// A document that says nothing.
pub const PDF: &str = "JVBERi0xLjQKJSVFT0YK";
const WEATHER: &str = r#"{"type":"object","properties":{"city":{"type":"string"},"unit":{"type":"string","enum":["c","f"]}},"required":["city"]}"#;
const PERSON: &str = r#"{"type":"object","properties":{"name":{"type":"string"},"age":{"type":"integer"}},"required":["name","age"],"additionalProperties":false}"#;

pub const MODEL: &str = "test-model";
pub const NONCE: &str = "n0nce";

/// Terms of an upstream of which nothing is known and that speaks its dialect plainly.
pub fn terms(family: Family, quirks: &'static Quirks) -> Terms<'static> {
    Terms {
        model: MODEL,
        like: None,
        facts: Facts::default(),
        family,
        quirks,
        ask_usage: false,
        nonce: NONCE,
    }
}

pub fn manner() -> Manner {
    Manner {
        family: Family::OpenAi,
        model: MODEL.to_owned(),
        nonce: NONCE.to_owned(),
        now: 1_700_000_000,
        usage_wanted: true,
        framing: Framing::Sse,
        echo: String::new(),
        keeping: super::Keeping::Passing,
        renamed: super::Renamed::default(),
        stops: super::Stops::default(),
    }
}

/// Requests by name. `dialect` is a stranger's, so that a writer treats them as translated.
pub fn asks() -> Vec<(&'static str, Ask<'static>)> {
    let ask = |turns| Ask { model: MODEL.into(), max_tokens: Some(1_000), turns, ..Ask::new(Dialect::Http) };
    let user = |text: &'static str| Turn::new(Role::User, vec![Part::text(text)]);
    let assistant = |text: &'static str| Turn::new(Role::Assistant, vec![Part::text(text)]);
    let system = || Turn::new(Role::System, vec![Part::text("Be brief.")]);
    let weather = || Tool {
        kind: ToolKind::Function {
            name: "get_weather".into(),
            description: Some("The weather of a city".into()),
            parameters: Some(WEATHER.into()),
            strict: None,
        },
        cache: None,
        extras: super::Extras::default(),
    };
    let clock = || Tool {
        kind: ToolKind::Function {
            name: "get_time".into(),
            description: None,
            parameters: Some(r#"{"type":"object","properties":{}}"#.into()),
            strict: None,
        },
        cache: None,
        extras: super::Extras::default(),
    };
    vec![
        ("text", ask(vec![user("Hello")])),
        ("stream", Ask { mode: Mode::Stream { usage: true }, ..ask(vec![user("Hello")]) }),
        (
            "multi_turn",
            Ask {
                temperature: Some(0.5),
                top_p: Some(0.9),
                stop: vec!["END".into(), "STOP".into()],
                ..ask(vec![system(), user("Hello"), assistant("Hi \"there\""), user("Who are you?\nReally?")])
            },
        ),
        (
            "sampling",
            Ask {
                top_k: Some(40),
                n: Some(2),
                seed: Some(7.0),
                presence_penalty: Some(0.5),
                frequency_penalty: Some(-0.5),
                logit_bias: Some(r#"{"50256":-100}"#),
                logprobs: Some(Logprobs { top: 3 }),
                tier: Some(Tier::Flex),
                user: Some("user-1".into()),
                cache_key: Some("key-1".into()),
                ..ask(vec![user("Hello")])
            },
        ),
        (
            "image",
            ask(vec![Turn::new(
                Role::User,
                vec![
                    Part::text("What is this?"),
                    Part::new(Content::Image(Media::new(
                        Source::Base64(PNG.into()),
                        Some("image/png".into()),
                    ))),
                    Part::new(Content::Image(Media::new(
                        Source::Url("https://example.com/cat.png".into()),
                        None,
                    ))),
                ],
            )]),
        ),
        (
            "file",
            ask(vec![Turn::new(
                Role::User,
                vec![
                    Part::new(Content::File(Media {
                        name: Some("paper.pdf".into()),
                        ..Media::new(Source::Base64(PDF.into()), Some("application/pdf".into()))
                    })),
                    Part::text("Sum it up."),
                ],
            )]),
        ),
        (
            "audio",
            ask(vec![Turn::new(
                Role::User,
                vec![
                    Part::text("What is said?"),
                    Part::new(Content::Audio(Media::new(
                        Source::Base64("UklGRg==".into()),
                        Some("audio/wav".into()),
                    ))),
                ],
            )]),
        ),
        (
            "tools",
            Ask {
                tools: vec![weather(), clock()],
                tool_choice: Some(ToolChoice::Auto),
                ..ask(vec![user("Weather in Rome?")])
            },
        ),
        (
            "tool_forced",
            Ask {
                tools: vec![weather(), clock()],
                tool_choice: Some(ToolChoice::Tool("get_weather".into())),
                parallel_tools: Some(false),
                ..ask(vec![user("Weather in Rome?")])
            },
        ),
        (
            "tool_required",
            Ask {
                tools: vec![weather()],
                tool_choice: Some(ToolChoice::Required),
                ..ask(vec![user("Weather in Rome?")])
            },
        ),
        (
            "tool_results",
            Ask {
                tools: vec![weather(), clock()],
                ..ask(vec![
                    user("Weather and time in Rome?"),
                    Turn::new(
                        Role::Assistant,
                        vec![
                            Part::text("Let me look."),
                            Part::new(Content::Call(call("call_1", "get_weather", r#"{"city":"Rome"}"#))),
                            Part::new(Content::Call(call("call_2", "get_time", "{}"))),
                        ],
                    ),
                    Turn::new(
                        Role::User,
                        vec![
                            Part::new(Content::Outcome(outcome(
                                "call_1",
                                "get_weather",
                                r#"{"sky":"clear"}"#,
                                None,
                            ))),
                            Part::new(Content::Outcome(outcome(
                                "call_2",
                                "get_time",
                                "no clock here",
                                Some(true),
                            ))),
                        ],
                    ),
                    user("Well?"),
                ])
            },
        ),
        (
            "structured",
            Ask {
                format: Some(Format::Schema {
                    name: Some("person".into()),
                    description: None,
                    schema: PERSON.into(),
                    strict: Some(true),
                }),
                ..ask(vec![user("Invent somebody.")])
            },
        ),
        ("json", Ask { format: Some(Format::Json), ..ask(vec![user("Answer in JSON.")]) }),
        (
            "reasoning",
            Ask {
                max_tokens: Some(20_000),
                reasoning: Reasoning {
                    effort: Some(Effort::Medium),
                    summary: Some(Summary::Auto),
                    ..Reasoning::default()
                },
                ..ask(vec![user("Think.")])
            },
        ),
        (
            "reasoning_back",
            Ask {
                tools: vec![weather()],
                ..ask(vec![
                    user("Weather in Rome?"),
                    Turn::new(
                        Role::Assistant,
                        vec![
                            Part::new(Content::Thought(Thought {
                                text: "I should look it up.".into(),
                                signature: Some(Signature {
                                    family: Family::Anthropic,
                                    value: "c2lnbmVk".into(),
                                }),
                                ..Thought::default()
                            })),
                            Part::new(Content::Call(call("call_1", "get_weather", r#"{"city":"Rome"}"#))),
                        ],
                    ),
                    Turn::new(
                        Role::User,
                        vec![Part::new(Content::Outcome(outcome("call_1", "get_weather", "clear", None)))],
                    ),
                ])
            },
        ),
        (
            "cache",
            ask(vec![
                Turn::new(
                    Role::System,
                    vec![Part { cache: Some(CacheMark::Hour), ..Part::text("Be brief.") }],
                ),
                Turn::new(Role::User, vec![Part { cache: Some(CacheMark::Short), ..Part::text("Hello") }]),
            ]),
        ),
    ]
}

/// Answers by name.
pub fn replies() -> Vec<(&'static str, Reply<'static>)> {
    let usage = Usage { input: 12, output: 34, ..Usage::default() };
    let reply = |parts, stop| Reply {
        dialect: Dialect::Http,
        id: "abc123".into(),
        model: MODEL.into(),
        created: Some(1_700_000_000),
        choices: vec![Choice::new(parts, stop)],
        usage: Some(usage),
        tier: None,
        extras: super::Extras::default(),
    };
    vec![
        ("text", reply(vec![Part::text("Hello \"you\"\nthere")], Stop::End)),
        ("length", reply(vec![Part::text("Once upon a")], Stop::Length)),
        ("filtered", reply(vec![], Stop::Filter)),
        ("refusal", reply(vec![Part::new(Content::Refusal("I will not.".into()))], Stop::Refusal)),
        (
            "tools",
            reply(
                vec![
                    Part::text("Let me look."),
                    Part::new(Content::Call(call("call_1", "get_weather", r#"{"city":"Rome"}"#))),
                    Part::new(Content::Call(call("call_2", "get_time", "{}"))),
                ],
                Stop::Calls,
            ),
        ),
        (
            "reasoning",
            Reply {
                usage: Some(Usage { reasoning: 20, ..usage }),
                ..reply(
                    vec![
                        Part::new(Content::Thought(Thought {
                            text: "Hm.".into(),
                            signature: Some(Signature {
                                family: Family::Anthropic,
                                value: "c2lnbmVk".into(),
                            }),
                            ..Thought::default()
                        })),
                        Part::text("42"),
                    ],
                    Stop::End,
                )
            },
        ),
        (
            "cached",
            Reply {
                usage: Some(Usage {
                    input: 100,
                    cache_read: 60,
                    cache_write: 30,
                    output: 5,
                    ..Usage::default()
                }),
                ..reply(vec![Part::text("Hi")], Stop::End)
            },
        ),
    ]
}

/// Streams by name. They keep the rules of `event`.
pub fn streams() -> Vec<(&'static str, Vec<Event<'static>>)> {
    let start = || Event::Start { id: "abc123".into(), model: MODEL.into(), created: 1_700_000_000 };
    let open = |block, kind| Event::Open { choice: 0, block, kind };
    let text = |block, text: &'static str| Event::Delta { choice: 0, block, delta: Delta::Text(text.into()) };
    let arguments =
        |block, text: &'static str| Event::Delta { choice: 0, block, delta: Delta::Arguments(text.into()) };
    let close = |block| Event::Close { choice: 0, block };
    let finish = |stop| Event::Finish { choice: 0, stop };
    let usage = || Event::Usage(Usage { input: 12, output: 34, ..Usage::default() });
    let function = |id: &'static str, name: &'static str| Block::Call {
        id: id.into(),
        name: name.into(),
        kind: CallKind::Function,
    };
    let thought = || Block::Thought { is_summary: false, is_redacted: false, id: None };
    vec![
        (
            "text",
            vec![
                start(),
                open(0, Block::Text),
                text(0, "Hello"),
                text(0, " \"you\"\n"),
                text(0, "there"),
                close(0),
                finish(Stop::End),
                usage(),
                Event::End,
            ],
        ),
        (
            "length",
            vec![
                start(),
                open(0, Block::Text),
                text(0, "Once"),
                close(0),
                finish(Stop::Length),
                usage(),
                Event::End,
            ],
        ),
        (
            "tools",
            vec![
                start(),
                open(0, Block::Text),
                text(0, "Let me look."),
                close(0),
                open(1, function("call_1", "get_weather")),
                arguments(1, "{\"city\":"),
                arguments(1, "\"Rome\"}"),
                close(1),
                open(2, function("call_2", "get_time")),
                arguments(2, "{}"),
                close(2),
                finish(Stop::Calls),
                usage(),
                Event::End,
            ],
        ),
        (
            "reasoning",
            vec![
                start(),
                open(0, thought()),
                text(0, "Hm"),
                text(0, "."),
                Event::Delta {
                    choice: 0,
                    block: 0,
                    delta: Delta::Signature(Signature {
                        family: Family::Anthropic,
                        value: "c2lnbmVk".into(),
                    }),
                },
                close(0),
                open(1, Block::Text),
                text(1, "42"),
                close(1),
                finish(Stop::End),
                Event::Usage(Usage { input: 12, output: 34, reasoning: 20, ..Usage::default() }),
                Event::End,
            ],
        ),
        (
            "interleaved",
            vec![
                start(),
                open(0, function("call_1", "get_weather")),
                arguments(0, "{\"city\":"),
                open(1, function("call_2", "get_time")),
                arguments(1, "{"),
                arguments(0, "\"Rome\"}"),
                arguments(1, "}"),
                close(0),
                close(1),
                finish(Stop::Calls),
                usage(),
                Event::End,
            ],
        ),
    ]
}

fn call(id: &'static str, name: &'static str, arguments: &'static str) -> Call<'static> {
    Call {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
        kind: CallKind::Function,
        signature: None,
    }
}

fn outcome(
    call_id: &'static str,
    name: &'static str,
    text: &'static str,
    is_error: Option<bool>,
) -> Outcome<'static> {
    Outcome {
        call_id: call_id.into(),
        name: Some(name.into()),
        content: vec![Part::text(text)],
        is_error,
        kind: CallKind::Function,
    }
}
