//! One SIP request over UDP and its answer: enough to ask whether somebody is there.
//!
//! This is the measuring stick for peers, so it shares no code with the user agent that they test.

use std::net::SocketAddr;
use std::time::Duration;

use rand::Rng;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout};

/// How long an answer on loopback may take before the question is asked again.
const PATIENCE: Duration = Duration::from_millis(100);

/// The status with which `uri` answers OPTIONS by way of `next_hop`, asked until it comes or the time is up.
pub async fn options(next_hop: SocketAddr, uri: &str, limit: Duration) -> Option<u16> {
    ask_until(next_hop, uri, limit, |_| true).await
}

/// Asks by OPTIONS until the status is one that is wanted.
pub async fn ask_until(
    next_hop: SocketAddr,
    uri: &str,
    limit: Duration,
    is_wanted: impl Fn(u16) -> bool,
) -> Option<u16> {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).await.ok()?;
    let own = socket.local_addr().ok()?;
    let until = Instant::now() + limit;
    let mut buffer = vec![0; 65_536];
    while Instant::now() < until {
        let unique: u64 = rand::rng().next_u64();
        let request = format!(
            "OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{unique:x};rport\r\nFrom: <sip:probe@probe.test>;tag={unique:x}\r\n\
             To: <{uri}>\r\nCall-ID: {unique:x}@probe.test\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        );
        // A port where nobody listens yet answers with an error of its own; that is no answer.
        let _ = socket.send_to(request.as_bytes(), next_hop).await;
        let call_id = format!("{unique:x}@probe.test");
        let asked = Instant::now();
        while let Some(left) = PATIENCE.checked_sub(asked.elapsed()) {
            let Ok(Ok(len)) = timeout(left, socket.recv(&mut buffer)).await else { break };
            let answer = String::from_utf8_lossy(&buffer[..len]);
            let status = answer.contains(&call_id).then(|| status(&answer)).flatten();
            if let Some(status) = status.filter(|status| *status >= 200) {
                if is_wanted(status) {
                    return Some(status);
                }
                tokio::time::sleep(PATIENCE).await;
                break;
            }
        }
    }
    None
}

fn status(answer: &str) -> Option<u16> {
    answer.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_status_is_read_off_the_first_line() {
        assert_eq!(status("SIP/2.0 404 Not Found\r\n"), Some(404));
        assert_eq!(status("OPTIONS sip:a@b SIP/2.0\r\n"), None);
        assert_eq!(status("SIP/2.0 4"), None);
    }

    #[tokio::test]
    async fn nobody_there_is_no_answer() {
        let gone = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
        assert_eq!(options(gone, "sip:carrier.test", Duration::from_millis(50)).await, None);
    }
}
