//! The proxy does what its faults say, and nothing else.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rcseal_sim::proxy::{FaultProxy, Faults, HeaderRewrite};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(10);

/// A server that sends back what it gets, and the sizes of the pieces in which it got it.
async fn echo() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (pieces, sizes) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let pieces = pieces.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(len) = stream.read(&mut buffer).await {
                    if len == 0 || stream.write_all(&buffer[..len]).await.is_err() {
                        return;
                    }
                    let _ = pieces.send(len);
                }
            });
        }
    });
    (addr, sizes)
}

async fn proxy(faults: Faults) -> (FaultProxy, TcpStream) {
    let (addr, _) = echo().await;
    let proxy = FaultProxy::start(addr, faults, 1).await.unwrap();
    let stream = TcpStream::connect(proxy.addr()).await.unwrap();
    (proxy, stream)
}

/// Sends bytes through the proxy and back.
async fn there_and_back(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut back = vec![0; bytes.len()];
    let (mut read, mut write) = stream.split();
    let (written, got) = tokio::join!(write.write_all(bytes), timeout(LIMIT, read.read_exact(&mut back)));
    written?;
    got.unwrap()?;
    Ok(back)
}

#[tokio::test]
async fn without_faults_bytes_pass_as_they_are() {
    let (proxy, mut stream) = proxy(Faults::default()).await;
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
    assert_eq!(there_and_back(&mut stream, &bytes).await.unwrap(), bytes);
    assert_eq!((proxy.counts().connections(), proxy.counts().bytes()), (1, 400_000));
    assert!(!proxy.counts().has_harmed());
}

#[tokio::test]
async fn a_delay_holds_both_directions_up() {
    let faults = Faults { delay: Duration::from_millis(40), jitter: Duration::from_millis(10), ..Faults::default() };
    let (_proxy, mut stream) = proxy(faults).await;
    let began = Instant::now();
    there_and_back(&mut stream, b"ping").await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(80), "{:?}", began.elapsed());
}

#[tokio::test]
async fn bandwidth_is_bounded() {
    let faults = Faults { bytes_per_second: Some(100_000), slice_max: Some(1000), ..Faults::default() };
    let (_proxy, mut stream) = proxy(faults).await;
    let began = Instant::now();
    there_and_back(&mut stream, &[7; 20_000]).await.unwrap();
    // A fifth of a second, less the first piece, which leaves at once.
    assert!(began.elapsed() >= Duration::from_millis(180), "{:?}", began.elapsed());
}

#[tokio::test]
async fn slices_are_small_and_nothing_is_missing() {
    let (addr, mut sizes) = echo().await;
    let proxy = FaultProxy::start(addr, Faults { slice_max: Some(3), ..Faults::default() }, 1).await.unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(there_and_back(&mut stream, b"0123456789").await.unwrap(), b"0123456789");
    assert!(sizes.recv().await.unwrap() <= 10);
}

#[tokio::test]
async fn a_connection_is_reset_after_so_many_bytes() {
    let (proxy, mut stream) = proxy(Faults { reset_after: Some(1000), ..Faults::default() }).await;
    assert_eq!(there_and_back(&mut stream, &[1; 900]).await.unwrap(), [1; 900]);
    let error = there_and_back(&mut stream, &[1; 900]).await.unwrap_err();
    let kinds =
        [std::io::ErrorKind::ConnectionReset, std::io::ErrorKind::UnexpectedEof, std::io::ErrorKind::BrokenPipe];
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert_eq!(proxy.counts().resets(), 1);
}

#[tokio::test]
async fn connections_are_reset_after_random_numbers_of_bytes() {
    let (addr, _sizes) = echo().await;
    let proxy = FaultProxy::start(addr, Faults { reset_within: Some(100_000), ..Faults::default() }, 1).await.unwrap();
    let mut lived = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
        let mut rounds = 0;
        while there_and_back(&mut stream, &[1; 1000]).await.is_ok() {
            rounds += 1;
        }
        lived.insert(rounds);
    }
    assert!(lived.len() > 1, "{lived:?}");
    assert_eq!(proxy.counts().resets(), 4);
}

#[tokio::test]
async fn the_first_connections_fall_into_a_hole_and_the_next_passes() {
    let (proxy, mut stream) = proxy(Faults { blackhole_connections: 1, ..Faults::default() }).await;
    stream.write_all(b"hello").await.unwrap();
    let mut byte = [0];
    assert!(timeout(Duration::from_millis(200), stream.read(&mut byte)).await.is_err());
    let mut second = TcpStream::connect(proxy.addr()).await.unwrap();
    assert_eq!(there_and_back(&mut second, b"hello").await.unwrap(), b"hello");
    assert_eq!(proxy.counts().swallowed(), 5);
}

#[tokio::test]
async fn bits_are_flipped_by_the_seed() {
    let (addr, _sizes) = echo().await;
    let mut outcomes = Vec::new();
    for seed in [5, 5, 6] {
        let faults = Faults { corrupt_one_in: Some(500), ..Faults::default() };
        let proxy = FaultProxy::start(addr, faults, seed).await.unwrap();
        let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
        let back = there_and_back(&mut stream, &[0; 8000]).await.unwrap();
        let flipped = back.iter().filter(|byte| **byte != 0).count();
        assert!((5..100).contains(&flipped), "{flipped}");
        assert!(proxy.counts().corrupted() >= flipped as u64);
        outcomes.push(back);
    }
    assert_eq!(outcomes[0], outcomes[1]);
    assert_ne!(outcomes[0], outcomes[2]);
}

#[tokio::test]
async fn header_lines_are_rewritten_and_taken_out_wherever_pieces_end() {
    let headers = vec![HeaderRewrite::set("Server", "other"), HeaderRewrite::remove("contact")];
    let (addr, _sizes) = echo().await;
    let proxy = FaultProxy::start(addr, Faults { headers, ..Faults::default() }, 1).await.unwrap();
    let mut stream = TcpStream::connect(proxy.addr()).await.unwrap();
    let request = b"OPTIONS sip:a SIP/2.0\r\nserVER: x\r\nContact: <sip:a>\r\nServers: stay\r\n\r\nbody";
    for piece in request.chunks(5) {
        stream.write_all(piece).await.unwrap();
        stream.flush().await.unwrap();
    }
    stream.shutdown().await.unwrap();
    let mut back = Vec::new();
    timeout(LIMIT, stream.read_to_end(&mut back)).await.unwrap().unwrap();
    assert_eq!(String::from_utf8(back).unwrap(), "OPTIONS sip:a SIP/2.0\r\nServer: other\r\nServers: stay\r\n\r\nbody");
    assert!(proxy.counts().rewritten() >= 2);
}
