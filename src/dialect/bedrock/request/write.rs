//! The request that asks for the same.
//!
//! What came in this dialect goes out again as it was. What came in another one is said as Converse
//! wants it: roles take turns, results stand first and in the order of their calls, nothing is blank.

mod documents;
mod fields;
mod ids;
mod marks;
mod parts;
mod thinking;
mod tools;
mod turns;

use super::{ADDITIONAL, INFERENCE, OUTPUT, TOOLS};
use crate::dialect::Dialect;
use crate::dialect::anthropic::{self, stand_in};
use crate::dialect::bedrock::maker::Maker;
use crate::dialect::hub::{Ask, Effort, Format, Losses, Terms, Text};
use crate::dialect::write;
use crate::vocab::Ability;
use thinking::Thinking;
use tools::Tools;

/// A request that is being written, and what its writers have to know.
#[derive(Clone, Copy)]
struct Draft<'d, 'a> {
    ask: &'d Ask<'a>,
    terms: &'d Terms<'d>,
    maker: Maker,
    origin: Origin,
}

/// Whose words a request is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    Own,
    Foreign,
}

/// The request that asks for the same.
pub fn write(ask: &Ask<'_>, terms: &Terms<'_>, losses: &mut Losses, out: &mut Vec<u8>) {
    let origin = if ask.dialect == Dialect::Bedrock { Origin::Own } else { Origin::Foreign };
    let draft = Draft { ask, terms, maker: Maker::of(terms), origin };
    if origin == Origin::Foreign {
        losses.drop_all_extras(ask);
        fields::drop_unsayable(ask, losses);
    }
    let mut layout = turns::lay_out(&draft, losses);
    let mut tools = Tools::of(&draft, &layout, losses);
    let whole = marks::choose(&draft, &mut tools, &mut layout, losses);
    let thinking = Thinking::of(&draft, &layout, losses);
    write::object(out, |body| {
        turns::write(&draft, &layout, whole, losses, body);
        let sampling = fields::Sampling::of(&draft, &thinking, losses);
        let inference =
            write::text(|out| write::object(out, |o| fields::inference(&draft, &sampling, losses, o)));
        if inference != "{}" {
            body.raw(INFERENCE, &inference);
        }
        tools.write(&draft, losses, body);
        let output = write::text(|out| write::object(out, |o| fields::output(&draft, &thinking, losses, o)));
        if output != "{}" {
            body.raw(OUTPUT, &output);
        }
        let additional = write::text(|out| {
            write::object(out, |o| {
                thinking.write(&draft, o);
                fields::top_k(&draft, &sampling, losses, o);
                tools.write_choice(o);
                write_betas(&draft, o);
                draft.extras_of(ADDITIONAL, o);
            });
        });
        if additional != "{}" {
            body.raw(ADDITIONAL, &additional);
        }
        fields::service_tier(&draft, losses, body);
        draft.own_extras(body);
    });
}

/// Whether a model is held to this form of another dialect's: Converse has schemas, and nothing for any JSON.
pub fn holds_to(format: &Format<'_>, terms: &Terms<'_>) -> bool {
    let Format::Schema { schema, .. } = format else { return false };
    let imposed = || anthropic::request::imposed(schema, "response_format", &mut Losses::default());
    !terms.facts.lacks(Ability::StructuredOutput) && (!Maker::of(terms).is_claude() || imposed().is_some())
}

/// The flags of a caller of Anthropic's, of which only those are left that the model takes (see `flags`).
fn write_betas(draft: &Draft<'_, '_>, fields: &mut write::Object<'_>) {
    if !draft.ask.betas.is_empty() {
        fields.array("anthropic_beta", |flags| {
            for flag in &draft.ask.betas {
                flags.str(flag);
            }
        });
    }
}

/// What a custom tool is called where it is a function with one text (see `stand_in`).
fn custom(name: &str) -> String {
    [stand_in::CUSTOM, name].concat()
}

impl Draft<'_, '_> {
    /// Writes what was kept of the object with this name.
    fn extras_of(&self, path: &str, object: &mut write::Object<'_>) {
        if self.origin == Origin::Foreign {
            return;
        }
        for (key, raw) in self.ask.extras.all() {
            if let Some(key) = key.strip_prefix(path).and_then(|rest| rest.strip_prefix('.')) {
                object.raw(key, raw);
            }
        }
    }

    /// Writes what was kept of the request itself.
    fn own_extras(&self, body: &mut write::Object<'_>) {
        if self.origin == Origin::Foreign {
            return;
        }
        let nested = |key: &str| {
            [ADDITIONAL, INFERENCE, OUTPUT, TOOLS]
                .iter()
                .any(|path| key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
        };
        for (key, raw) in self.ask.extras.all().filter(|(key, _)| !nested(key)) {
            body.raw(key, raw);
        }
    }

    /// The schema as an answer or a strict tool is held to it, which Claude wants as Anthropic does (see its
    /// `schema`); `None` where he cannot be.
    fn imposed<'s>(&self, schema: &'s str, place: &str, losses: &mut Losses) -> Option<Text<'s>> {
        if self.origin == Origin::Own || !self.maker.is_claude() {
            return Some(Text::Borrowed(schema));
        }
        anthropic::request::imposed(schema, place, losses).map(Text::Owned)
    }

    /// How much thinking was asked for; what is not to be is `None`.
    fn effort(&self) -> Option<Effort> {
        self.ask.reasoning.as_effort().filter(|effort| *effort != Effort::None)
    }
}
