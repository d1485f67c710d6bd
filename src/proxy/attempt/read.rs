//! From a response's head to something that may go to the caller, or to a failure.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode, response};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};

use super::spoken::{self, Spoken};
use super::unnamed;
use crate::algo::tick::Tick;
use crate::config::Delivery;
use crate::dialect::billed::Wish;
use crate::dialect::classify::{self, Finding};
use crate::dialect::continuation::Asking;
use crate::dialect::framing::Framing;
use crate::dialect::hub::{Family, Renamed, Stops};
use crate::dialect::meter::{self, ReplyFacts};
use crate::dialect::provider::StreamUsage;
use crate::dialect::scan::{IncludeUsage, Thinks};
use crate::dialect::task::{self, Tokens, Unanswered};
use crate::dialect::{Dialect, encrypted, translate, tree, trouble};
use crate::proxy::intake::{Guest, Load};
use crate::proxy::memory;
use crate::proxy::onward;
use crate::proxy::peek::{self, Hold, NotJoined, Peeked, Times, Unjoined};
use crate::proxy::tail::Tail;
use crate::proxy::{Gateway, Snapshot, beside, left, thoughts};
use crate::route::{Failure, Withheld};
use crate::state::holding::Holding;
use crate::state::model::Shape;
use crate::state::{Channel, Permit};
use crate::telemetry::HeldBack;
use crate::upstream::Incoming;
use crate::vocab::{Fault, RateHint, Stage, Usage};

/// Most of an error's body that is read to understand it (RESILIENCE §4.2).
const ERROR_PREFIX: usize = 16 * 1024;
/// An upstream that answers with an error is not waited for much longer.
const ERROR_PATIENCE: Duration = Duration::from_secs(5);

/// What was read of a good answer before the commit.
pub(super) enum Content {
    /// All of it.
    Whole { body: Bytes, usage: Option<Usage>, tokens: Tokens },
    /// A stream that has shown its first content.
    Stream { peeked: Box<Peeked>, upstream: Incoming },
    /// Bytes that we do not look into, `begin` first.
    Opaque { begin: Option<Bytes>, upstream: Incoming, tail: Option<Tail> },
    /// The connection changes hands.
    Tunnel { upstream: Incoming },
}

/// A failed attempt, with what it left to tell the caller.
pub struct Failed {
    pub failure: Failure,
    /// The upstream's own words.
    pub message: Option<String>,
    /// For logs: what our side of the connection saw.
    pub detail: Option<String>,
    /// The upstream's answer, should it have to be passed on.
    pub spare: Option<Box<Spare>>,
    /// The request's field that is wrong, where that is the fault.
    pub param: Option<String>,
    /// The tokens of an answer that broke before any of it went on.
    pub usage: Option<Usage>,
    /// It was here as a whole, so that these are all.
    pub is_whole: bool,
    /// How many content events of it had come.
    pub events: u64,
    /// When the first of them did.
    pub flowed: Option<Tick>,
}

impl Failed {
    pub fn new(failure: Failure) -> Self {
        Self {
            failure,
            message: None,
            detail: None,
            spare: None,
            param: None,
            usage: None,
            is_whole: false,
            events: 0,
            flowed: None,
        }
    }
}

/// An error answer of which the begin was read.
pub struct Spare {
    pub(super) head: response::Parts,
    pub(super) begin: Bytes,
    pub(super) rest: Incoming,
    pub(super) channel: Arc<Channel>,
    pub(super) idle: Duration,
}

impl Spare {
    pub fn status(&self) -> StatusCode {
        self.head.status
    }
}

/// An answer that is being read, and what it answers.
pub struct Reading<'a> {
    pub gateway: &'a Gateway,
    pub snapshot: &'a Snapshot,
    pub guest: &'a Guest,
    pub permit: &'a Permit,
    pub spoken: &'a Spoken,
    /// When the first content, or the whole of what has to be whole, is to be here.
    pub first: Tick,
    /// What is held back of a stream behind it.
    pub withheld: Option<Withheld>,
}

/// Something that may go to the caller, or a failure.
type Read = Result<(response::Parts, Content), Box<Failed>>;

impl Reading<'_> {
    pub async fn read(&self, mut head: response::Parts, mut upstream: Incoming) -> Read {
        let Self { gateway, guest, permit, spoken, .. } = *self;
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            return if guest.upgrade.is_some() {
                Ok((head, Content::Tunnel { upstream }))
            } else {
                Err(failed(Fault::Protocol, "switched protocols unasked"))
            };
        }
        if is_error(spoken.dialect, head.status) {
            return Err(read_error(gateway, permit, spoken, head, upstream).await);
        }
        if let Some(errand) = &guest.errand {
            return Box::pin(self.left_there(errand, head, upstream)).await;
        }
        if guest.dialect == Dialect::Http {
            return Ok((head, Content::Opaque { begin: None, upstream, tail: None }));
        }
        permit.heard(&classify::hints(&head.headers, gateway.live.clock.unix_now()));
        legible(&head.headers)?;
        match self.framing(&mut head, &mut upstream).await? {
            framing @ (Framing::Sse | Framing::JsonArray | Framing::Lines | Framing::EventStream) => {
                self.stream(head, upstream, framing).await
            }
            Framing::Opaque => self.in_one_piece(head, upstream).await,
        }
    }

    /// What divides it: by its content type, and by its first bytes where a stream was asked for and it says none.
    async fn framing(
        &self,
        head: &mut response::Parts,
        upstream: &mut Incoming,
    ) -> Result<Framing, Box<Failed>> {
        let Self { guest, spoken, .. } = *self;
        let said = Framing::of(spoken.dialect, spoken.operation, content_type(head));
        let asked = guest.shape == Shape::Stream && translate::generates(spoken.operation);
        if is_named(said) || !asked {
            return Ok(said);
        }
        Box::pin(unnamed::framing(said, head, upstream, self.until())).await
    }

    /// Waits for a stream's first content.
    async fn stream(&self, mut head: response::Parts, upstream: Incoming, framing: Framing) -> Read {
        let Self { gateway, snapshot, guest, permit, spoken, first, withheld } = *self;
        if guest.shape == Shape::Whole && translate::generates(spoken.operation) {
            return Err(failed(Fault::Protocol, "a stream to a request for a whole answer"));
        }
        let limits = &snapshot.table.server.limits;
        let (mut translation, mut follower) = (None, None);
        if let Some(manner) = &spoken.manner {
            head = translated_head(&head, translate::stream_type(guest.dialect, manner.framing));
            translation = translate::Stream::new(spoken.dialect, guest.dialect, (**manner).clone());
        }
        let route = &snapshot.table.routes[guest.route].config;
        if let Some(scan) = onward::wanted(guest, route) {
            translation = translation.map(translate::Stream::continuable);
            if spoken.is_native() {
                let now = gateway.live.clock.unix_now().as_secs();
                let manner = spoken::manner_at_home(guest, scan, gateway.live.nonce(), now);
                follower = translate::Stream::following(guest.dialect, manner);
            }
        }
        let most = limits.stream_buffer;
        let hold = match (route.delivery, withheld) {
            (Delivery::Buffered, _) => Hold::Whole(most),
            (Delivery::Streamed, Some(withheld)) => Hold::Past { withheld, most },
            (Delivery::Streamed, None) => Hold::Begin,
        };
        let listener = peek::Listener {
            spoken,
            framing,
            strip_usage: spoken.is_native() && asked_for_usage(guest, permit),
            translation: translation.map(Box::new),
            follower: follower.map(Box::new),
            holding: memory::answers(gateway, snapshot),
            live: &gateway.live,
            permit,
            times: Times::new(first, &permit.channel().config.timeouts, guest.thinks, guest.deadline),
            wish: guest.wish(),
        };
        let peeked = peek::peek(listener, upstream, limits, hold).await;
        if let Hold::Past { .. } = hold {
            let became = match &peeked {
                Ok(_) => Some(HeldBack::LetGo),
                Err(failed) => failed.flowed.map(|_| HeldBack::Broke),
            };
            let count = |became| permit.channel().handles.held_back(&gateway.live.metrics, became);
            became.into_iter().for_each(count);
        }
        let (peeked, upstream) = peeked?;
        Ok((head, Content::Stream { peeked: Box::new(peeked), upstream }))
    }

    /// What is too long to be held passes unread, but for what has to be translated: that has to be here as a whole.
    async fn in_one_piece(&self, head: response::Parts, upstream: Incoming) -> Read {
        let Self { gateway, snapshot, spoken, .. } = *self;
        let limits = &snapshot.table.server.limits;
        let (most, holding) = if spoken.is_native() {
            (limits.unary_buffer, memory::answers(gateway, snapshot))
        } else {
            (limits.max_body, memory::needed(&gateway.live.holdings))
        };
        let (begin, upstream) = hold(upstream, most, self.until(), holding).await?;
        match upstream {
            None => beside::work(begin.len(), || self.whole(head, begin)),
            Some(_) if translate::generates(spoken.operation) && !may_be_object(&begin) => {
                Err(failed(Fault::Protocol, NO_OBJECT))
            }
            Some(upstream) if spoken.is_native() => {
                let tail = is_json(&head).then(|| Tail::new(spoken.dialect, &begin));
                Ok((head, Content::Opaque { begin: Some(begin), upstream, tail }))
            }
            Some(_) => Err(failed(Fault::Protocol, "the answer is too large to be translated")),
        }
    }

    fn whole(&self, head: response::Parts, said: Bytes) -> Read {
        let Self { gateway, guest, permit, spoken, .. } = *self;
        if spoken.dialect == Dialect::Responses {
            let encrypted = encrypted::of_answer(&said);
            thoughts::learn(gateway, guest.caller.scope(), permit, &encrypted);
        }
        let json = is_json(&head);
        let readable = json || (translate::generates(spoken.operation) && may_be_object(&said));
        let facts = if readable {
            meter::reply(spoken.dialect, spoken.operation, &said)
        } else {
            ReplyFacts::default()
        };
        if let Some(in_band) = facts.in_band {
            let failure = Failure { fault: in_band.fault, stage: Stage::Headers, hint: in_band.hint() };
            let message = Some(in_band.message);
            return Err(Box::new(Failed {
                message,
                usage: facts.usage,
                is_whole: true,
                ..Failed::new(failure)
            }));
        }
        if json && !facts.whole {
            return Err(failed(Fault::Truncated, "the answer is cut short"));
        }
        // A page of whatever stands between, say, with the status of a success.
        let is_empty = !may_be_object(&said) || said.trim_ascii() == b"{}";
        if is_empty && translate::generates(spoken.operation) {
            return Err(failed(Fault::Protocol, NO_OBJECT));
        }
        // Who reads events finds none in it, and takes that for an empty answer.
        if json && guest.shape == Shape::Stream && translate::generates(spoken.operation) {
            return Err(failed(Fault::Protocol, "a whole answer to a request for a stream"));
        }
        let whole = |body, usage, tokens| Content::Whole { body, usage, tokens };
        let Some(manner) = &spoken.manner else {
            return Ok((head, whole(said, facts.usage, Tokens::Told)));
        };
        let holding = memory::needed(&gateway.live.holdings);
        if let Some(errand) = &spoken.errand {
            let answered =
                task::reply(spoken.dialect, guest.dialect, &said, manner, errand).map_err(unanswered)?;
            let head = translated_head(&head, answered.content_type);
            let (body, usage) = (holding.keep(answered.body.into()), facts.usage.or(answered.usage));
            return Ok((head, whole(body, usage, answered.tokens)));
        }
        let body = translate::reply(spoken.dialect, guest.dialect, &said, manner)
            .map_err(|why| Box::new(Failed { usage: facts.usage, ..*peek::untold(&why) }))?;
        let head = translated_head(&head, "application/json");
        Ok((head, whole(holding.keep(body), facts.usage, Tokens::Told)))
    }

    /// An answer about what was left there.
    async fn left_there(&self, errand: &left::Errand, mut head: response::Parts, upstream: Incoming) -> Read {
        let Self { gateway, snapshot, guest, permit, .. } = *self;
        permit.heard(&classify::hints(&head.headers, gateway.live.clock.unix_now()));
        left::forget(guest, errand);
        if left::passes(guest, errand) {
            return Ok((head, Content::Opaque { begin: None, upstream, tail: None }));
        }
        legible(&head.headers)?;
        let (most, holding) = (snapshot.table.server.limits.max_body, memory::needed(&gateway.live.holdings));
        let (said, None) = hold(upstream, most, self.until(), holding).await? else {
            return Err(failed(Fault::Protocol, "more is said of what was left there than can be read"));
        };
        if tree::parse(&said).is_err() {
            return Err(failed(Fault::Truncated, "the answer is cut short"));
        }
        let length = said.len();
        let body = left::learn(guest, errand, permit, said);
        if body.len() != length {
            head.headers.remove(CONTENT_LENGTH);
        }
        Ok((head, Content::Whole { body, usage: None, tokens: Tokens::Told }))
    }

    fn until(&self) -> Instant {
        self.gateway.live.clock.instant(self.first)
    }
}

/// Whether the content type alone says what it is.
const fn is_named(framing: Framing) -> bool {
    matches!(framing, Framing::Sse | Framing::EventStream)
}

const NO_OBJECT: &str = "the answer is no JSON object with anything in it";

fn may_be_object(begin: &[u8]) -> bool {
    begin.trim_ascii_start().starts_with(b"{")
}

fn content_type(head: &response::Parts) -> Option<&str> {
    head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok())
}

fn is_json(head: &response::Parts) -> bool {
    content_type(head).is_some_and(|kind| kind.contains("json"))
}

/// A stream that broke off, and how a channel is asked to go on with it.
pub(super) struct Leg<'a> {
    pub asking: &'a Asking,
    pub stream: Box<translate::Stream>,
    /// What was used for it so far.
    pub before: Usage,
    /// When the first content is to be here.
    pub first: Tick,
    pub deadline: Tick,
}

/// From the head of an answer to a request to go on, to a stream that does. The stream that broke off is given
/// back where it does not.
pub(super) async fn join(
    gateway: &Gateway,
    permit: &Permit,
    spoken: &Spoken,
    mut head: response::Parts,
    mut upstream: Incoming,
    leg: Leg<'_>,
) -> Result<(Peeked, Incoming), Unjoined> {
    let Leg { asking, mut stream, before, first, deadline } = leg;
    let not = |failed, stream| Unjoined { why: NotJoined::Failed(failed), stream, used: None };
    if is_error(spoken.dialect, head.status) {
        return Err(not(read_error(gateway, permit, spoken, head, upstream).await, stream));
    }
    permit.heard(&classify::hints(&head.headers, gateway.live.clock.unix_now()));
    if let Err(failed) = legible(&head.headers) {
        return Err(not(failed, stream));
    }
    let mut framing = Framing::of(spoken.dialect, spoken.operation, content_type(&head));
    if !is_named(framing) {
        let until = gateway.live.clock.instant(first.min(deadline));
        let seen = Box::pin(unnamed::framing(framing, &mut head, &mut upstream, until)).await;
        framing = match seen {
            Ok(framing) => framing,
            Err(failed) => return Err(not(failed, stream)),
        };
    }
    let Some(put) = spoken.put.filter(|_| framing != Framing::Opaque) else {
        return Err(not(failed(Fault::Protocol, "a whole answer to a request for a stream"), stream));
    };
    let (family, renamed, stops) = match &spoken.manner {
        Some(manner) => (manner.family, manner.renamed.clone(), &manner.stops),
        None => (Family::Other, Renamed::default(), &Stops::default()),
    };
    if !stream.go_on((spoken.dialect, family), (renamed, stops), asking.splice(put), before) {
        return Err(not(failed(Fault::Protocol, "no stream that could go on"), stream));
    }
    let listener = peek::Listener {
        spoken,
        framing,
        strip_usage: false,
        translation: Some(stream),
        follower: None,
        holding: memory::needed(&gateway.live.holdings),
        live: &gateway.live,
        permit,
        times: Times::new(first, &permit.channel().config.timeouts, Thinks::Unsaid, deadline),
        // A leg makes text, and says itself how it was hurried.
        wish: Wish::default(),
    };
    peek::join(listener, upstream, asking.most_bytes()).await
}

/// Plain HTTP keeps its 4xx to itself: they are between the caller and the service.
fn is_error(dialect: Dialect, status: StatusCode) -> bool {
    match dialect {
        Dialect::Http => status.is_server_error(),
        Dialect::OpenAi
        | Dialect::Responses
        | Dialect::Anthropic
        | Dialect::Gemini
        | Dialect::Cohere
        | Dialect::Bedrock
        | Dialect::Ollama => !status.is_success(),
    }
}

/// Nobody asked for an encoding (`upstream::headers`), and what is encoded cannot be read: not its errors, not its
/// usage, nor whether it ends.
fn legible(fields: &HeaderMap) -> Result<(), Box<Failed>> {
    let plain = |coding: &[u8]| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity");
    let mut codings =
        fields.get_all(CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
    if codings.all(|coding| plain(coding.trim_ascii())) {
        Ok(())
    } else {
        Err(failed(Fault::Protocol, "the answer has a content-encoding, which nobody asked for"))
    }
}

/// The head of an answer that is said anew: what the upstream's fields say is about its own words.
fn translated_head(theirs: &response::Parts, content_type: &'static str) -> response::Parts {
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = theirs.status;
    head.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    head
}

async fn read_error(
    gateway: &Gateway,
    permit: &Permit,
    spoken: &Spoken,
    head: response::Parts,
    mut upstream: Incoming,
) -> Box<Failed> {
    let mut begin = BytesMut::new();
    let reading = async {
        while begin.len() < ERROR_PREFIX {
            match upstream.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        begin.extend_from_slice(data);
                    }
                }
                Some(Err(_)) | None => break,
            }
        }
    };
    // Whatever has come until then has to do.
    let _ = timeout(ERROR_PATIENCE, reading).await;
    let begin = begin.freeze();
    let provider = permit.channel().upstream.config.provider;
    let prefix = &begin[..begin.len().min(ERROR_PREFIX)];
    let now = gateway.live.clock.unix_now();
    let Finding { fault, hint, message, .. } =
        classify::classify(provider, spoken.dialect, head.status, &head.headers, prefix, now);
    let detail = Some(format!("status {}", head.status.as_u16()));
    let channel = Arc::clone(permit.channel());
    let idle = permit.channel().config.timeouts.idle;
    // In another dialect its words are of no use to the caller; ours say the same.
    let is_known = spoken.is_native() && !trouble::is_strange(spoken.dialect, prefix);
    let spare = is_known.then(|| Box::new(Spare { head, begin, rest: upstream, channel, idle }));
    let failure = Failure { fault, stage: Stage::Headers, hint };
    Box::new(Failed { message, detail, spare, ..Failed::new(failure) })
}

/// Reads up to `most` bytes of an answer in one piece, fewer where memory is scarce. The body comes back when there
/// is more.
pub(super) async fn hold(
    mut upstream: Incoming,
    most: u64,
    until: Instant,
    mut holding: Holding,
) -> Result<(Bytes, Option<Incoming>), Box<Failed>> {
    let mut first = Bytes::new();
    let mut joined: Option<BytesMut> = None;
    loop {
        let frame = match timeout_at(until, upstream.frame()).await {
            Err(_) => return Err(failed(Fault::FirstEventTimeout, "the answer did not come to its end")),
            Ok(None) => break,
            Ok(Some(Err(error))) => {
                let fault = if error.fault == Fault::StreamCut { Fault::Truncated } else { error.fault };
                return Err(failed(fault, "the answer is cut short"));
            }
            Ok(Some(Ok(frame))) => frame,
        };
        let Ok(data) = frame.into_data() else { continue };
        match &mut joined {
            Some(joined) => joined.extend_from_slice(&data),
            None if first.is_empty() => first = data,
            None => {
                let mut both = BytesMut::with_capacity(first.len() + data.len());
                both.extend_from_slice(&first);
                both.extend_from_slice(&data);
                joined = Some(both);
            }
        }
        let length = joined.as_ref().map_or(first.len(), BytesMut::len);
        if length as u64 > most || holding.try_hold(length as u64).is_err() {
            return Ok((holding.keep(joined.map_or(first, BytesMut::freeze)), Some(upstream)));
        }
    }
    Ok((holding.keep(joined.map_or(first, BytesMut::freeze)), None))
}

/// The upstream answered, and yet not what it was asked.
fn unanswered(why: Unanswered) -> Box<Failed> {
    match why {
        Unanswered::Wrong(wrong) => failed(Fault::Protocol, &format!("the answer cannot be read: {wrong}")),
        Unanswered::Declined(message) => {
            let fault = Fault::ContentPolicy;
            let failure = Failure { fault, stage: Stage::Headers, hint: RateHint::default() };
            Box::new(Failed { message: Some(message), ..Failed::new(failure) })
        }
    }
}

pub fn failed(fault: Fault, detail: &str) -> Box<Failed> {
    let failure = Failure { fault, stage: Stage::Headers, hint: RateHint::default() };
    Box::new(Failed { detail: Some(detail.to_owned()), ..Failed::new(failure) })
}

/// Usage was asked for on our account, so the chunk that carries it is not the caller's.
fn asked_for_usage(guest: &Guest, permit: &Permit) -> bool {
    let Load::Ask { scan, .. } = &guest.load else { return false };
    permit.channel().upstream.config.stream_usage == StreamUsage::Ask
        && scan.stream
        && matches!(scan.include_usage, IncludeUsage::No(_))
}
