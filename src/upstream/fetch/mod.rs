//! Fetches what a caller's URL names, for channels that take only the content.
//!
//! The URL is a stranger's, so it must not reach what strangers cannot (RESILIENCE SEC-20, B40). A name is
//! resolved once, its addresses are checked (`address`), and the connection goes to one of those that were
//! checked: there is no second resolution that could answer otherwise. Each redirect begins anew. Nothing of
//! the caller's request goes along, nothing is unpacked, and nothing is kept here: one connection each.

mod address;
mod kind;
mod link;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::BodyExt;
use rustls::ClientConfig;
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::timeout;

use super::body::{Incoming, Outgoing};
use super::call::{CallError, CallLimits, Reuse};
use super::dial::Dial;
use super::pool::Pool;
use super::target::Target;
use super::tls::Roots;
use crate::config::{self, BaseUrl, Http2, Media};
use crate::vocab::Stage;
use link::{Host, Link};

/// Redirects that are followed.
const MOST_REDIRECTS: usize = 3;
/// Addresses of one name that are tried, one after the other.
const MOST_ADDRESSES: usize = 4;
/// For a connection to one address; the rest is the whole fetch's.
const CONNECT: Duration = Duration::from_secs(3);

const TAKEN: HeaderValue =
    HeaderValue::from_static("image/*, application/pdf, audio/*, video/*, text/*;q=0.8");
const AGENT: HeaderValue = HeaderValue::from_static(concat!("mainstay/", env!("CARGO_PKG_VERSION")));

/// What a URL held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// `image/png`: in small letters, without parameters.
    pub kind: String,
    pub bytes: Bytes,
}

/// Why a URL's content is not there. Its `Display` is for the caller and tells nothing of the network that
/// he did not say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It must not be asked.
    #[error("{0}")]
    Refused(&'static str),
    #[error("its server answered {0}")]
    Status(u16),
    #[error("it is larger than {0} bytes (server.media.max_size)")]
    TooLarge(u64),
    #[error("the URLs hold more together than a request may (server.limits.max_body)")]
    TooMuch,
    #[error("the gateway has no room for what it holds (server.limits.memory)")]
    NoRoom,
    #[error("{}", said_kind(.0.as_deref()))]
    Kind(Option<String>),
    #[error("it did not come in time ({0:?})")]
    Timeout(Duration),
    #[error("{0}")]
    Failed(&'static str),
}

fn said_kind(kind: Option<&str>) -> String {
    let taken = "pictures, PDFs, sounds, videos and text are";
    match kind {
        Some(kind) => format!("{kind} is not taken; {taken}"),
        None => format!("its server does not say what it is, nor does it look like anything known; {taken}"),
    }
}

impl FetchError {
    /// Every name, for metrics.
    pub const NAMES: [&'static str; 7] =
        ["refused", "status", "too_large", "no_room", "kind", "timeout", "failed"];

    /// The label `result` of `mainstay_media_fetches_total`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Status(_) => "status",
            Self::TooLarge(_) | Self::TooMuch => "too_large",
            Self::NoRoom => "no_room",
            Self::Kind(_) => "kind",
            Self::Timeout(_) => "timeout",
            Self::Failed(_) => "failed",
        }
    }
}

/// The bytes that one request's URLs may hold together.
pub struct Purse {
    left: AtomicU64,
    /// Makes room for so many more of them; `false` where there is none.
    room: Box<dyn Fn(u64) -> bool + Send + Sync>,
}

impl Purse {
    pub fn new(bytes: u64, room: impl Fn(u64) -> bool + Send + Sync + 'static) -> Self {
        Self { left: AtomicU64::new(bytes), room: Box::new(room) }
    }

    fn pay(&self, bytes: u64) -> Result<(), FetchError> {
        let left =
            self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(bytes));
        left.map_err(|_| FetchError::TooMuch)?;
        if bytes == 0 || (self.room)(bytes) { Ok(()) } else { Err(FetchError::NoRoom) }
    }
}

/// Fetches for all requests, so many at once.
pub struct Fetcher {
    settings: Media,
    dial: Arc<dyn Dial>,
    turns: Semaphore,
    /// Read from the system when first needed.
    tls: OnceCell<Arc<ClientConfig>>,
}

impl Fetcher {
    pub fn new(settings: Media, dial: Arc<dyn Dial>) -> Arc<Self> {
        let turns = Semaphore::new((settings.concurrency.max(1) as usize).min(Semaphore::MAX_PERMITS));
        Arc::new(Self { settings, dial, turns, tls: OnceCell::new() })
    }

    #[cfg(test)]
    pub(super) fn trusting(settings: Media, dial: Arc<dyn Dial>, tls: Arc<ClientConfig>) -> Arc<Self> {
        let turns = Semaphore::new(settings.concurrency as usize);
        Arc::new(Self { settings, dial, turns, tls: OnceCell::new_with(Some(tls)) })
    }

    pub fn settings(&self) -> &Media {
        &self.settings
    }

    /// Fetches under way.
    pub fn busy(&self) -> usize {
        (self.settings.concurrency as usize).saturating_sub(self.turns.available_permits())
    }

    /// The content of `url`, within `patience` and the configured time. Dropping the future ends it.
    pub async fn fetch(&self, url: &str, patience: Duration, purse: &Purse) -> Result<Fetched, FetchError> {
        let most = self.settings.timeout.min(patience);
        let fetching = async {
            // Looked at before it waits for a turn: what is refused anyway takes none.
            let link = Link::parse(url).map_err(FetchError::Refused)?;
            self.check(&link)?;
            let _turn =
                self.turns.acquire().await.map_err(|_| FetchError::Failed("nothing is fetched now"))?;
            self.follow(link, most, purse).await
        };
        timeout(most, fetching).await.unwrap_or(Err(FetchError::Timeout(most)))
    }

    async fn follow(&self, mut link: Link, most: Duration, purse: &Purse) -> Result<Fetched, FetchError> {
        for redirects in 0.. {
            let response = self.ask(&link, most).await?;
            if !is_redirect(response.status()) {
                return self.read(response, purse).await;
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            let location = location.ok_or(FetchError::Status(response.status().as_u16()))?;
            if redirects == MOST_REDIRECTS {
                break;
            }
            // Of where it leads the caller learns nothing that he may not know.
            link = link.join(location).map_err(|_| FetchError::Refused(ASTRAY))?;
            self.check(&link).map_err(|_| FetchError::Refused(ASTRAY))?;
        }
        Err(FetchError::Refused("it redirects too often"))
    }

    /// All that can be told without asking anybody.
    fn check(&self, link: &Link) -> Result<(), FetchError> {
        if !link.https && !self.settings.plain_http {
            return Err(FetchError::Refused("only https:// URLs are fetched"));
        }
        if !link.host.is_among(&self.settings.allow_hosts) {
            return Err(FetchError::Refused(
                "its host is not among those that may be asked (server.media.allow_hosts)",
            ));
        }
        match &link.host {
            Host::Address(address) if !self.allows(*address) => Err(FetchError::Refused(PRIVATE)),
            Host::Address(_) | Host::Name(_) => Ok(()),
        }
    }

    fn allows(&self, address: IpAddr) -> bool {
        address::is_allowed(address, &self.settings.allow_private)
    }

    /// The addresses that may be asked for `link`.
    async fn addresses(&self, link: &Link) -> Result<Vec<SocketAddr>, FetchError> {
        let found = match &link.host {
            Host::Address(address) => vec![SocketAddr::new(*address, link.port)],
            Host::Name(name) => self.dial.resolve(name, link.port).await.unwrap_or_default(),
        };
        if found.is_empty() {
            return Err(FetchError::Failed("its host is not known"));
        }
        let allowed = found.into_iter().filter(|found| self.allows(found.ip()));
        let allowed: Vec<SocketAddr> = allowed.take(MOST_ADDRESSES).collect();
        if allowed.is_empty() { Err(FetchError::Refused(PRIVATE)) } else { Ok(allowed) }
    }

    async fn ask(&self, link: &Link, most: Duration) -> Result<Response<Incoming>, FetchError> {
        let mut last = FetchError::Failed("its host cannot be reached");
        for address in self.addresses(link).await? {
            let pool = self.pool(link, address).await?;
            // The whole fetch's own limit comes first.
            let beyond = most.saturating_mul(2);
            let limits = CallLimits {
                connect: CONNECT,
                tls: beyond,
                pool_wait: beyond,
                headers: beyond,
                reuse: Reuse::Any,
            };
            match pool.call(request(link)?, limits).await {
                Ok(response) => return Ok(response),
                Err(CallError { stage: Stage::NotSent, .. }) => {}
                Err(_) => last = FetchError::Failed("its server gave no sound answer"),
            }
        }
        Err(last)
    }

    /// A connection of its own to exactly this address, whose peer has to be the host that was meant.
    async fn pool(&self, link: &Link, address: SocketAddr) -> Result<Arc<Pool>, FetchError> {
        let host: Arc<str> = address.ip().to_string().into();
        let base = BaseUrl { https: link.https, host, port: address.port(), path: String::new() };
        let mut target = Target::new(&base, Http2::Never);
        if link.https {
            let name = match &link.host {
                Host::Name(name) => Some(name.as_str()),
                Host::Address(_) => None,
            };
            target = target.with_tls(self.roots().await?, name);
        }
        let settings = config::Pool {
            max_connections: 1,
            max_idle: 0,
            idle_timeout: Duration::ZERO,
            max_lifetime: self.settings.timeout,
            lifetime_jitter: 0.0,
            max_requests: 1,
            reuse_safe_idle: Duration::ZERO,
            http2: Http2::Never,
        };
        Ok(Pool::new("media".into(), target, settings, Arc::clone(&self.dial)))
    }

    async fn roots(&self) -> Result<Arc<ClientConfig>, FetchError> {
        let load = || async {
            // Reads files.
            let made = tokio::task::spawn_blocking(|| Roots::System.client_config()).await;
            made.ok()
                .and_then(Result::ok)
                .ok_or(FetchError::Failed("the gateway has no certificates to trust"))
        };
        self.tls.get_or_try_init(load).await.cloned()
    }

    async fn read(&self, response: Response<Incoming>, purse: &Purse) -> Result<Fetched, FetchError> {
        let (head, mut body) = response.into_parts();
        if head.status != StatusCode::OK {
            return Err(FetchError::Status(head.status.as_u16()));
        }
        if head.headers.get_all(CONTENT_ENCODING).iter().any(|coding| coding != "identity") {
            return Err(FetchError::Failed("its server sends it compressed although it was asked not to"));
        }
        let most = self.settings.max_size;
        let announced = body.size_hint().exact().unwrap_or(0);
        if announced > most {
            return Err(FetchError::TooLarge(most));
        }
        // What is announced is paid for at once, and what comes beyond it as it comes.
        purse.pay(announced)?;
        let mut paid = announced;
        // Not trusted for more than a mebibyte of memory before it comes.
        let mut bytes = BytesMut::with_capacity(announced.min(1 << 20) as usize);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| FetchError::Failed("its server broke off"))?;
            let Ok(data) = frame.into_data() else { continue };
            let length = (bytes.len() + data.len()) as u64;
            if length > most {
                return Err(FetchError::TooLarge(most));
            }
            purse.pay(length.saturating_sub(paid))?;
            paid = paid.max(length);
            if length > bytes.capacity() as u64 {
                // Once, for all that was paid for: a buffer that doubles would hold it three times.
                bytes.reserve(length.max(announced) as usize - bytes.len());
            }
            bytes.extend_from_slice(&data);
        }
        let bytes = bytes.freeze();
        let kind = kind::of(head.headers.get(CONTENT_TYPE), &bytes).map_err(FetchError::Kind)?;
        if bytes.is_empty() {
            return Err(FetchError::Failed("it is empty"));
        }
        Ok(Fetched { kind, bytes })
    }
}

const PRIVATE: &str = "its host has no public address that may be asked";
const ASTRAY: &str = "it redirects to what may not be fetched";

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// All that its server hears.
fn request(link: &Link) -> Result<Request<Outgoing>, FetchError> {
    let mut request = Request::new(Outgoing::Empty);
    *request.uri_mut() = Uri::from(link.path.clone());
    let host = HeaderValue::from_str(&link.authority());
    let fields = request.headers_mut();
    fields.insert(
        HOST,
        host.map_err(|_| FetchError::Refused("its host is neither a plain name nor an address"))?,
    );
    fields.insert(USER_AGENT, AGENT);
    fields.insert(ACCEPT, TAKEN);
    fields.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(request)
}
