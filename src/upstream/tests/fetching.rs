//! Fetching what strangers name: whom it asks, what it says to them, and how much it takes.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use parking_lot::Mutex;
use tokio_rustls::TlsAcceptor;

use super::secured::authority;
use super::*;
use crate::config::{Cidr, Media};
use crate::upstream::fetch::{FetchError, Fetched, Fetcher, Purse};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n....";
const PUBLIC: &str = "93.184.216.34";

fn media() -> Media {
    Media {
        enabled: true,
        max_size: 100,
        timeout: 10 * SECOND,
        max_urls: 16,
        concurrency: 2,
        plain_http: true,
        allow_hosts: Vec::new(),
        allow_private: Vec::new(),
    }
}

/// Names with their addresses, and one peer behind all of them.
struct Town {
    names: HashMap<&'static str, Vec<IpAddr>>,
    peer: Arc<Memory>,
    /// Names that were looked up, and addresses that were dialled.
    asked: Mutex<Vec<String>>,
}

impl Town {
    fn of(names: &[(&'static str, &[&str])], peer: Arc<Memory>) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        let names = names.iter().map(|(name, list)| (*name, parse(list))).collect();
        Arc::new(Self { names, peer, asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock())
    }

    fn fetcher(self: &Arc<Self>, settings: Media) -> Arc<Fetcher> {
        Fetcher::new(settings, Arc::clone(self) as Arc<dyn Dial>)
    }
}

impl Dial for Town {
    fn dial(&self, target: Arc<Target>) -> Dialing {
        self.asked.lock().push(format!("dial {}", target.authority()));
        self.peer.dial(target)
    }

    fn resolve(&self, name: &str, port: u16) -> Resolving {
        self.asked.lock().push(format!("resolve {name}"));
        let found = self.names.get(name).cloned().unwrap_or_default();
        Box::pin(async move { Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()) })
    }
}

fn said(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

fn picture() -> Vec<u8> {
    said("200 OK\r\ncontent-type: image/png", PNG)
}

/// A peer that answers by the request's head.
fn peer(reply: impl Fn(&str) -> Vec<u8> + Clone + Send + Sync + 'static) -> Arc<Memory> {
    Memory::serving(move |_, io| serve(io, reply.clone()))
}

async fn get_from(fetcher: &Fetcher, url: &str) -> Result<Fetched, FetchError> {
    fetcher.fetch(url, 600 * SECOND, &Purse::new(1_000_000, |_| true)).await
}

#[tokio::test(start_paused = true)]
async fn the_address_that_was_checked_is_the_one_that_is_dialled_and_nothing_of_ours_goes_along() {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let peer = peer(move |head| {
        seen.lock().push(head.to_ascii_lowercase());
        picture()
    });
    // The private ones of a name's addresses are not asked even where others are public.
    let town = Town::of(&[("cdn.test", &["10.0.0.1", "::1", PUBLIC])], peer);
    let fetcher = town.fetcher(media());
    let fetched = get_from(&fetcher, "http://cdn.test:8080/a.png?x=1#y").await.expect("a picture");
    assert_eq!((fetched.kind.as_str(), &fetched.bytes[..]), ("image/png", PNG));
    assert_eq!(town.asked(), ["resolve cdn.test".to_owned(), format!("dial {PUBLIC}:8080")]);
    let head = heads.lock().pop().expect("one request");
    let mut lines: Vec<&str> = head.split("\r\n").filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.remove(0), "get /a.png?x=1 http/1.1");
    let mut names: Vec<&str> = lines.iter().filter_map(|line| line.split(':').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "accept-encoding", "host", "user-agent"], "{head}");
    assert!(head.contains("host: cdn.test:8080\r\n"));
    assert_eq!(fetcher.busy(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_peer_has_to_prove_the_name_that_was_meant_and_not_its_address() {
    let authority = authority(&["cdn.test"], &[b"h2", b"http/1.1"]);
    let acceptor = TlsAcceptor::from(Arc::clone(&authority.server));
    let secured = Memory::serving(move |_, io| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(io).await {
                serve(stream, |_| picture()).await;
            }
        }
    });
    let town = Town::of(&[("cdn.test", &[PUBLIC]), ("other.test", &[PUBLIC])], secured);
    let tls = Roots::Pem(authority.pem.as_bytes()).client_config().unwrap();
    let settings = Media { plain_http: false, ..media() };
    let fetcher = Fetcher::trusting(settings, Arc::clone(&town) as Arc<dyn Dial>, tls);
    assert_eq!(get_from(&fetcher, "https://cdn.test/a").await.map(|f| f.kind), Ok("image/png".to_owned()));
    assert!(matches!(get_from(&fetcher, "https://other.test/a").await, Err(FetchError::Failed(_))));
    assert!(matches!(get_from(&fetcher, &format!("https://{PUBLIC}/a")).await, Err(FetchError::Failed(_))));
    town.asked();
    assert!(matches!(get_from(&fetcher, "http://cdn.test/a").await, Err(FetchError::Refused(_))));
    assert_eq!(town.asked(), [""; 0], "plain http is not even looked up");
}

#[tokio::test(start_paused = true)]
async fn who_may_not_be_asked_is_not_dialled() {
    let town = Town::of(
        &[
            ("inner.test", &["10.1.2.3", "fd00::1"]),
            ("mapped.test", &["::ffff:93.184.216.34"]),
            ("cdn.test", &[PUBLIC]),
        ],
        peer(|_| picture()),
    );
    let fetcher = town.fetcher(media());
    for url in [
        "http://inner.test/",
        "http://mapped.test/",
        "http://127.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://0x7f.1/",
        "http://2130706433/",
        "http://user:word@cdn.test/",
        "ftp://cdn.test/",
        "nowhere",
    ] {
        assert!(matches!(get_from(&fetcher, url).await, Err(FetchError::Refused(_))), "{url}");
    }
    assert!(matches!(get_from(&fetcher, "http://unknown.test/").await, Err(FetchError::Failed(_))));
    assert!(town.asked().iter().all(|asked| asked.starts_with("resolve ")), "nobody was dialled");

    // What the operator trusts may be asked, by the address that he trusts and no other.
    let trusting =
        town.fetcher(Media { allow_private: vec![Cidr::parse("10.1.0.0/16").unwrap()], ..media() });
    assert!(get_from(&trusting, "http://inner.test/").await.is_ok());
    assert_eq!(town.asked(), ["resolve inner.test", "dial 10.1.2.3"]);
    // And of hosts only those that he names, where he names any.
    let choosy = town.fetcher(Media { allow_hosts: vec!["*.test".to_owned()], ..media() });
    assert!(get_from(&choosy, "http://cdn.test/").await.is_ok());
    assert!(matches!(get_from(&choosy, &format!("http://{PUBLIC}/")).await, Err(FetchError::Refused(_))));
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_checked_as_if_the_caller_had_said_it() {
    let reply = |head: &str| {
        let to = |place: &str| said(&format!("302 Found\r\nlocation: {place}"), b"");
        match head.split(' ').nth(1).unwrap() {
            "/once" => to("//other.test/picture"),
            "/1" => to("2"),
            "/2" => to("3"),
            "/3" => to("/picture"),
            "/0" => to("/1"),
            "/loop" => to("/loop"),
            "/loopback" => to("http://127.0.0.1/"),
            "/metadata" => to("http://inner.test/"),
            "/odd" => to("http://0x7f.1/"),
            "/file" => to("file:///etc/passwd"),
            "/secret" => to("http://user:word@other.test/"),
            "/nowhere" => said("302 Found", b""),
            _ => picture(),
        }
    };
    let town = Town::of(
        &[("cdn.test", &[PUBLIC]), ("other.test", &["1.1.1.1"]), ("inner.test", &["169.254.169.254"])],
        peer(reply),
    );
    let fetcher = town.fetcher(media());
    assert!(get_from(&fetcher, "http://cdn.test/once").await.is_ok());
    assert_eq!(town.asked()[2..], ["resolve other.test", "dial 1.1.1.1"]);
    assert!(get_from(&fetcher, "http://cdn.test/1").await.is_ok(), "three are followed");
    for path in ["0", "loop", "loopback", "metadata", "odd", "file", "secret"] {
        let refused = get_from(&fetcher, &format!("http://cdn.test/{path}")).await.expect_err(path);
        assert!(matches!(refused, FetchError::Refused(_)), "{path}: {refused}");
        let told = refused.to_string();
        assert!(!told.contains("127.") && !told.contains("169.254") && !told.contains("inner"), "{told}");
    }
    let dialled = town.asked();
    let own = |asked: &&String| asked.starts_with("dial ") && !asked.contains(PUBLIC);
    assert_eq!(dialled.iter().find(own), None);
    let nowhere = get_from(&fetcher, "http://cdn.test/nowhere").await;
    assert_eq!(nowhere, Err(FetchError::Status(302)));
    let secure = town.fetcher(Media { allow_hosts: vec!["cdn.test".to_owned()], ..media() });
    assert!(matches!(get_from(&secure, "http://cdn.test/once").await, Err(FetchError::Refused(_))));
}

#[tokio::test(start_paused = true)]
async fn no_more_is_taken_than_allowed_whatever_is_announced() {
    let body = |length: usize| [PNG, &vec![b'.'; length - PNG.len()]].concat();
    let reply = move |head: &str| {
        let length: usize = head.split(['/', ' ']).nth(3).unwrap().parse().unwrap();
        if head.starts_with("GET /chunked/") {
            let head = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n");
            [head.as_bytes(), &body(length), b"\r\n0\r\n\r\n"].concat()
        } else if head.starts_with("GET /lying/") {
            [b"HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n", PNG].concat()
        } else {
            said("200 OK", &body(length))
        }
    };
    let town = Town::of(&[("cdn.test", &[PUBLIC])], peer(reply));
    let fetcher = town.fetcher(media());
    for way in ["plain", "chunked"] {
        for (length, fits) in [(99, true), (100, true), (101, false), (5_000, false)] {
            let fetched = get_from(&fetcher, &format!("http://cdn.test/{way}/{length}")).await;
            match fetched {
                Ok(fetched) => assert!(fits && fetched.bytes.len() == length, "{way} {length}"),
                Err(error) => assert!(!fits && error == FetchError::TooLarge(100), "{way} {length}: {error}"),
            }
        }
        let purse = Purse::new(150, |_| true);
        let url = format!("http://cdn.test/{way}/75");
        assert!(fetcher.fetch(&url, SECOND, &purse).await.is_ok());
        assert!(fetcher.fetch(&url, SECOND, &purse).await.is_ok());
        let url = format!("http://cdn.test/{way}/13");
        assert_eq!(fetcher.fetch(&url, SECOND, &purse).await, Err(FetchError::TooMuch), "{way}");
    }
    assert_eq!(get_from(&fetcher, "http://cdn.test/lying/1").await, Err(FetchError::TooLarge(100)));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_sound_answer_is_none() {
    let reply = |head: &str| match head.split(' ').nth(1).unwrap() {
        "/missing" => said("404 Not Found", PNG),
        "/part" => said("206 Partial Content", PNG),
        "/packed" => said("200 OK\r\ncontent-type: image/png\r\ncontent-encoding: gzip", PNG),
        "/json" => said("200 OK\r\ncontent-type: application/json", b"{}"),
        "/unnamed" => said("200 OK", b"who knows"),
        "/empty" => said("200 OK\r\ncontent-type: image/png", b""),
        _ => b"SSH-2.0-OpenSSH_9.6\r\n".to_vec(),
    };
    let town = Town::of(&[("cdn.test", &[PUBLIC])], peer(reply));
    let fetcher = town.fetcher(media());
    for (path, name) in [
        ("missing", "status"),
        ("part", "status"),
        ("packed", "failed"),
        ("json", "kind"),
        ("unnamed", "kind"),
        ("empty", "failed"),
        ("ssh", "failed"),
    ] {
        let error = get_from(&fetcher, &format!("http://cdn.test/{path}")).await.expect_err(path);
        assert_eq!(error.name(), name, "{path}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_server_costs_its_own_time_and_no_more() {
    let stalling = Memory::serving(|n, mut io| async move {
        read_request(&mut io).await;
        if n % 2 == 1 {
            let begin = b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n\x89PNG";
            io.write_all(begin).await.unwrap();
        }
        // Its end comes when the other side goes.
        let _ = io.read(&mut [0]).await;
    });
    let town = Town::of(&[("cdn.test", &[PUBLIC])], Arc::clone(&stalling));
    let fetcher = town.fetcher(Media { concurrency: 1, ..media() });
    for _ in 0..2 {
        let begun = now();
        let stalled = get_from(&fetcher, "http://cdn.test/").await;
        assert_eq!((stalled, (now() - begun).as_secs()), (Err(FetchError::Timeout(10 * SECOND)), 10));
    }
    let begun = now();
    let hurried = fetcher.fetch("http://cdn.test/", 2 * SECOND, &Purse::new(100, |_| true)).await;
    assert_eq!((hurried, (now() - begun).as_secs()), (Err(FetchError::Timeout(2 * SECOND)), 2));

    // One at a time: the second waits for its turn, and the wait is its own time.
    let dials = stalling.dials();
    let (one, two) =
        tokio::join!(get_from(&fetcher, "http://cdn.test/"), get_from(&fetcher, "http://cdn.test/"));
    assert!(matches!((one, two), (Err(FetchError::Timeout(_)), Err(FetchError::Timeout(_)))));
    assert!(stalling.dials() <= dials + 2);
    // Whoever goes away gives the turn back and hangs up.
    let hasty = tokio::time::timeout(SECOND, get_from(&fetcher, "http://cdn.test/")).await;
    assert!(hasty.is_err());
    tokio::time::sleep(SECOND).await;
    assert_eq!((fetcher.busy(), stalling.open()), (0, 0));
}
