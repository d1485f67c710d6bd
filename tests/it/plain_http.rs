//! Plain HTTP behind path routes: everything passes untouched, with the same failover as the rest.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use mainstay::simulated::{Fault, Outcome, Rule};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::lab::{Ask, End, Lab, Said, Scribe, Step};

const YAML: &str = "
version: 1
server: {limits: {replay_body: 16KiB, max_body: 8MiB}, timeouts: {body_read: 5s}}
upstreams:
  a: {provider: http, base_url: 'http://a/base', timeouts: {idle: 20s}}
  b: {provider: http, base_url: 'http://b/base', timeouts: {idle: 20s}}
routes:
  - path: /kept/
    channels: [{upstream: a}, {upstream: b, tier: 1}]
  - path: /stripped/
    strip: true
    channels: [{upstream: a}, {upstream: b, tier: 1}]
  - path: /lone/
    channels: [{upstream: a}]
";

/// Two services behind the gateway, the second only where the first fails.
struct Services {
    lab: Lab,
    a: Arc<Scribe>,
    b: Arc<Scribe>,
}

fn services() -> Services {
    let (a, b) = (Scribe::saying(Said::status(200).data("a")), Scribe::saying(Said::status(200).data("b")));
    let lab = Lab::beside(YAML, &[("a", &a), ("b", &b)]);
    Services { lab, a, b }
}

#[tokio::test(start_paused = true)]
async fn any_method_path_query_and_body_pass_untouched() {
    let Services { lab, a, b } = services();
    let targets = [
        ("/kept/", "/base/kept/"),
        ("/kept/7", "/base/kept/7"),
        ("/kept/%7e/%2F/..%2e/a%20b;v=1", "/base/kept/%7e/%2F/..%2e/a%20b;v=1"),
        ("/kept//double//", "/base/kept//double//"),
        ("/kept/q?key=secret&key=2&&x=%00&=", "/base/kept/q?key=secret&key=2&&x=%00&="),
        ("/stripped/7", "/base/7"),
        ("/stripped/", "/base/"),
        ("/stripped/v1/chat/completions?a", "/base/v1/chat/completions?a"),
        ("/stripped//double", "/base//double"),
    ];
    let bodies: [&[u8]; 3] = [b"", b"\x00\xff not JSON {", &[7; 5_000]];
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "X-OWN"];
    for (target, reached) in targets {
        for method in methods {
            for body in bodies {
                let mut ask = Ask::bare(method.parse().unwrap(), target);
                ask.body = Bytes::copy_from_slice(body);
                let answer = lab.send(&ask).await;
                assert_eq!((answer.status.as_u16(), answer.text()), (200, "a"), "{method} {target}");
                let heard = a.only();
                assert_eq!(heard.method.as_str(), method);
                assert_eq!(heard.uri, reached, "{method} {target}");
                assert_eq!(heard.body, body, "{method} {target}");
                assert!(heard.whole);
                assert_eq!(answer.header("x-mainstay-attempts"), "1");
                assert_eq!(answer.header("x-mainstay-channel"), "a");
            }
        }
    }
    assert!(b.heard().is_empty());
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn headers_pass_both_ways_but_for_those_of_the_hop() {
    let Services { lab, a, .. } = services();
    a.say(
        Said::status(201)
            .header("connection", "x-secret, keep-alive")
            .header("x-secret", "s")
            .header("keep-alive", "timeout=9")
            .header("proxy-authenticate", "Basic")
            .header("x-mainstay-channel", "forged")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("content-type", "text/x-own; q=\"é\"")
            .header("etag", "W/\"7\"")
            .header("location", "/kept/8")
            .data("made"),
    );
    let mut ask = Ask::bare(Method::POST, "/kept/7");
    for (name, value) in [
        ("authorization", "Bearer the-service-knows"),
        ("cookie", "session=1"),
        ("accept-encoding", "gzip, br"),
        ("x-own", "one"),
        ("x-own", "two"),
        ("connection", "keep-alive, x-nominated, authorization"),
        ("x-nominated", "gone"),
        ("keep-alive", "timeout=1"),
        ("te", "trailers"),
        ("proxy-authorization", "Basic eA=="),
        ("proxy-connection", "keep-alive"),
        ("x-mainstay-route", "forged"),
        ("x-request-id", "named-by-the-caller"),
    ] {
        ask = ask.header(name, value);
    }
    let answer = lab.send(&ask).await;
    let heard = a.only();
    for gone in
        ["x-nominated", "keep-alive", "te", "proxy-authorization", "proxy-connection", "x-mainstay-route"]
    {
        assert!(!heard.headers.contains_key(gone), "{gone} belongs to the hop");
    }
    assert!(!heard.header("connection").contains("nominated"));
    assert_eq!(heard.header("authorization"), "Bearer the-service-knows", "not the caller's to name away");
    assert_eq!(heard.header("cookie"), "session=1");
    assert_eq!(heard.header("accept-encoding"), "gzip, br");
    assert_eq!(heard.header("x-request-id"), "named-by-the-caller");
    assert_eq!(heard.headers.get_all("x-own").iter().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(heard.headers.get_all("host").iter().count(), 1);

    assert_eq!((answer.status.as_u16(), answer.text()), (201, "made"));
    for gone in ["x-secret", "keep-alive", "proxy-authenticate"] {
        assert!(!answer.headers.contains_key(gone), "{gone} belongs to the hop");
    }
    assert_eq!(answer.header("x-mainstay-channel"), "a", "no service can pretend to be the gateway");
    assert_eq!(answer.header("x-mainstay-request-id"), "named-by-the-caller");
    assert_eq!(answer.headers.get_all("set-cookie").iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(answer.headers["content-type"].as_bytes(), "text/x-own; q=\"é\"".as_bytes());
    assert_eq!(answer.header("etag"), "W/\"7\"");
    assert_eq!(answer.header("location"), "/kept/8");
    lab.assert_quiet().await;
}

/// Larger than `replay_body`, and than any buffer on the way.
fn large() -> Bytes {
    (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect::<Vec<_>>().into()
}

#[tokio::test(start_paused = true)]
async fn a_large_body_streams_through_and_is_sent_once() {
    let Services { lab, a, b } = services();
    let mut ask = Ask::bare(Method::PUT, "/kept/large");
    ask.body = large();
    assert_eq!(lab.send(&ask).await.text(), "a");
    let heard = a.only();
    assert_eq!(heard.body, ask.body);
    assert_eq!(heard.header("content-length"), "3000000");

    // Without an announced length.
    let mut request = b"POST /kept/x HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in ask.body.chunks(50_000) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\nx-trailer: t\r\n\r\n");
    assert!(lab.say(&request).await.starts_with("HTTP/1.1 200"));
    assert_eq!(a.only().body, ask.body);

    // Whoever has read of it may have acted on it, so a failure after that is the caller's to see.
    a.say(Said::status(503).data("sorry"));
    let answer = lab.send(&ask).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (503, "sorry"));
    assert_eq!(answer.header("x-mainstay-attempts"), "1");
    assert!(b.heard().is_empty());
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_large_body_that_nobody_has_read_of_goes_to_the_next_channel() {
    let Services { lab, a, b } = services();
    a.refuse();
    for method in [Method::PUT, Method::POST] {
        let mut ask = Ask::bare(method, "/kept/large");
        ask.body = large();
        let answer = lab.send(&ask).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, "b"));
        assert_eq!(b.only().body, ask.body, "whole, from its first byte");
    }
    let failed = lab.metric_sum("mainstay_faults_total", &[r#"upstream="a""#, r#"stage="not_sent""#]);
    assert!(failed >= 1.0, "{failed}");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_stops_in_the_middle_of_a_large_body_holds_nobody() {
    let Services { lab, a, .. } = services();
    let head = "POST /kept/x HTTP/1.1\r\nhost: g\r\ncontent-length: 100000\r\n\r\n";
    let request = format!("{head}{}", "x".repeat(50_000));
    let began = lab.gateway.live.now();
    let answer = lab.say(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("body_read"), "{answer}");
    assert!(lab.gateway.live.now().since(began) < Duration::from_secs(20), "body_read is 5 s");
    lab.say_and_close(request.as_bytes()).await;
    assert!(a.heard().iter().all(|heard| !heard.whole), "half a body is not taken for a whole one");
    assert_eq!(lab.breaker("a", ""), "closed");
    lab.assert_quiet().await;
}

/// What has begun to stream through is refused as what was read first is.
#[tokio::test(start_paused = true)]
async fn a_large_body_that_is_not_as_it_should_be_is_its_callers_fault() {
    let Services { lab, a, .. } = services();
    let head = "POST /lone/x HTTP/1.1\r\nhost: g\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
    let too_much = format!("{head}{}0\r\n\r\n", chunk.repeat(9));
    let broken = format!("{head}{chunk}zz\r\n");
    for (request, status, says) in [(too_much, "413", "max_body"), (broken, "400", "framed wrongly")] {
        let answer = lab.say(request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(says), "{answer}");
        assert!(answer.contains("connection: close") && !answer.contains("retry-after"), "{answer}");
    }
    assert!(a.heard().iter().all(|heard| !heard.whole), "a part of a body is not taken for a whole one");
    assert_eq!(lab.metric_sum("mainstay_requests_total", &["outcome=\"failed\""]), 0.0);
    assert_eq!(lab.breaker("a", ""), "closed");
    lab.assert_quiet().await;
}

/// Over HTTP/2 the end of a stream may be a frame of its own, behind the last byte that a caller over HTTP/1.1 asks
/// for.
#[tokio::test(start_paused = true)]
async fn an_answer_is_whole_with_its_last_byte() {
    let yaml = YAML.replace("http://a/base'", "http://a/base', pool: {http2: prior_knowledge}");
    let said = Said::status(200).header("content-length", "5").data("whole");
    let a = Scribe::saying(said.step(Step::Wait(Duration::from_millis(5))));
    let lab = Lab::beside(&yaml, &[("a", &a)]);
    for _ in 0..3 {
        assert_eq!(lab.send(&Ask::get("/lone/7")).await.text(), "whole");
    }
    assert_eq!(lab.metric_sum("mainstay_requests_total", &["outcome=\"ok\""]), 3.0);
    assert_eq!(lab.metric_sum("mainstay_faults_total", &[]), 0.0);
    assert_eq!(a.heard().len(), 3);
    lab.assert_quiet().await;
    assert_eq!(a.cut_off(), 0, "nobody resets a stream that has said all");
}

#[tokio::test(start_paused = true)]
async fn what_a_service_says_is_passed_on_when_nobody_else_is_left() {
    let Services { lab, a, b } = services();
    // Between the caller and the service, whatever it is.
    for status in [301, 304, 400, 401, 404, 409, 418, 429] {
        a.say(Said::status(status).header("retry-after", "7").header("x-own", "1"));
        let answer = lab.send(&Ask::get("/kept/7")).await;
        assert_eq!(answer.status.as_u16(), status);
        assert_eq!((answer.header("retry-after"), answer.header("x-own")), ("7", "1"), "{status}");
        assert_eq!(answer.header("x-mainstay-attempts"), "1");
    }
    a.say(Said::json(404, "{\"own\":true}"));
    assert_eq!(lab.send(&Ask::get("/lone/7")).await.text(), "{\"own\":true}");
    assert!(b.heard().is_empty());
    assert_eq!(lab.breaker("a", ""), "closed");

    // A failure of the service is another one's work, where the request can be sent again.
    a.say(Said::json(500, "{\"a\":500}"));
    assert_eq!(lab.send(&Ask::get("/kept/7")).await.text(), "b");
    let services = services();
    services.a.say(Said::json(500, "{\"a\":500}").header("x-own", "1"));
    let answer = services.lab.send(&Ask::post("/kept/7", "{}")).await;
    assert_eq!((answer.status.as_u16(), answer.text()), (500, "{\"a\":500}"), "a POST is not repeated");
    assert_eq!(answer.header("x-own"), "1");
    assert!(services.b.heard().is_empty());
    services.lab.assert_quiet().await;
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_failing_service_without_an_alternative_answers_for_itself() {
    for status in [500, 502, 503] {
        let Services { lab, a, .. } = services();
        a.say(Said::json(status, "{\"own\":true}").header("x-own", "1"));
        let answer = lab.send(&Ask::get("/lone/7")).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (status, "{\"own\":true}"));
        assert_eq!(answer.header("x-own"), "1");
        let attempts: usize = answer.header("x-mainstay-attempts").parse().unwrap();
        assert_eq!(a.heard().len(), attempts, "the answer says how often it was asked");
        assert!(attempts <= 2, "{attempts}");
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn answers_without_a_body_keep_their_headers() {
    let Services { lab, a, .. } = services();
    a.say(Said::status(200).header("content-length", "12345").header("content-type", "image/png"));
    let answer = lab.send(&Ask::bare(Method::HEAD, "/kept/7")).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
    assert_eq!(answer.header("content-length"), "12345", "of the body that GET would give");
    assert_eq!(a.only().method, Method::HEAD);

    for status in [204, 304] {
        a.say(Said::status(status).header("etag", "\"7\""));
        let answer = lab.send(&Ask::get("/kept/7")).await;
        assert_eq!((answer.status.as_u16(), answer.body.len(), answer.end), (status, 0, End::Clean));
        assert_eq!(answer.header("etag"), "\"7\"");
    }
    a.say(Said::status(200));
    let answer = lab.send(&Ask::get("/kept/7")).await;
    assert_eq!((answer.body.len(), answer.end), (0, End::Clean));
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn events_pass_the_moment_they_come_and_trailers_do_no_harm() {
    let Services { lab, a, .. } = services();
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "7".parse().unwrap());
    let mut said = Said::status(200).header("content-type", "text/event-stream");
    for n in 0..5 {
        // Shorter than any unit that somebody could wait for, and no whole event.
        said = said.data(format!("{n}")).step(Step::Wait(Duration::from_secs(10)));
    }
    a.say(said.step(Step::Trailers(trailers)));
    let began = lab.gateway.live.now();
    let mut kept = lab.open(&Ask::get("/kept/events")).await;
    assert_eq!(kept.status, 200);
    assert_eq!(kept.headers["content-type"], "text/event-stream");
    for n in 0..5_u64 {
        assert_eq!(kept.next().await.unwrap(), format!("{n}"));
        assert_eq!(lab.gateway.live.now().since(began), Duration::from_secs(10 * n));
    }
    assert_eq!(kept.next().await, None);
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_breaks_off_or_falls_silent_is_never_taken_for_done() {
    let Services { lab, a, .. } = services();
    a.say(Said::status(200).header("content-length", "100").data("half"));
    let answer = lab.send(&Ask::get("/kept/7")).await;
    assert_eq!((answer.text(), answer.end), ("half", End::Cut));

    a.say(Said::status(200).data("begin").step(Step::Hang));
    let answer = lab.send(&Ask::get("/kept/7")).await;
    assert_eq!((answer.text(), answer.end), ("begin", End::Cut));
    assert_eq!(answer.took.as_secs(), 20, "the route's idle");

    // An error answer is bounded like any other.
    for path in ["/kept/7", "/lone/7"] {
        a.say(Said::status(500).data("begin").step(Step::Hang));
        let answer = lab.send(&Ask::post(path, "{}")).await;
        assert_eq!((answer.status.as_u16(), answer.text(), answer.end), (500, "begin", End::Cut));
        assert!(answer.took < Duration::from_secs(30), "{:?}", answer.took);
    }
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_websocket_is_carried_both_ways_until_either_side_ends_it() {
    let lab = Lab::start(
        "
version: 1
upstreams: {a: {provider: simulated}, b: {provider: simulated}}
routes:
  - path: /echo/
    strip: true
    channels: [{upstream: a}, {upstream: b, tier: 1}]
",
    );
    let shake = "GET /echo/ws HTTP/1.1\r\nhost: g\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let switched = |head: &str| {
        head.starts_with("HTTP/1.1 101")
            && head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
            && head.contains("upgrade: websocket")
            && head.to_ascii_lowercase().contains("connection: upgrade")
    };
    for refused in [false, true] {
        if refused {
            lab.sim("a").control().set(vec![Rule::new(Fault::Refuse)]);
        }
        let mut socket = lab.connect();
        socket.write_all(shake.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(switched(&head), "{head}");
        assert_eq!(lab.gateway.in_flight(), 1, "a tunnel is a request under way");
        for message in [&b"\x81\x02hi"[..], &large()[..200_000], b"\x00"] {
            let (mut read, mut write) = tokio::io::split(&mut socket);
            let mut back = vec![0; message.len()];
            let (sent, got) = tokio::join!(write.write_all(message), read.read_exact(&mut back));
            sent.unwrap();
            got.unwrap();
            assert_eq!(back, message, "every byte comes back");
        }
        // Silence is no reason to end it.
        tokio::time::sleep(Duration::from_mins(10)).await;
        socket.write_all(b"still").await.unwrap();
        let mut back = [0; 5];
        socket.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"still");
        drop(socket);
        lab.assert_quiet().await;
    }
    assert_eq!(lab.arrived("b"), 1, "the second one, whose first choice refused");

    // The upstream ends it.
    lab.sim("a").control().clear();
    let lab = {
        drop(lab);
        Lab::start(
            "
version: 1
upstreams: {a: {provider: simulated}}
routes: [{path: /echo/, channels: [{upstream: a}]}]
",
        )
    };
    let mut socket = lab.connect();
    socket.write_all(shake.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    lab.sim("a").control().set(vec![Rule::new(Fault::Refuse)]);
    let mut rest = Vec::new();
    socket.read_to_end(&mut rest).await.unwrap();
    // This caller does not notice, and holds nothing for ever.
    tokio::time::sleep(Duration::from_secs(10)).await;
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_the_service_declines_is_an_answer_like_any_other() {
    let Services { lab, a, .. } = services();
    a.say(Said::status(426).header("upgrade", "h2c").header("content-length", "2").data("no"));
    let shake = "GET /kept/ws HTTP/1.1\r\nhost: g\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
        sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let answer = lab.say(shake.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 426") && answer.ends_with("no"), "{answer}");
    assert_eq!(a.only().header("upgrade"), "websocket");
    lab.assert_quiet().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_ends_the_services_work() {
    let lab = Lab::start(
        "
version: 1
upstreams: {a: {provider: simulated}}
routes: [{path: /echo/, channels: [{upstream: a}]}]
",
    );
    lab.sim("a").control().set(vec![Rule::new(Fault::Hang)]);
    let ask = Ask::get("/echo/7");
    let opening = lab.open(&ask);
    assert!(tokio::time::timeout(Duration::from_secs(1), opening).await.is_err());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(lab.sim("a").control().counts().in_flight, 0);
    let outcomes: Vec<_> = lab.sim("a").control().seen().into_iter().map(|seen| seen.outcome).collect();
    assert_eq!(outcomes, [Outcome::Aborted { after_events: 0 }]);
    lab.assert_quiet().await;
}

/// A message that two servers could divide differently reaches a service with one length only, and
/// what is behind it is the caller's next request or nothing.
#[tokio::test(start_paused = true)]
async fn what_goes_up_has_one_length_whatever_the_caller_claimed() {
    let both = [
        "content-length: 4\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "content-length: 400\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 0",
    ];
    for lengths in both {
        let Services { lab, a, .. } = services();
        let smuggled = "GET /kept/smuggled HTTP/1.1\r\nhost: g\r\nx: ";
        let request =
            format!("POST /kept/7 HTTP/1.1\r\nhost: g\r\n{lengths}\r\n\r\n3\r\nabc\r\n0\r\n\r\n{smuggled}");
        lab.say(request.as_bytes()).await;
        for heard in a.heard() {
            assert_eq!((heard.uri.path(), &*heard.body), ("/base/kept/7", &b"abc"[..]), "{lengths}");
            let chunked = heard.headers.contains_key("transfer-encoding");
            let counted = heard.headers.contains_key("content-length");
            assert!(chunked != counted, "{lengths}: one framing, our own: {:?}", heard.headers);
        }
        assert!(a.heard().len() <= 1, "{lengths}");
        lab.assert_quiet().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_ends_with_the_key_that_it_came_with() {
    let yaml = |access: &str, whole: &str| {
        format!(
            "
version: 1
access: {access}
{whole}
upstreams: {{a: {{provider: simulated}}}}
routes: [{{path: /echo/, strip: true, channels: [{{upstream: a}}]}}]
"
        )
    };
    let good = "{shop: {secret: '${LAB_SHOP}', team: growth}, till: {secret: '${LAB_TILL}'}}";
    let before = format!("teams: {{growth: {{}}}}\nkeys: {good}");
    let ends = [
        ("deleted", "keys: {till: {secret: '${LAB_TILL}'}}".to_owned()),
        ("expired", format!("teams: {{growth: {{expires: 2020-01-01}}}}\nkeys: {good}")),
        ("replaced", before.replace("LAB_SHOP", "LAB_NEXT")),
        ("another's", before.replace("LAB_TILL", "LAB_OTHER").replace("LAB_SHOP", "LAB_TILL")),
    ];
    let stays = [("as it was", before.clone()), ("elsewhere", before.replace(", team: growth", ""))];
    let all = ends.map(|(how, after)| (how, after, true)).into_iter();
    for (how, after, ends) in all.chain(stays.map(|(how, after)| (how, after, false))) {
        for access in ["keys", "open"] {
            let lab = Lab::start(&yaml(access, &before));
            let mut socket = lab.connect();
            let shake = "GET /echo/ws HTTP/1.1\r\nhost: g\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                authorization: Bearer secret-of-LAB_SHOP\r\nsec-websocket-version: 13\r\n\
                sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
            socket.write_all(shake.as_bytes()).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(socket.read_u8().await.unwrap());
            }
            assert!(head.starts_with(b"HTTP/1.1 101"), "{how}");
            // As long as nothing changes it stays.
            tokio::time::sleep(Duration::from_mins(2)).await;
            assert_eq!(lab.gateway.in_flight(), 1, "{how}");
            lab.reload(&yaml(access, &after));
            tokio::time::sleep(Duration::from_secs(11)).await;
            assert_eq!(lab.gateway.in_flight(), u32::from(!ends), "{how}, {access}");
            if ends {
                assert!(socket.read_u8().await.is_err(), "{how}");
            } else {
                socket.write_all(b"still").await.unwrap();
                let mut back = [0; 5];
                socket.read_exact(&mut back).await.unwrap();
                assert_eq!(&back, b"still");
                // And with the process, so that it is in the books.
                lab.gateway.cut_off();
                tokio::time::sleep(Duration::from_secs(2)).await;
                assert_eq!(lab.gateway.in_flight(), 0, "{how}, {access}");
            }
            drop(socket);
            lab.assert_quiet().await;
        }
    }
}
