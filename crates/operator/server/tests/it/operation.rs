//! Running it: probes, metrics, shutdown.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::TestServer;

async fn admin_get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    reply
}

async fn with_admin() -> (TestServer, SocketAddr) {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = TestServer::start_with(|config| config.server.admin_listen = Some(listen)).await;
    let address = server.running.admin_addr().unwrap();
    (server, address)
}

#[tokio::test]
async fn the_admin_listener_answers_probes_and_metrics() {
    let (server, admin) = with_admin().await;
    server.registered().await;
    assert!(admin_get(admin, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(admin_get(admin, "/readyz").await.starts_with("HTTP/1.1 200"));
    let page = admin_get(admin, "/metrics").await;
    assert!(page.contains("rcseal_registrations_total{outcome=\"Accepted\"} 1"), "{page}");
    assert!(page.contains("rcseal_logins_total{outcome=\"Accepted\"} 1"));
    assert!(page.contains("rcseal_store_ready 1"));
    assert!(admin_get(admin, "/v1/accounts").await.starts_with("HTTP/1.1 404"));
}

#[tokio::test]
async fn metrics_name_no_account() {
    let (server, admin) = with_admin().await;
    let (owner, mut client) = server.registered().await;
    client.get(&format!("/v1/accounts/{}/key-set", owner.account)).await;
    let page = admin_get(admin, "/metrics").await;
    assert!(!page.contains(&owner.account.to_string()));
    assert!(!page.contains(&owner.mailbox.to_string()));
}

#[tokio::test]
async fn shutdown_lets_a_running_request_finish_and_refuses_new_ones() {
    let server = TestServer::start().await;
    let address = server.running.addr();
    let mut client = server.connect().await;
    let link: rcseal_wire::api::LinkCreated = client.bytes(http::Method::POST, "/v1/links", &[], b"").await.json();
    let waiting = tokio::spawn(async move { client.get(&format!("/v1/links/{}/1?wait=30", link.id)).await });
    let running = async {
        while !server.running.metrics().contains("rcseal_requests_running 1\n") {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), running).await.unwrap();
    timeout(Duration::from_secs(10), server.running.shutdown()).await.unwrap();
    let reply = waiting.await.unwrap();
    assert_eq!(reply.status, 204);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn idle_and_half_open_connections_do_not_delay_shutdown() {
    let server = TestServer::start().await;
    let address = server.running.addr();
    let silent = TcpStream::connect(address).await.unwrap();
    let shaken = server.tls.connect(address).await;
    let http2 = server.tls.with_protocol(b"h2").connect(address).await;
    let mut idle = server.connect().await;
    assert_eq!(idle.get("/openapi.json").await.status, 200);
    timeout(Duration::from_secs(5), server.running.shutdown()).await.unwrap();
    drop((silent, shaken, http2));
}

#[tokio::test]
async fn a_request_over_http_2_finishes_while_the_server_stops() {
    let server = TestServer::start().await;
    let mut opener = server.connect().await;
    let link: rcseal_wire::api::LinkCreated = opener.bytes(http::Method::POST, "/v1/links", &[], b"").await.json();
    drop(opener);
    let stream = server.tls.with_protocol(b"h2").connect(server.running.addr()).await;
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let path = format!("https://localhost/v1/links/{}/1?wait=30", link.id);
    let request = http::Request::get(path).body(crate::support::full("")).unwrap();
    let waiting = tokio::spawn(sender.send_request(request));
    let running = async {
        while !server.running.metrics().contains("rcseal_requests_running 1\n") {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), running).await.unwrap();
    drop(sender);
    timeout(Duration::from_secs(10), server.running.shutdown()).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().status(), 204);
}

#[tokio::test]
async fn a_full_disk_is_said_and_left_behind() {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut server = TestServer::start_with(|config| {
        config.server.admin_listen = Some(listen);
        config.storage.free_bytes_min = u64::MAX;
    })
    .await;
    let owner = crate::support::Owner::new();
    let reply = server.connect().await.post("/v1/accounts", &owner.register_request()).await;
    assert_eq!(reply.code(), "unavailable");
    assert!(reply.headers.contains_key("retry-after"));
    let ready = admin_get(server.running.admin_addr().unwrap(), "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 503") && ready.ends_with("store_full\n"), "{ready}");
    // Somebody made room.
    server.config.storage.free_bytes_min = 0;
    let server = server.restart().await;
    assert_eq!(server.connect().await.post("/v1/accounts", &owner.register_request()).await.status, 201);
    let ready = admin_get(server.running.admin_addr().unwrap(), "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200"));
}

#[cfg(unix)]
#[tokio::test]
async fn what_the_server_stores_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = TestServer::start().await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&server.config.storage.path), 0o700);
    assert_eq!(mode(&server.config.storage.path.join("admin.sock")), 0o600);
}

#[tokio::test]
async fn what_was_accepted_is_there_after_a_restart() {
    let server = TestServer::start().await;
    let (owner, mut client) = server.registered().await;
    let (next, _) = owner.with_linked_device();
    assert_eq!(client.put("/v1/account/key-set", &crate::support::body(&next)).await.status, 204);
    let server = server.restart().await;
    let mut client = server.contact(&owner).await;
    let reply = client.get(&format!("/v1/accounts/{}/key-set", owner.account)).await;
    assert_eq!(reply.json::<rcseal_wire::api::KeySetBody>().key_set.0, next.as_bytes());
}

#[cfg(unix)]
#[tokio::test]
async fn a_storage_folder_that_others_could_enter_is_closed_to_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = TestServer::start_with(|config| {
        config.storage.blobs = Some(config.storage.path.with_file_name("elsewhere"));
        for folder in [config.storage.path.clone(), config.blob_folder()] {
            std::fs::create_dir(&folder).unwrap();
            std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
    })
    .await;
    for folder in [server.config.storage.path.clone(), server.config.blob_folder()] {
        assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700, "{}", folder.display());
    }
}
