//! The HTTP/1.1 exchange against peers whose every byte is scripted.

use std::collections::VecDeque;
use std::io;
use std::sync::Mutex;
use std::task::{Context, Poll};

use http::{HeaderMap, StatusCode, Version};
use proptest::prelude::*;
use tokio::io::ReadBuf;

use super::*;

/// What one peer says, piece by piece, and what it does with what it is told.
#[derive(Default)]
struct Script {
    says: VecDeque<Vec<u8>>,
    then: Then,
    /// How many bytes it takes before it refuses more.
    takes: Option<usize>,
    heard: Arc<Mutex<Vec<u8>>>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Then {
    #[default]
    Silence,
    End,
}

impl AsyncRead for Script {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(mut piece) = self.says.pop_front() else {
            return if self.then == Then::End { Poll::Ready(Ok(())) } else { Poll::Pending };
        };
        if piece.len() > buf.remaining() {
            let rest = piece.split_off(buf.remaining());
            self.says.push_front(rest);
        }
        buf.put_slice(&piece);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let n = self.takes.map_or(buf.len(), |takes| takes.min(buf.len()));
        if n == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.takes = self.takes.map(|takes| takes - n);
        self.heard.lock().unwrap().extend_from_slice(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Scripted peers, one for each dial.
struct Scripts(Mutex<VecDeque<Script>>);

impl Dial for Scripts {
    fn dial(&self, _: Arc<Target>) -> Dialing {
        let script = self.0.lock().unwrap().pop_front().expect("another dial is scripted");
        Box::pin(async move { Ok(Box::new(script) as Box<dyn Socket>) })
    }
}

fn pool(scripts: impl IntoIterator<Item = Script>) -> Arc<Pool> {
    let dial = Arc::new(Scripts(Mutex::new(scripts.into_iter().collect())));
    Pool::new("x".into(), plain("peer.test", 80, Http2::Never), settings(), dial)
}

fn saying<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, then: Then) -> Script {
    let says = pieces.into_iter().filter(|piece| !piece.is_empty()).map(<[u8]>::to_vec).collect();
    Script { says, then, ..Script::default() }
}

#[derive(Debug, PartialEq)]
struct Heard {
    status: StatusCode,
    version: Version,
    fields: HeaderMap,
    body: Result<(Vec<u8>, Option<HeaderMap>), Fault>,
    kept: bool,
}

/// One request to a peer with this script.
async fn hear(request: Request<Outgoing>, script: Script) -> Result<Heard, (Fault, Stage)> {
    let pool = pool([script]);
    let limits = CallLimits { headers: Duration::from_millis(1), ..limits() };
    let (parts, body) = match pool.call(request, limits).await {
        Ok(response) => response.into_parts(),
        Err(error) => return Err((error.fault, error.stage)),
    };
    let body = tokio::time::timeout(SECOND, body.collect()).await.expect("the script ends the body");
    Ok(Heard {
        status: parts.status,
        version: parts.version,
        fields: parts.headers,
        body: body
            .map(|body| (body.trailers().cloned(), body.to_bytes().to_vec()))
            .map(|(trailers, data)| (data, trailers))
            .map_err(|error| error.fault),
        kept: pool.counts() == counts(1, 0),
    })
}

async fn hear_bytes(said: &[u8], then: Then) -> Result<Heard, (Fault, Stage)> {
    hear(get("/"), saying([said], then)).await
}

const RESPONSES: [&[u8]; 4] = [
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nx-a: 1\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n3;e\r\ntwo\r\n0\r\nx-t: 1\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\nx-empty:\r\n\r\nnone",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"\r\nHTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
];

#[tokio::test(start_paused = true)]
async fn a_response_is_the_same_wherever_it_is_split() {
    for response in RESPONSES {
        let whole = hear_bytes(response, Then::Silence).await.expect("an answer");
        assert!(whole.kept && whole.body.is_ok(), "{whole:?}");
        for at in 1..response.len() {
            let (a, b) = response.split_at(at);
            let split = hear(get("/"), saying([a, b], Then::Silence)).await.expect("an answer");
            assert_eq!(split, whole, "at {at}");
        }
        let bytes = hear(get("/"), saying(response.chunks(1), Then::Silence)).await.expect("an answer");
        assert_eq!(bytes, whole);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_cut_anywhere_is_never_taken_for_whole() {
    for response in &RESPONSES[..2] {
        for at in 0..response.len() {
            let cut = &response[..at];
            match hear_bytes(cut, Then::End).await {
                Err(lost) => assert_eq!(lost, (Fault::Reset, Stage::Waiting), "at {at}"),
                Ok(heard) => {
                    let body = heard.body.expect_err("not whole");
                    assert!(matches!(body, Fault::Truncated | Fault::StreamCut), "{body:?} at {at}");
                    assert!(!heard.kept);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn interim_responses_are_passed_over_up_to_a_bound() {
    let said = |n: usize| {
        let mut said = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(n);
        said.extend_from_slice(&answer("at last"));
        said
    };
    let heard = hear_bytes(&said(16), Then::Silence).await.expect("an answer");
    assert_eq!(heard.body, Ok((b"at last".to_vec(), None)));
    let flood = hear_bytes(&said(17), Then::Silence).await;
    assert_eq!(flood, Err((Fault::Protocol, Stage::Waiting)));
}

#[tokio::test(start_paused = true)]
async fn a_head_without_end_is_given_up() {
    let mut endless = b"HTTP/1.1 200 OK\r\nx: ".to_vec();
    endless.extend_from_slice(&b"y".repeat(70_000));
    for piece in [70_100, 1000, 7] {
        let heard = hear(get("/"), saying(endless.chunks(piece), Then::Silence)).await;
        assert_eq!(heard, Err((Fault::Protocol, Stage::Waiting)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_switch_that_was_not_asked_for_is_a_protocol_fault() {
    let said = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n";
    assert_eq!(hear_bytes(said, Then::Silence).await, Err((Fault::Protocol, Stage::Waiting)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_not_kept_after_more_than_was_framed() {
    for said in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n!",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 9\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        let heard = hear_bytes(said, Then::Silence).await.expect("an answer");
        assert_eq!((heard.body, heard.kept), (Ok((b"ok".to_vec(), None)), false));
    }
    let heard = hear_bytes(b"HTTP/1.1 204 No Content\r\ncontent-length: 1\r\n\r\n!", Then::Silence).await;
    assert!(!heard.expect("an answer").kept);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_ends_with_its_connection_is_whole() {
    let heard = hear_bytes(b"HTTP/1.1 200 OK\r\n\r\nall there is", Then::End).await.expect("an answer");
    assert_eq!((heard.body, heard.kept), (Ok((b"all there is".to_vec(), None)), false));
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_head_has_no_body_and_keeps_its_connection() {
    let mut request = get("/");
    *request.method_mut() = Method::HEAD;
    let said = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n";
    let heard = hear(request, saying([&said[..]], Then::Silence)).await.expect("an answer");
    assert_eq!((heard.body, heard.kept), (Ok((Vec::new(), None)), true));
    assert_eq!(heard.fields["content-length"], "500");
}

#[tokio::test(start_paused = true)]
async fn large_bodies_come_through_whole() {
    let body: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
    let mut plain = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    plain.extend_from_slice(&body);
    let mut chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in body.chunks(30_001) {
        chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        chunked.extend_from_slice(chunk);
        chunked.extend_from_slice(b"\r\n");
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    for said in [plain, chunked] {
        for piece in [said.len(), 50_000, 999] {
            let heard = hear(get("/"), saying(said.chunks(piece), Then::Silence)).await.expect("an answer");
            assert!(heard.kept);
            assert!(heard.body.expect("whole").0 == body);
        }
    }
}

/// What a peer hears that takes at most `takes` bytes and answers `said`.
async fn told(request: Request<Outgoing>, takes: Option<usize>, said: &[u8]) -> (String, Option<Heard>) {
    let script = Script { takes, ..saying([said], Then::Silence) };
    let heard = Arc::clone(&script.heard);
    let answer = hear(request, script).await.ok();
    let heard = heard.lock().unwrap().clone();
    (String::from_utf8(heard).unwrap(), answer)
}

#[tokio::test(start_paused = true)]
async fn a_request_says_how_long_its_body_is() {
    const HEAD: &str = "POST / HTTP/1.1\r\nhost: peer.test\r\n";
    let request = |body| Request::builder().method(Method::POST).uri("/").body(body).unwrap();
    let said = answer("");
    let numbers: Vec<String> = (0..100).map(|n| format!("{n:02}")).collect();
    let pieces = Outgoing::pieces(numbers.iter().cloned().map(Bytes::from));
    let numbers = numbers.concat();
    for (body, expected) in [
        (Outgoing::Empty, format!("{HEAD}content-length: 0\r\n\r\n")),
        (Outgoing::Whole("body".into()), format!("{HEAD}content-length: 4\r\n\r\nbody")),
        (pieces, format!("{HEAD}content-length: 200\r\n\r\n{numbers}")),
        (
            streamed(&["a", "", "bcd"]),
            format!("{HEAD}transfer-encoding: chunked\r\n\r\n1\r\na\r\n3\r\nbcd\r\n0\r\n\r\n"),
        ),
        (streamed(&[]), format!("{HEAD}transfer-encoding: chunked\r\n\r\n0\r\n\r\n")),
    ] {
        let (told, heard) = told(request(body), None, &said).await;
        assert_eq!(told, expected);
        assert!(heard.expect("an answer").kept);
    }
    let mut stated = request(streamed(&["a", "bcd"]));
    stated.headers_mut().insert("content-length", 4.into());
    assert_eq!(told(stated, None, &said).await.0, format!("{HEAD}content-length: 4\r\n\r\nabcd"));
    assert_eq!(told(get("/"), None, &said).await.0, "GET / HTTP/1.1\r\nhost: peer.test\r\n\r\n");
}

#[tokio::test(start_paused = true)]
async fn a_streamed_body_that_is_not_as_long_as_it_says_is_the_callers_fault() {
    for length in [3, 5] {
        let mut request = post("");
        *request.body_mut() = streamed(&["ab", "cd"]);
        request.headers_mut().insert("content-length", length.into());
        let heard = hear(request, saying([], Then::Silence)).await;
        assert_eq!(heard.expect_err("no answer").0, Fault::Cancelled);
    }
}

/// A body of these pieces, and of no known length.
fn streamed(pieces: &'static [&'static str]) -> Outgoing {
    let mut pieces = pieces.iter();
    Outgoing::Streamed(BoxBody::new(Polled(move |_: &mut Context<'_>| {
        Poll::Ready(
            pieces.next().map(|piece| Ok(http_body::Frame::data(Bytes::from_static(piece.as_bytes())))),
        )
    })))
}

struct Polled<F>(F);

impl<F> http_body::Body for Polled<F>
where
    F: FnMut(&mut Context<'_>) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        (self.0)(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_refuses_the_rest_of_a_request_is_heard_out() {
    let said = b"HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nmuch";
    let (_, heard) = told(post(&"x".repeat(1000)), Some(500), said).await;
    let heard = heard.expect("an answer");
    assert_eq!((heard.status.as_u16(), heard.body, heard.kept), (413, Ok((b"much".to_vec(), None)), false));
    let script = Script { takes: Some(500), ..saying([], Then::End) };
    assert_eq!(hear(post(&"x".repeat(1000)), script).await, Err((Fault::Reset, Stage::Sending)));
}

#[tokio::test(start_paused = true)]
async fn a_request_of_which_nothing_left_goes_over_another_connection() {
    let dead = || Script { takes: Some(0), ..saying([], Then::End) };
    let bodies =
        [Outgoing::Empty, Outgoing::Whole("body".into()), Outgoing::pieces(["a", "b"].map(Bytes::from))];
    for body in bodies {
        let pool = pool([dead(), dead(), saying([&answer("ok")[..]], Then::Silence)]);
        let request = Request::builder().method(Method::POST).uri("/").body(body).unwrap();
        assert_eq!(text(pool.call(request, limits()).await.expect("an answer")).await, "ok");
    }
    let pool = pool([dead(), dead(), dead()]);
    assert_eq!(fault(pool.call(post("body"), limits()).await), (Fault::NotProcessed, Stage::NotSent));
    assert_eq!(pool.counts(), PoolCounts::default());
}

/// The answer's head is there before the request's body has ended.
async fn early(
    said: &'static str,
) -> (Arc<Pool>, Incoming, Arc<Mutex<Vec<u8>>>, Arc<Mutex<VecDeque<&'static str>>>) {
    let script = saying([said.as_bytes()], Then::Silence);
    let heard = Arc::clone(&script.heard);
    let pieces = Arc::new(Mutex::new(VecDeque::from(["first"])));
    let source = Arc::clone(&pieces);
    let body = Polled(move |_: &mut Context<'_>| match source.lock().unwrap().pop_front() {
        Some("") => Poll::Ready(None),
        Some(piece) => Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(piece.as_bytes()))))),
        None => Poll::Pending,
    });
    let pool = pool([script]);
    let mut request = post("");
    *request.body_mut() = Outgoing::Streamed(BoxBody::new(body));
    let body = pool.call(request, limits()).await.expect("an early answer").into_body();
    (pool, body, heard, pieces)
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_gets_the_rest_of_the_request_unless_it_is_a_refusal() {
    for (said, goes_on) in [
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", true),
        ("HTTP/1.1 400 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", false),
    ] {
        let (_pool, mut body, heard, pieces) = early(said).await;
        assert!(heard.lock().unwrap().ends_with(b"5\r\nfirst\r\n"));
        pieces.lock().unwrap().extend(["second", ""]);
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ok");
        assert_eq!(heard.lock().unwrap().ends_with(b"6\r\nsecond\r\n0\r\n\r\n"), goes_on);
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_ends_before_its_request_costs_the_connection() {
    let (pool, body, ..) = early("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    assert_eq!(body.collect().await.expect("whole").to_bytes(), "ok");
    assert_eq!(pool.counts(), PoolCounts::default());

    let (pool, body, _, pieces) = early("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    pieces.lock().unwrap().push_back("");
    assert_eq!(body.collect().await.expect("whole").to_bytes(), "ok");
    assert_eq!(pool.counts(), counts(1, 0), "both have ended");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_a_peer_says_it_is_an_answer_or_a_fault_and_the_same_in_any_pieces(
        begins in prop::sample::select(vec!["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"]),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"0159aF;\r\n :"[..])], 0..200),
        size in 1_usize..50,
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let said = [begins.as_bytes(), &bytes].concat();
        let (whole, pieces) = runtime.block_on(async {
            (hear_bytes(&said, Then::End).await, hear(get("/"), saying(said.chunks(size), Then::End)).await)
        });
        // What was delivered before a fault may differ, and whether anything was.
        let verdict = |heard: Result<Heard, (Fault, Stage)>| {
            heard.map(|heard| (heard.status, heard.fields, heard.body.map_err(drop), heard.kept))
        };
        let (whole, pieces) = (verdict(whole), verdict(pieces));
        if !matches!((&whole, &pieces), (Err(_), Err(_))) {
            prop_assert_eq!(whole, pieces);
        }
    }
}
