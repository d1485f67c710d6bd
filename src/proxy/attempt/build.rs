//! The request as one channel's upstream gets it: its path, its model's name, its key.

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Uri, request};

use super::anew::Said;
use super::spoken::{self, Letter, Occasion, Spoken, Unsayable, Unwritten};
use super::{betas, head};
use crate::config::{self, Matcher, Unsupported};
use crate::dialect::continuation::{Learnt, Put};
use crate::dialect::entry::{self, Entry};
use crate::dialect::flagged;
use crate::dialect::hub::Keeping;
use crate::dialect::provider::{Betas, Call, Delivery, Place, StreamUsage};
use crate::dialect::scan;
use crate::dialect::splice::{self, Rewrite};
use crate::dialect::{Dialect, Operation, encrypted, named, tree};
use crate::proxy::intake::{Guest, Load};
use crate::proxy::{Gateway, beside, memory, thoughts};
use crate::route::Plan;
use crate::state::Permit;
use crate::state::model::Shape;
use crate::upstream::Outgoing;

/// The request as this channel's upstream gets it, and how it is spoken.
pub struct Built {
    pub request: Request<Outgoing>,
    pub spoken: Spoken,
}

/// Why there is no request.
pub enum Unbuilt {
    /// It cannot be written, though it should be possible; for logs.
    Unsendable(String),
    /// For the caller.
    Unsayable(Unsayable),
    /// The content of these URLs has to be there first.
    Unfetched(Vec<String>),
    /// There is no memory to write it in.
    NoRoom,
}

/// The request as this channel's upstream gets it.
pub fn build(gateway: &Gateway, guest: &Guest, plan: &Plan<'_>, permit: &Permit) -> Result<Built, Unbuilt> {
    let desk = Desk { gateway, guest, plan, permit };
    let mut spoken = Spoken::native(guest);
    let (target, body) = match &guest.load {
        Load::Ask { body, scan } => desk.asked(body, scan, &mut spoken)?,
        Load::Whole(body) => (desk.path()?, Outgoing::Whole(body.clone())),
        Load::Once(once) => (desk.path()?, once.lend()),
    };
    let fields = head::fields(guest, plan, permit, &mut spoken);
    let target = PathAndQuery::from_maybe_shared(Bytes::from(target))
        .map_err(|_| Unbuilt::unsendable("the path cannot be sent"))?;
    let mut request = Request::new(body);
    *request.method_mut() = guest.head.method.clone();
    *request.uri_mut() = Uri::from(target);
    *request.headers_mut() = fields;
    Ok(Built { request, spoken })
}

/// Where one request is written for one channel.
#[derive(Clone, Copy)]
struct Desk<'d, 'p> {
    gateway: &'d Gateway,
    guest: &'d Guest,
    plan: &'d Plan<'p>,
    permit: &'d Permit,
}

impl<'d> Desk<'d, '_> {
    fn upstream(self) -> &'d config::Upstream {
        &self.permit.channel().upstream.config
    }

    fn route(self) -> &'d config::Route {
        &self.plan.route().config
    }

    /// Path and body of a request for a model.
    fn asked(
        self,
        body: &Bytes,
        scan: &scan::Scan,
        spoken: &mut Spoken,
    ) -> Result<(String, Outgoing), Unbuilt> {
        let Self { guest, plan, permit, .. } = self;
        let (channel, asked) = (permit.channel(), scan.model.as_str());
        let model = channel.model_name(self.route(), asked);
        let name = model.unwrap_or(asked);
        let facts = || channel.facts(self.route(), asked);
        let dialect = spoken::dialect_for(guest, scan, body, self.upstream(), name, facts);
        let said = Said { dialect: dialect.unwrap_or(guest.dialect), name, asked, scan, body };
        if said.dialect == guest.dialect && !said.is_to_be_said_anew(guest, plan, permit) {
            self.native(&said, model, spoken)
        } else {
            self.anew(&said, spoken)
        }
    }

    /// The caller's own bytes, but for the model's name, what this channel does not take, and what the vendor wants
    /// otherwise.
    fn native(
        self,
        said: &Said<'_>,
        model: Option<&str>,
        spoken: &mut Spoken,
    ) -> Result<(String, Outgoing), Unbuilt> {
        let Said { name, scan, body, .. } = *said;
        let Self { gateway, guest, plan, permit } = self;
        let upstream = self.upstream();
        let lessened = match self.unflagged(body, spoken)? {
            None => self.lessened(body, spoken)?,
            unflagged => unflagged,
        };
        let rewrite = Rewrite {
            model,
            ask_usage: upstream.stream_usage == StreamUsage::Ask,
            newer_limit: said.wants_newer_limit(plan, permit),
        };
        let query = guest.head.uri.query();
        let entry = self.entry()?;
        let call = self.call(guest.dialect, guest.operation, name, Some(query.unwrap_or("")));
        let target = match upstream.provider.place(&upstream.base.path, &call) {
            Place::At(target) => target,
            Place::Below(base) => entry.upstream_path(&base, model, query),
        };
        let keep = |whole: Vec<u8>| memory::needed(&gateway.live.holdings).keep(whole.into());
        let other = model.filter(|model| guest.dialect == Dialect::Gemini && *model != scan.model);
        let renamed = other.and_then(|model| named::renamed(guest.operation, body, model)).map(keep);
        let body = renamed.as_ref().unwrap_or(body);
        let pieces = match lessened {
            None => splice::splice(body, scan, rewrite),
            Some(body) => {
                let scan = scan::scan(&entry, None, &body).map_err(|_| {
                    Unbuilt::unsendable("a request that was read cannot be read with less in it")
                })?;
                splice::splice(&body, &scan, rewrite)
            }
        };
        let rule = upstream.provider.body_of(guest.dialect, guest.operation);
        if !rule.may_change(body) {
            return Ok((target, Outgoing::pieces(pieces)));
        }
        let whole = pieces.into_iter().flatten().collect::<Vec<u8>>();
        let vendors = rule.apply(guest.operation, &whole);
        Ok((target, Outgoing::Whole(keep(vendors.unwrap_or(whole)))))
    }

    /// The same in other words: those of another dialect, or of its own where its bytes would not do.
    fn anew(self, said: &Said<'_>, spoken: &mut Spoken) -> Result<(String, Outgoing), Unbuilt> {
        let Self { gateway, guest, plan, .. } = self;
        let (values, upstream) = (said.scan.values, self.upstream());
        let bytes = said.body.len() as u64 + guest.contents.size();
        tree::check(values).map_err(|wrong| Unbuilt::Unsayable(wrong.into()))?;
        let room = memory::to_say(gateway, plan.table(), guest.priority, values, bytes);
        let room = room.ok_or(Unbuilt::NoRoom)?;
        let letter = beside::work(bytes as usize, || self.letter(said))?;
        *spoken = letter.spoken;
        let unflagged =
            if said.dialect == guest.dialect { self.unflagged(&letter.body, spoken)? } else { None };
        let body = unflagged.map_or(letter.body, Into::into);
        let call = self.call(spoken.dialect, spoken.operation, said.name, None);
        let base = spoken.put.and_then(Put::base).unwrap_or(&upstream.base.path);
        let target = match upstream.provider.place(base, &call) {
            Place::At(target) => Some(target),
            Place::Below(base) => entry::own_path(spoken.dialect, spoken.operation, &base, said.name),
        };
        let target = target.ok_or_else(|| Unbuilt::unsendable("the operation has no path"))?;
        let rule = upstream.provider.body_of(spoken.dialect, spoken.operation);
        let vendors = rule.apply(spoken.operation, &body);
        Ok((target, Outgoing::Whole(room.keep(vendors.unwrap_or(body).into()))))
    }

    fn letter(self, said: &Said<'_>) -> Result<Letter, Unbuilt> {
        let Said { dialect: to, asked, body, .. } = *said;
        let Self { gateway, guest, plan, permit } = self;
        let kept = if to == guest.dialect { None } else { guest.recall.nonce() };
        let keeping = if kept.is_some() { Keeping::Kept } else { Keeping::Passing };
        let nonce = kept.unwrap_or_else(|| gateway.live.nonce());
        let occasion = Occasion {
            asked,
            terms: said.terms(plan, permit, &nonce),
            to,
            provider: self.upstream().provider,
            unsupported: self.route().unsupported,
            media: &plan.table().server.media,
            keeping,
            learnt: learnt(gateway, guest, permit),
            left_out: &left_out(guest, permit),
            now: gateway.live.clock.unix_now().as_secs(),
        };
        spoken::write(guest, body, &occasion).map_err(|unwritten| match unwritten {
            Unwritten::Unsayable(why) => Unbuilt::Unsayable(why),
            Unwritten::Unfetched(urls) => Unbuilt::Unfetched(urls),
        })
    }

    /// The body without what belongs to betas that the host does not take, if there is any.
    fn unflagged(self, body: &[u8], spoken: &mut Spoken) -> Result<Option<Bytes>, Unbuilt> {
        let betas = &self.upstream().provider.betas;
        if spoken.dialect != Dialect::Anthropic || *betas == Betas::All {
            return Ok(None);
        }
        let Some(flags) = betas::asked(&self.guest.head.headers) else { return Ok(None) };
        let dropped = betas.filter(&flags).dropped;
        if dropped.is_empty() {
            return Ok(None);
        }
        let lessen = || flagged::without(body, &dropped);
        let Some((less, names)) = beside::work(body.len(), lessen) else { return Ok(None) };
        match self.route().unsupported {
            Unsupported::Reject => {
                return Err(Unbuilt::Unsayable(Unsayable {
                    message: format!(
                        "the channel takes no beta that has {}; leave it out, or set `unsupported: warn` on the route",
                        names.join(", ")
                    ),
                    param: names.first().map(ToString::to_string),
                }));
            }
            Unsupported::Warn => spoken.also_dropped(&names),
            Unsupported::Drop => {}
        }
        Ok(Some(less.into()))
    }

    /// The body without what is encrypted in it and this channel cannot read, if there is any.
    fn lessened(self, body: &Bytes, spoken: &mut Spoken) -> Result<Option<Bytes>, Unbuilt> {
        let goes = left_out(self.guest, self.permit);
        let Some(lessened) = encrypted::without(body, &goes) else { return Ok(None) };
        match self.route().unsupported {
            Unsupported::Reject => {
                return Err(Unbuilt::Unsayable(Unsayable {
                    message: "the encrypted reasoning in `input` comes from several accounts, none of which can read it all; send only the last one's, or set `unsupported: warn` on the route".to_owned(),
                    param: Some("input".to_owned()),
                }));
            }
            Unsupported::Warn => spoken.also_dropped(&[thoughts::NAME]),
            Unsupported::Drop => {}
        }
        Ok(Some(lessened.into()))
    }

    fn call<'c>(
        self,
        dialect: Dialect,
        operation: Operation,
        model: &'c str,
        query: Option<&'c str>,
    ) -> Call<'c>
    where
        'd: 'c,
    {
        let delivery = if self.guest.shape == Shape::Stream { Delivery::Streamed } else { Delivery::Whole };
        let api_version = self.upstream().api_version.as_deref();
        Call { dialect, operation, model, delivery, query, api_version }
    }

    fn entry(self) -> Result<Entry<'d>, Unbuilt> {
        let request::Parts { method, uri, headers, .. } = &self.guest.head;
        entry::find(method, uri.path(), uri.query(), headers)
            .map_err(|_| Unbuilt::unsendable("the path was one of ours at intake"))
    }

    /// Where a request goes that names no model.
    fn path(self) -> Result<String, Unbuilt> {
        let uri = &self.guest.head.uri;
        if self.guest.errand.is_none() {
            return Ok(plain_path(self.route(), self.upstream(), uri));
        }
        Ok(path_there(&self.entry()?, self.upstream(), uri.query()))
    }
}

impl Unbuilt {
    fn unsendable(detail: &str) -> Self {
        Self::Unsendable(detail.to_owned())
    }
}

fn left_out(guest: &Guest, permit: &Permit) -> Vec<u64> {
    guest.thoughts.as_ref().map(|thoughts| thoughts.left_out(permit)).unwrap_or_default()
}

/// What the channel's model has taught, for a while or for this stream.
fn learnt(gateway: &Gateway, guest: &Guest, permit: &Permit) -> Learnt {
    let label = &permit.channel().label;
    let refused = guest.onward.as_ref().is_some_and(|onward| onward.has_refused_prefill(label));
    if refused || permit.model().refuses_prefill(gateway.live.now()) {
        Learnt::RefusesPrefill
    } else {
        Learnt::Nothing
    }
}

/// The path of a stored response at the upstream; `None` where that cannot be its name.
pub fn path_of_stored(upstream: &config::Upstream, id: &str) -> Option<String> {
    let path = format!("/v1/responses/{id}");
    let entry = entry::find(&Method::GET, &path, None, &HeaderMap::new()).ok()?;
    Some(path_there(&entry, upstream, None))
}

fn path_there(entry: &Entry<'_>, upstream: &config::Upstream, query: Option<&str>) -> String {
    let call = Call {
        dialect: entry.dialect,
        operation: entry.operation,
        model: "",
        delivery: Delivery::Whole,
        query,
        api_version: upstream.api_version.as_deref(),
    };
    let mut path = match upstream.provider.place(&upstream.base.path, &call) {
        Place::At(target) => target,
        Place::Below(base) => entry.upstream_path(&base, None, query),
    };
    if let Some(version) = upstream.provider.version_of(&call) {
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str("api-version=");
        path.push_str(version);
    }
    path
}

fn plain_path(route: &config::Route, upstream: &config::Upstream, uri: &Uri) -> String {
    let path = match &route.matcher {
        Matcher::Path { prefix, strip: true } => {
            // Keeps the slash that ends the prefix.
            uri.path().get(prefix.len().saturating_sub(1)..).unwrap_or("/")
        }
        Matcher::Path { strip: false, .. } | Matcher::Model { .. } => uri.path(),
    };
    Entry::opaque(path).upstream_path(&upstream.base.path, None, uri.query())
}
