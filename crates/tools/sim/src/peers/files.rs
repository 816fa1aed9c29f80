//! A content server for peers that fetch files: `GET` of what was put there, over plain HTTP on loopback.
//!
//! Only what `linphonec` needs. Our own transfer, with ranges and authentication, is tested in its own crate.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{PeerError, prepare};

type Files = Arc<Mutex<HashMap<String, Vec<u8>>>>;
/// A request with its headers is a few hundred bytes.
const REQUEST_MAX: u64 = 16_384;

/// The server. It ends with this value.
#[derive(Debug)]
pub struct ContentServer {
    address: SocketAddr,
    files: Files,
    fetched: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl ContentServer {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// [`PeerError::Prepare`].
    pub async fn start() -> Result<Self, PeerError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(prepare("the content server"))?;
        let address = listener.local_addr().map_err(prepare("the content server"))?;
        let files = Files::default();
        let fetched = Arc::<Mutex<Vec<String>>>::default();
        let task = tokio::spawn(serve(listener, files.clone(), fetched.clone()));
        Ok(Self { address, files, fetched, task })
    }

    /// Puts a file there and gives its URL.
    pub fn put(&self, name: &str, bytes: Vec<u8>) -> String {
        let path = format!("/{name}");
        let url = format!("http://{}{path}", self.address);
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(path, bytes);
        url
    }

    /// The paths that were asked for so far.
    #[must_use]
    pub fn fetched(&self) -> Vec<String> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for ContentServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, files: Files, fetched: Arc<Mutex<Vec<String>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (files, fetched) = (files.clone(), fetched.clone());
        // A peer that breaks off has only itself to blame.
        tokio::spawn(async move {
            let _ = answer(stream, &files, &fetched).await;
        });
    }
}

async fn answer(stream: TcpStream, files: &Files, fetched: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read.take(REQUEST_MAX)).lines();
    let first = lines.next_line().await?.unwrap_or_default();
    while lines.next_line().await?.is_some_and(|line| !line.is_empty()) {}
    let path = first.strip_prefix("GET ").and_then(|rest| rest.split(' ').next()).unwrap_or_default().to_owned();
    let file = files.lock().unwrap_or_else(PoisonError::into_inner).get(&path).cloned();
    let (status, body) = file.map_or(("404 Not Found", Vec::new()), |bytes| ("200 OK", bytes));
    fetched.lock().unwrap_or_else(PoisonError::into_inner).push(path);
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    write.write_all(head.as_bytes()).await?;
    write.write_all(&body).await?;
    write.shutdown().await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn get(url: &str) -> String {
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let mut stream = TcpStream::connect(host).await.unwrap();
        stream.write_all(format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn what_was_put_there_is_given_out_and_nothing_else() {
        let server = ContentServer::start().await.unwrap();
        let url = server.put("blob", b"bytes".to_vec());
        assert!(get(&url).await.ends_with("\r\n\r\nbytes"));
        assert!(get(&format!("{url}s")).await.starts_with("HTTP/1.1 404 "));
        assert_eq!(server.fetched(), ["/blob", "/blobs"]);
    }
}
