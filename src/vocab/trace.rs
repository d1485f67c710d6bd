//! Where a request stands in a distributed trace, and how that is said in headers: W3C Trace Context
//! (<https://www.w3.org/TR/trace-context-2/>), `traceparent` of version 00 and what later versions begin with.
//!
//! Which traces are kept is told by their ids, as OpenTelemetry's samplers by ratio do it
//! (<https://opentelemetry.io/docs/specs/otel/trace/tracestate-probability-sampling/>): their last 56 bits are chance,
//! and everybody who looks at them decides alike.

use std::fmt;
use std::time::Duration;

/// Members of a `tracestate`.
const MOST_MEMBERS: usize = 32;
/// Of a `tracestate`, in bytes; 512 at least have to be passed on.
const LONGEST_STATE: usize = 8 * 1024;
/// What `traceparent` has in version 00.
const LENGTH: usize = 55;
/// The bits of an id that are chance for certain.
const CHANCE: u64 = (1 << 56) - 1;

/// What all spans of a trace have in common; never 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceId(pub u128);

impl TraceId {
    /// Of so many hundredths of a percent of all ids.
    pub const fn is_among(self, hundredths: u32) -> bool {
        let refused = (CHANCE as u128 + 1) * (10_000 - hundredths as u128) / 10_000;
        (self.0 as u64 & CHANCE) as u128 >= refused
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    pub id: TraceId,
    /// The span that asks; never 0.
    pub span: u64,
    /// Whether whoever asks keeps his part.
    pub sampled: bool,
}

impl Context {
    /// `None` where it is malformed: then there is no trace to go on with.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (version, later) = (hex(bytes.get(..2)?)?, bytes.len() > LENGTH);
        let is_sound = match version {
            0xff => false,
            0 => !later,
            // Whatever a later version adds stands behind another dash.
            _ => !later || bytes[LENGTH] == b'-',
        };
        let dashes = bytes.len() >= LENGTH && [2, 35, 52].iter().all(|at| bytes[*at] == b'-');
        if !is_sound || !dashes {
            return None;
        }
        let (id, span, flags) = (hex(&bytes[3..35])?, hex(&bytes[36..52])?, hex(&bytes[53..LENGTH])?);
        (id > 0 && span > 0).then_some(Self { id: TraceId(id), span: span as u64, sampled: flags & 1 == 1 })
    }
}

/// `00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01`.
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{:016x}-{:02x}", self.id, self.span, u8::from(self.sampled))
    }
}

/// Small letters only, as the header has to have them.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// Whether a `tracestate` (all of its fields, with commas between them) may be passed on.
pub fn is_state(text: &str) -> bool {
    let members = || text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|m| !m.is_empty());
    text.len() <= LONGEST_STATE && members().count() <= MOST_MEMBERS && members().all(is_member)
}

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let in_key =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'*' | b'/' | b'@');
    let key_is_sound = (1..=256).contains(&key.len())
        && key.bytes().all(in_key)
        && key.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    let in_value = |b: u8| (0x20..=0x7e).contains(&b) && b != b'=';
    key_is_sound && (1..=256).contains(&value.len()) && value.bytes().all(in_value)
}

/// Which requests' spans are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    Always,
    /// If something of it fails.
    Failed,
    Never,
}

/// A request's place in its trace. Spans are made of it after the fact, by whoever reads what became of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    pub id: TraceId,
    /// The caller's span, where he has one.
    pub parent: Option<u64>,
    /// The request's own.
    pub span: u64,
    /// Those of its attempts are made of it.
    pub seed: u64,
    pub keep: Keep,
    /// Whoever takes so long is kept, too.
    pub slow: Option<Duration>,
    /// Of HTTP, as OpenTelemetry has it.
    pub method: &'static str,
}

impl Trace {
    /// The span of its attempt of this place.
    pub const fn attempt(&self, place: u32) -> u64 {
        // SplitMix64's finish: distinct for distinct places.
        let mut z = self.seed.wrapping_add((place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        if z == 0 { 1 } else { z }
    }

    /// What the upstream of that attempt is told.
    pub const fn told(&self, place: u32) -> Context {
        let sampled = matches!(self.keep, Keep::Always);
        Context { id: self.id, span: self.attempt(place), sampled }
    }

    /// Whether its spans are sent, as far as can be said when its answer begins.
    pub const fn is_kept(&self, fails: bool) -> bool {
        match self.keep {
            Keep::Always => true,
            Keep::Failed => fails,
            Keep::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SOUND: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn trace(seed: u64) -> Trace {
        let id = TraceId(1);
        Trace { id, parent: None, span: 1, seed, keep: Keep::Never, slow: None, method: "POST" }
    }

    #[test]
    fn the_specifications_example_is_read() {
        let context = Context::parse(SOUND).expect("it is sound");
        assert_eq!(context.id.0, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c);
        assert_eq!((context.span, context.sampled), (0xb7ad_6b71_6920_3331, true));
        assert_eq!(context.to_string(), SOUND);
        // Flags that nobody knows, and versions to come.
        assert_eq!(Context::parse(&SOUND.replace("-01", "-fe")).map(|c| c.sampled), Some(false));
        assert_eq!(Context::parse(&SOUND.replacen("00", "cc", 1)), Some(context));
        assert_eq!(Context::parse(&format!("{}-what-comes", SOUND.replacen("00", "cc", 1))), Some(context));
    }

    #[test]
    fn what_is_malformed_is_no_context() {
        for text in [
            "",
            "00",
            &SOUND[..54],
            &format!("{SOUND}-"),
            &format!("{SOUND}0"),
            &format!("{}0", SOUND.replacen("00", "cc", 1)),
            &SOUND.replacen("00", "ff", 1),
            &SOUND.replacen("00", "0G", 1),
            &SOUND.replace('a', "A"),
            &SOUND.replace('-', "_"),
            &SOUND.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &SOUND.replace("b7ad6b7169203331", &"0".repeat(16)),
            &SOUND.replace("b7ad6b71", "b7ad-b71"),
            &SOUND.replace("-01", "-ä"),
        ] {
            assert_eq!(Context::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_state_is_passed_on_as_long_as_it_is_one() {
        let members = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        for sound in
            ["", "congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7, congo=a b", "a@b=1,,2c/*_-=~", &members(32)]
        {
            assert!(is_state(sound), "{sound}");
        }
        for not in
            ["a", "=1", "a=", "A=1", "a=b=c", "-a=1", "a=\u{7f}", "ä=1", &members(33), &"a".repeat(9000)]
        {
            assert!(!is_state(not), "{not}");
        }
    }

    #[test]
    fn none_and_all_are_none_and_all() {
        for id in [1, u128::MAX, 1 << 56, u128::from(CHANCE)] {
            assert!(!TraceId(id).is_among(0) && TraceId(id).is_among(10_000), "{id:x}");
        }
    }

    proptest! {
        #[test]
        fn what_is_said_is_what_is_read(id in 1_u128.., span in 1_u64.., sampled: bool) {
            let context = Context { id: TraceId(id), span, sampled };
            prop_assert_eq!(Context::parse(&context.to_string()), Some(context));
        }

        #[test]
        fn nothing_that_callers_say_is_misread(text in "[0-9a-f-]{50,60}|.{0,80}") {
            if let Some(context) = Context::parse(&text) {
                prop_assert_eq!(&text[3..52], &context.to_string()[3..52]);
            }
            is_state(&text);
        }

        #[test]
        fn who_is_among_few_is_among_more(id in 1_u128.., few in 0_u32..=10_000, more in 0_u32..=10_000) {
            let (few, more) = (few.min(more), few.max(more));
            prop_assert!(!TraceId(id).is_among(few) || TraceId(id).is_among(more));
        }

        #[test]
        fn attempts_have_spans_of_their_own(seed: u64, one in 0_u32..1000, other in 0_u32..1000) {
            let trace = trace(seed);
            prop_assert!(trace.attempt(one) != 0);
            prop_assert_eq!(trace.attempt(one) == trace.attempt(other), one == other);
        }
    }

    #[test]
    fn a_hundredth_is_about_a_hundredth() {
        // Steps of the golden ratio, which are spread evenly.
        let id = |number: u64| TraceId(number.wrapping_mul(0x9e37_79b9_7f4a_7c15).into());
        let among = (1..100_000).filter(|number| id(*number).is_among(100)).count();
        assert!((900..1100).contains(&among), "{among}");
    }
}
