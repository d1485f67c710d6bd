//! Holds a request against the budgets of its caller and of the route that serves it, and against what one request may
//! cost; says why where it is refused, and where it goes instead. Who is answered from what is kept is not held against
//! anything.
//!
//! What it can cost at most is reserved before it goes anywhere (`route::price`); what it did cost is booked by
//! `access::budgets` once the last of its attempts has ended. A budget counts what the ledger books under the same
//! name, so a route's is held against requests that it serves, whatever route they asked for. Files, batches, counts of
//! tokens and plain HTTP have no cost here.

use std::sync::{Arc, LazyLock};

use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memmem::{self, Finder};

use super::again::Look;
use super::intake::{Guest, Load};
use super::refuse::{DEFAULT_RETRY_AFTER, Refusal, in_short};
use super::{Gateway, Snapshot, metering};
use crate::access::budgets::{Broke, Refused, Reserved, Why};
use crate::algo::spend;
use crate::config::{Byok, Lineage, Unpriced};
use crate::dialect::scan::Scan;
use crate::dialect::translate;
use crate::dialect::trouble::Kind;
use crate::route::price::{self, Extent, MAX_COST, MostCost, Range, Written};
use crate::route::{Bond, Hold};
use crate::shared::Waited;
use crate::state::books::Metering;
use crate::telemetry::catalogue;
use crate::vocab::Money;

/// The route that served a request because a budget was spent.
const DOWNGRADED: HeaderName = HeaderName::from_static("x-mainstay-downgraded");

/// A request while it is looked at.
struct Asking<'a> {
    gateway: &'a Arc<Gateway>,
    snapshot: &'a Snapshot,
    guest: &'a Guest,
    lineage: Option<&'a Lineage>,
    scan: &'a Scan,
    body: &'a [u8],
    /// What the caller says that it may cost.
    most: Option<Money>,
}

/// Why it is refused.
enum Short {
    Budget {
        refused: Box<Refused>,
        /// What the request can cost at most.
        most: Option<Money>,
    },
    /// It could cost more than somebody allows at every channel.
    TooDear { most: Money, cheapest: Money },
    /// Nobody has looked at the prices of all models that may answer it.
    Unclear,
}

/// Why a route does not serve it.
enum Stop {
    Short(Short),
    /// Another one would.
    Elsewhere(Arc<str>, Short),
}

/// What serves it.
enum Served {
    Here(Option<Reserved>, Option<MostCost>),
    /// Another route, what that has for it, and what is reserved.
    Cheaper {
        to: Arc<str>,
        route: usize,
        look: Look,
        reserved: Option<Reserved>,
        most_cost: Option<MostCost>,
    },
}

/// Reserves what `guest` may cost. Whoever would be served more cheaply goes to that route (the look at what it keeps
/// comes along, and an answer that is kept there costs nothing); where he cannot go there he is refused, and nobody is
/// sent on twice.
///
/// # Errors
/// He is refused.
pub async fn charge(
    gateway: &Arc<Gateway>,
    snapshot: &Snapshot,
    mut guest: Box<Guest>,
) -> Result<(Box<Guest>, Option<Look>), Box<Refusal>> {
    let mut waited = guest.settle.asked_redis;
    let Load::Ask { body, scan } = &guest.load else { return Ok((guest, None)) };
    match metering::of(guest.operation, scan.prompt_tokens) {
        Metering::Free => return Ok((guest, None)),
        Metering::Tokens(_) | Metering::Told => {}
    }
    let asking = Asking {
        gateway,
        snapshot,
        guest: &guest,
        lineage: guest.caller.lineage(),
        scan,
        body,
        // What nobody can read was refused when it came in.
        most: most_asked(&guest.head.headers).unwrap_or_default(),
    };
    let served = asking.served(&mut waited).await;
    guest.settle.asked_redis = waited;
    let (reserved, most_cost, look) = match served {
        Ok(Served::Here(reserved, most_cost)) => (reserved, most_cost, None),
        Ok(Served::Cheaper { to, route, look, reserved, most_cost }) => {
            guest.go_to(gateway, snapshot, route);
            // It is no arm's answer.
            guest.settle.taken = None;
            guest.settle.downgraded = Some(to);
            (reserved, most_cost, Some(look))
        }
        Err(short) => return Err(short.refuse(guest)),
    };
    guest.most_cost = most_cost;
    let Guest { route, dialect, operation, load, settle, .. } = &mut *guest;
    if let Some(reserved) = reserved {
        settle.pays(reserved);
    }
    if let Load::Ask { body, scan } = load {
        let asks = (*dialect, *operation, &*scan.model);
        settle.remember(|| gateway.reckoner.remember(&snapshot.table.routes[*route], asks, body));
    }
    Ok((guest, look))
}

/// What a caller says that his request may cost.
///
/// # Errors
/// Why it means nothing.
pub fn most_asked(headers: &HeaderMap) -> Result<Option<Money>, String> {
    let Some(said) = headers.get(MAX_COST) else { return Ok(None) };
    let text = said.to_str().unwrap_or_default().trim();
    Money::parse(text).map(Some).ok_or_else(|| {
        format!(
            "`{MAX_COST}: {}` is not an amount of US dollars; write it as 0.05, with up to nine decimals",
            in_short(text)
        )
    })
}

impl Asking<'_> {
    async fn served(&self, waited: &mut Waited) -> Result<Served, Short> {
        let index = self.guest.route;
        self.has_one_price(index)?;
        let (to, short) = match self.at(index, waited).await {
            Ok((reserved, most_cost)) => return Ok(Served::Here(reserved, most_cost)),
            Err(Stop::Short(short)) => return Err(short),
            Err(Stop::Elsewhere(to, short)) => (to, short),
        };
        let table = &self.snapshot.table;
        let Some(route) = table.route_of_model(&to).filter(|cheaper| self.may_go(*cheaper)) else {
            return Err(short);
        };
        let look = Look::at(self.gateway, self.snapshot, self.guest, route);
        let (reserved, most_cost) = match look.kept {
            Some(_) => (None, None),
            None => match self.at(route, waited).await {
                Ok(served) => served,
                Err(Stop::Short(short) | Stop::Elsewhere(_, short)) => return Err(short),
            },
        };
        let labels = [&*table.routes[index].config.name, &*to];
        self.gateway.live.metrics.counter(&catalogue::BUDGET_DOWNGRADES, &labels).increment(1);
        Ok(Served::Cheaper { to, route, look, reserved, most_cost })
    }

    /// What an upstream may serve in the model's place has a price that nobody has looked at: where somebody has to
    /// know beforehand what a request costs, it names one model.
    fn has_one_price(&self, index: usize) -> Result<(), Short> {
        if self.scan.others.is_empty() {
            return Ok(());
        }
        let route = &self.snapshot.table.routes[index].config;
        let has_budget = !self.gateway.budgets.subjects(&self.guest.caller, route).is_empty();
        if !has_budget && price::bound(self.lineage, route, self.most).is_none() {
            return Ok(());
        }
        Err(Short::Unclear)
    }

    async fn at(
        &self,
        index: usize,
        waited: &mut Waited,
    ) -> Result<(Option<Reserved>, Option<MostCost>), Stop> {
        let (table, budgets) = (&self.snapshot.table, &self.gateway.budgets);
        let route = &table.routes[index].config;
        let subjects = budgets.subjects(&self.guest.caller, route);
        let bound = price::bound(self.lineage, route, self.most);
        if subjects.is_empty() && bound.is_none() {
            return Ok((None, None));
        }
        let unknown = budgets.unpriced(&subjects);
        let extent = self.extent(unknown);
        let range = extent.range(table, index, &self.scan.model, self.lineage);
        if let (Some(most), Range { cheapest: Some(cheapest), unpriced: 0, .. }) = (bound, range)
            && cheapest > most
        {
            return Err(Stop::Short(Short::TooDear { most, cheapest }));
        }
        let most_cost = (bound.is_some() || unknown == Unpriced::Refuse).then_some(MostCost {
            most: bound.unwrap_or(Money::MAX),
            unknown,
            wish: extent.wish,
            written: extent.written,
        });
        if subjects.is_empty() {
            return Ok((None, most_cost));
        }
        let most = match range {
            // Where there is nobody to ask, nothing will be spent.
            Range { dearest: None, unpriced: 0, .. } => Some(Money::ZERO),
            Range { dearest, .. } => dearest.map(|dearest| bound.map_or(dearest, |bound| dearest.min(bound))),
        };
        match budgets.reserve(subjects, most, &route.name, waited).await {
            Ok(reserved) => Ok((Some(reserved), most_cost)),
            Err(Broke::Refused(refused)) => Err(Stop::Short(Short::Budget { refused, most })),
            Err(Broke::Downgraded(to, refused)) => Err(Stop::Elsewhere(to, Short::Budget { refused, most })),
        }
    }

    fn extent(&self, unpriced: Unpriced) -> Extent {
        let operation = self.guest.operation;
        let makes_text = translate::generates(operation);
        Extent {
            operation,
            prompt_tokens: self.scan.prompt_tokens,
            most_output: if makes_text { self.scan.max_output_tokens } else { Some(0) },
            wish: self.scan.wish,
            written: written(self.body),
            unpriced,
        }
    }

    /// What only one upstream can answer stays there, and nobody is sent where he would have to pay himself.
    fn may_go(&self, route: usize) -> bool {
        let firm = self.guest.stored_at.filter(|bond| bond.hold == Hold::Firm);
        let route = &self.snapshot.table.routes[route];
        let is_there =
            |bond: Bond| route.channels.iter().any(|channel| channel.upstream.identity == bond.upstream);
        route.config.byok != Byok::Require && firm.is_none_or(is_there)
    }
}

/// As Anthropic (`cache_control`) and Bedrock (`cachePoint`) ask for it.
static CACHE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"cache"));

/// Whether parts of the prompt are to be kept in a cache. A text may speak of it as well: then too much is reserved.
fn written(body: &[u8]) -> Written {
    let is_asked = |at: usize| {
        let rest = &body[at + CACHE.needle().len()..];
        rest.starts_with(b"_control\"") || rest.starts_with(b"Point\"")
    };
    match CACHE.find_iter(body).any(is_asked) {
        true if memmem::find(body, b"\"1h\"").is_some() => Written::Hour,
        true => Written::FiveMinutes,
        false => Written::Nothing,
    }
}

impl Short {
    fn refuse(self, guest: Box<Guest>) -> Box<Refusal> {
        let gateway = guest.settle.gateway();
        let mut field = None;
        let (kind, message) = match &self {
            Self::Budget { refused, most } => {
                gateway.budgets.count(refused);
                let kind = match refused.why {
                    Why::Reserved => Kind::RateLimited,
                    Why::Spent | Why::Unpriced => Kind::QuotaExhausted,
                };
                (kind, spent(refused, *most))
            }
            Self::TooDear { most, cheapest } => {
                let route = guest.settle.route_name();
                gateway.live.metrics.counter(&catalogue::TOO_DEAR, &[route]).increment(1);
                let message = format!(
                    "this request could cost up to {cheapest} where it is cheapest, and may cost {most} (`max_cost`, or \
                     the header {MAX_COST}); shorten the prompt, allow the answer fewer tokens, or raise the bound"
                );
                (Kind::TooDear, message)
            }
            Self::Unclear => {
                field = Some("models");
                let message = "`models` lets the upstream choose a model of another price, and what this request costs is held \
                               against a budget or `max_cost`: leave `models` out, and ask for one `model`";
                (Kind::BadRequest, message.to_owned())
            }
        };
        let mut refusal = Refusal::new(kind, message, guest.dialect, &guest.request_id);
        if let Some(field) = field {
            refusal = refusal.param(field);
        }
        if kind == Kind::RateLimited {
            refusal.trouble.retry_after = Some(DEFAULT_RETRY_AFTER);
        }
        refusal.settle = Some(guest.settle);
        refusal
    }
}

fn spent(refused: &Refused, most: Option<Money>) -> String {
    let Refused { holder, name, per, limit, spent, reserved, ends, why } = refused;
    let whose = format!("{} `{name}`", holder.name());
    let window = match ends {
        Some(_) => format!("this {}", per.name()),
        None => "altogether".to_owned(),
    };
    let takes = most.map(|most| format!(" This one may cost up to {most}.")).unwrap_or_default();
    match why {
        Why::Reserved => format!(
            "the budget of {whose} has too little left while requests are under way: {spent} of {limit} are spent {window}, and \
             they may cost up to {reserved}.{takes} Come again when they have ended, or allow answers fewer tokens"
        ),
        Why::Unpriced => format!(
            "{whose} has a budget that lets nothing in of which nobody knows what it costs, and no channel has a price \
             for this request; ask for a model that the catalog has prices for"
        ),
        Why::Spent => {
            let under_way = match *reserved {
                Money::ZERO => String::new(),
                reserved => format!(" and up to {reserved} reserved by requests under way"),
            };
            let until = match ends {
                Some(ends) => format!("the next {} begins at {}T00:00:00Z", per.name(), spend::day(*ends)),
                None => "it does not begin anew".to_owned(),
            };
            format!(
                "the budget of {whose} is used up: {spent} of {limit} are spent {window}{under_way}.{takes} Have it raised: \
                 {until}"
            )
        }
    }
}

/// Says which route served a request instead of the one it asked for.
pub fn say(downgraded: Option<&str>, headers: &mut HeaderMap) {
    // The configuration lets only names through that say which model they mean; what no header can carry is not said.
    if let Some(route) = downgraded.and_then(|route| HeaderValue::from_str(route).ok()) {
        headers.insert(DOWNGRADED, route);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::limits::Holder;
    use crate::algo::spend::Per;
    use crate::config::Level;

    #[test]
    fn a_refusal_says_whose_budget_it_is_and_how_it_stands() {
        let usd = |dollars: &str| Money::parse(dollars).expect("an amount");
        let mut refused = Refused {
            holder: Holder::Member(Level::Team),
            name: "blue".into(),
            per: Per::Day,
            limit: usd("30"),
            spent: usd("29.5"),
            reserved: usd("0.4"),
            ends: Some(1_795_305_600),
            why: Why::Spent,
        };
        assert_eq!(
            spent(&refused, Some(usd("1.92"))),
            "the budget of team `blue` is used up: $29.50 of $30.00 are spent this day and up to $0.40 reserved by requests under \
             way. This one may cost up to $1.92. Have it raised: the next day begins at 2026-11-22T00:00:00Z"
        );
        refused = Refused { ends: None, reserved: Money::ZERO, per: Per::Total, ..refused };
        assert!(
            spent(&refused, None).ends_with("are spent altogether. Have it raised: it does not begin anew")
        );
        let held = Refused { why: Why::Reserved, reserved: usd("0.5"), ..refused.clone() };
        assert_eq!(
            spent(&held, None),
            "the budget of team `blue` has too little left while requests are under way: $29.50 of $30.00 are spent \
             altogether, and they may cost up to $0.50. Come again when they have ended, or allow answers fewer tokens"
        );
        let unpriced = Refused { why: Why::Unpriced, ..refused };
        assert!(spent(&unpriced, None).contains("no channel has a price"));
    }

    #[test]
    fn a_prompt_that_is_to_be_cached_is_found_by_its_words() {
        assert_eq!(written(br#"{"messages":[]}"#), Written::Nothing);
        assert_eq!(written(br#"{"cache":"cachePoints","cached":1,"cache"#), Written::Nothing);
        assert_eq!(written(br#"{"cache_control":{"type":"ephemeral"}}"#), Written::FiveMinutes);
        assert_eq!(written(br#"{"cache_control":{"type":"ephemeral","ttl":"1h"}}"#), Written::Hour);
        assert_eq!(written(br#"{"cachePoint":{"type":"default"}}"#), Written::FiveMinutes);
    }
}
