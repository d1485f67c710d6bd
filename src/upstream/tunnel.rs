//! The way through a forward proxy: CONNECT, for plain and for encrypted targets alike, so that what follows on the
//! connection is the same as without one, and the proxy sees no more than where it goes.
//!
//! No time limit here: it belongs to the dial, and is the pool's. The proxy looks the target's name up.
//! Source: RFC 9110, section 9.3.6.

use http::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::dial::{DialError, Socket};
use super::target::{Proxy, Target};
use crate::vocab::Fault;

/// Heads of answers are some hundred bytes.
const LONGEST_HEAD: usize = 16 * 1024;
/// Of the words behind a status, for people.
const LONGEST_REASON: usize = 64;

/// Has `proxy`, at the other end of `socket`, lead to `target`.
pub(super) async fn lead(socket: &mut dyn Socket, proxy: &Proxy, target: &Target) -> Result<(), DialError> {
    let failed = |why: String| DialError {
        fault: Fault::Connect,
        detail: format!("the proxy {} did not lead to {}: {why}", proxy.target.shown(), target.shown()),
    };
    let asked = question(target, proxy.authorization.as_ref());
    let told = async {
        socket.write_all(&asked).await?;
        socket.flush().await?;
        head(socket).await
    };
    let head = told.await.map_err(|error| failed(error.to_string()))?;
    let Some((status, reason)) = status(&head) else {
        return Err(failed("its answer is not HTTP".to_owned()));
    };
    match status {
        200..=299 => Ok(()),
        407 if proxy.authorization.is_none() => {
            Err(failed(format!("it wants a user and a password (407 {reason})")))
        }
        407 => Err(failed(format!("it does not take the user and the password (407 {reason})"))),
        _ => Err(failed(format!("it answered {status} {reason}"))),
    }
}

fn question(target: &Target, authorization: Option<&HeaderValue>) -> Vec<u8> {
    let to = target.shown();
    let mut asked = format!("CONNECT {to} HTTP/1.1\r\nhost: {to}\r\n").into_bytes();
    if let Some(value) = authorization {
        asked.extend_from_slice(b"proxy-authorization: ");
        asked.extend_from_slice(value.as_bytes());
        asked.extend_from_slice(b"\r\n");
    }
    asked.extend_from_slice(b"\r\n");
    asked
}

/// The head of the answer, and not a byte of what follows: a target may speak first. So it is read byte by byte, once
/// for each connection.
async fn head(socket: &mut dyn Socket) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(256);
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() == LONGEST_HEAD {
            return Err(std::io::Error::other("the head of its answer does not end"));
        }
        if socket.read(&mut byte).await? == 0 {
            return Err(std::io::Error::other("it closed the connection"));
        }
        head.extend_from_slice(&byte);
    }
    Ok(head)
}

/// The status, and the words behind it as far as they are harmless to show.
fn status(head: &[u8]) -> Option<(u16, String)> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let rest = line.strip_prefix(b"HTTP/1.")?;
    let (digits, reason) = rest.get(1..)?.strip_prefix(b" ")?.split_at_checked(3)?;
    let status =
        std::str::from_utf8(digits).ok()?.parse().ok().filter(|status| (100..600).contains(status))?;
    let shown = reason.iter().filter(|byte| byte.is_ascii_alphanumeric() || **byte == b' ');
    let shown: String = shown.take(LONGEST_REASON).map(|byte| char::from(*byte)).collect();
    Some((status, shown.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_or_the_answer_is_none() {
        let check = |head: &[u8], expected: Option<(u16, &str)>| {
            let expected = expected.map(|(status, reason)| (status, reason.to_owned()));
            assert_eq!(status(head), expected, "{head:?}");
        };
        check(b"HTTP/1.1 200 Connection established\r\n\r\n", Some((200, "Connection established")));
        check(b"HTTP/1.0 200\n\n", Some((200, "")));
        check(b"HTTP/1.1 407 Proxy \x1b[1mAuthentication\r\n", Some((407, "Proxy 1mAuthentication")));
        for none in
            [&b""[..], b"HTTP/1.1\r\n", b"HTTP/2 200\r\n", b"HTTP/1.1 20\r\n", b"HTTP/1.1 999 x\r\n", b"\0\0"]
        {
            check(none, None);
        }
    }
}
