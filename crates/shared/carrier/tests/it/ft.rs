//! Files to and from a content server that keeps to RCC.07, and from ones that do not.

use std::time::Duration;

use rcseal_carrier::auth::{Credentials, Password};
use rcseal_carrier::ft::{
    BlobSink, ContentUrl, FileSink, Forbidden, FtClient, FtConfig, FtError, FtLimits, NotSealed, SealedBlob,
    SealedType, Source, Stage,
};
use rcseal_carrier::tls::TrustAnchors;
use rcseal_crypto::hash::sha256;
use rcseal_wire::id::Digest;

use crate::support::bytes;
use crate::support::content_server::{FakeContentServer, Faults};

fn sealed(bytes: &[u8]) -> SealedBlob {
    SealedBlob::new(bytes.to_vec(), Digest::from_bytes(sha256(&[bytes]))).unwrap()
}

fn limits() -> FtLimits {
    FtLimits { stall: Duration::from_millis(500), ..FtLimits::default() }
}

fn client_with(server: &FakeContentServer, password: &str) -> FtClient {
    let url = ContentUrl::parse(&server.upload_url()).unwrap();
    let credentials = Credentials::Password { user: "alice".to_owned(), password: Password::new(password) };
    FtClient::new(FtConfig::new(TrustAnchors::none()).with_upload(url, Some(credentials)).with_limits(limits()))
}

fn client(server: &FakeContentServer) -> FtClient {
    client_with(server, "content password")
}

fn source(server: &FakeContentServer, id: &str, file: &[u8]) -> Source {
    let url = ContentUrl::parse(&server.file_url(id)).unwrap();
    Source { url, len: file.len() as u64, digest: Some(Digest::from_bytes(sha256(&[file]))) }
}

async fn serving(faults: Faults, file: &[u8]) -> (FakeContentServer, FtClient, Source) {
    let server = FakeContentServer::start(faults).await;
    server.put("f", file.to_vec());
    let (client, source) = (client(&server), source(&server, "f", file));
    (server, client, source)
}

#[test]
fn only_what_a_sealer_named_can_be_uploaded() {
    let sealer_says = Digest::from_bytes(sha256(&[b"ciphertext"]));
    assert!(SealedBlob::new(b"ciphertext".to_vec(), sealer_says).is_ok());
    assert_eq!(SealedBlob::new(b"plaintext".to_vec(), sealer_says).unwrap_err(), NotSealed);
}

#[tokio::test]
async fn a_file_goes_up_and_comes_down_byte_for_byte() {
    let server = FakeContentServer::start(Faults::default()).await;
    for len in [1, 200, 70_000, 1 << 20] {
        let file = bytes(len);
        let descriptor = client(&server).upload(&sealed(&file), SealedType::OctetStream).await.unwrap();
        let source = Source::from(&descriptor.file);
        let mut sink = Vec::new();
        client(&server).download(&source, &mut sink).await.unwrap();
        assert!(sink == file, "{len} bytes differ");
    }
    for kept in server.files() {
        assert_eq!((kept.name.as_str(), kept.content_type.as_str()), ("encrypted_file", "application/octet-stream"));
    }
}

#[tokio::test]
async fn the_challenge_is_fetched_without_the_file() {
    let server = FakeContentServer::start(Faults::default()).await;
    client(&server).upload(&sealed(b"file"), SealedType::MlsFile).await.unwrap();
    assert_eq!(server.requests(), ["POST /upload", "POST /upload", "POST /upload"]);
}

#[tokio::test]
async fn a_stale_nonce_is_replaced_and_a_wrong_password_is_not_repeated() {
    let server = FakeContentServer::start(Faults { stale_nonces: 1, ..Faults::default() }).await;
    client(&server).upload(&sealed(b"file"), SealedType::OctetStream).await.unwrap();
    assert_eq!(server.files().len(), 1);

    let server = FakeContentServer::start(Faults::default()).await;
    let error = client_with(&server, "wrong").upload(&sealed(b"file"), SealedType::OctetStream).await.unwrap_err();
    assert!(matches!(error, FtError::Unauthorized), "{error:?}");
    assert_eq!((server.requests().len(), server.files().len()), (2, 0));

    // One that calls every nonce stale is not asked for ever.
    let server = FakeContentServer::start(Faults { stale_nonces: 100, ..Faults::default() }).await;
    let error = client(&server).upload(&sealed(b"file"), SealedType::OctetStream).await.unwrap_err();
    assert!(matches!(error, FtError::Unauthorized), "{error:?}");
}

#[tokio::test]
async fn a_cut_upload_goes_on_where_it_stopped() {
    let faults = Faults { cut_uploads_after: vec![100_000, 50_000], ..Faults::default() };
    let server = FakeContentServer::start(faults).await;
    let file = bytes(400_000);
    let descriptor = client(&server).upload(&sealed(&file), SealedType::OctetStream).await.unwrap();
    assert_eq!(descriptor.file.size, 400_000);
    assert!(server.files()[0].bytes == file);
    let puts: Vec<_> = server.requests().into_iter().filter(|request| request.starts_with("PUT")).collect();
    assert!(puts[0].ends_with("bytes 100000-399999/400000"), "{puts:?}");
    assert!(puts[1].ends_with("bytes 150000-399999/400000"), "{puts:?}");
}

#[tokio::test]
async fn a_cut_upload_that_the_server_forgot_begins_anew_under_another_id() {
    let faults = Faults { cut_uploads_after: vec![100_000], forgets_uploads: true, ..Faults::default() };
    let server = FakeContentServer::start(faults).await;
    let file = bytes(400_000);
    client(&server).upload(&sealed(&file), SealedType::OctetStream).await.unwrap();
    assert!(server.files()[0].bytes == file);
}

#[tokio::test]
async fn an_upload_that_is_always_cut_ends() {
    let faults = Faults { cut_uploads_after: vec![10_000; 50], forgets_uploads: true, ..Faults::default() };
    let server = FakeContentServer::start(faults).await;
    let error = client(&server).upload(&sealed(&bytes(400_000)), SealedType::OctetStream).await.unwrap_err();
    assert!(matches!(error, FtError::Cut { .. }), "{error:?}");
    assert!(server.files().is_empty());
}

#[tokio::test]
async fn hostile_descriptors_fail_the_upload() {
    let with = |size: u64, url: &str| {
        format!(
            "<file xmlns=\"urn:gsma:params:xml:ns:rcs:rcs:fthttp\"><file-info type=\"file\"><file-size>{size}</file-size>\
             <content-type>a/b</content-type><data url=\"{url}\" until=\"2099-01-01T00:00:00Z\"/></file-info></file>"
        )
        .into_bytes()
    };
    let good = with(4, "https://content.example/f");
    for (descriptor, code) in [
        (good, None),
        (with(5, "https://content.example/f"), Some("ft_length")),
        (with(4, "file:///etc/passwd"), Some("ft_descriptor")),
        (with(4, "https://user@host/f"), Some("ft_url")),
        (b"<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><file>&b;</file>".to_vec(), Some("ft_descriptor")),
        (b"".to_vec(), Some("ft_descriptor")),
        (vec![b'<'; 200_000], Some("ft_protocol")),
    ] {
        let server = FakeContentServer::start(Faults { descriptor: Some(descriptor), ..Faults::default() }).await;
        let result = client(&server).upload(&sealed(b"file"), SealedType::OctetStream).await;
        // Both parsers refuse an address with a user in it: which comes first is not ours to say.
        let found =
            result.err().map(|error| error.code()).map(|found| if code == Some("ft_url") { "ft_url" } else { found });
        assert_eq!(found, code);
    }
}

#[tokio::test]
async fn what_a_status_means_is_told() {
    for (status, retry_after, code) in [
        (404, None, "ft_not_found"),
        (403, None, "ft_unauthorized"),
        (413, None, "ft_too_large"),
        (500, None, "ft_refused"),
        (503, Some("7"), "ft_busy"),
    ] {
        let faults = Faults { status: Some((status, retry_after)), ..Faults::default() };
        let (_server, client, source) = serving(faults, b"file").await;
        let error = client.download(&source, &mut Vec::new()).await.unwrap_err();
        assert_eq!(error.code(), code);
        if let FtError::Busy { retry_after } = error {
            assert_eq!(retry_after, Some(7));
        }
        assert_eq!(client.upload(&sealed(b"file"), SealedType::OctetStream).await.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn a_cut_download_goes_on_where_it_stopped() {
    let file = bytes(300_000);
    let faults = Faults { cut_downloads_after: vec![100_000, 0, 8192], ..Faults::default() };
    let (server, client, source) = serving(faults, &file).await;
    let mut sink = Vec::new();
    client.download(&source, &mut sink).await.unwrap();
    assert!(sink == file);
    assert!(server.requests().iter().any(|request| request.contains("bytes=") && request.ends_with("-299999")));
}

#[tokio::test]
async fn a_download_goes_on_in_another_call_and_in_a_file() {
    let file = bytes(300_000);
    let faults = Faults { cut_downloads_after: vec![100_000, 0, 0, 0, 0], ..Faults::default() };
    let (_server, client, source) = serving(faults, &file).await;
    let path = tempfile::tempdir().unwrap();
    let open = || {
        let path = path.path().join("part");
        std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap()
    };
    let mut sink = FileSink::new(open()).unwrap();
    let error = client.download(&source, &mut sink).await.unwrap_err();
    let had = sink.len();
    assert!(matches!(error, FtError::Cut { transferred } if transferred == had && had > 0), "{error:?}");
    drop(sink);
    let mut sink = FileSink::new(open()).unwrap();
    assert_eq!(sink.len(), had);
    client.download(&source, &mut sink).await.unwrap();
    assert!(std::fs::read(path.path().join("part")).unwrap() == file);
}

#[tokio::test]
async fn a_server_without_ranges_sends_all_of_it_again() {
    let file = bytes(300_000);
    let faults = Faults { cut_downloads_after: vec![100_000], ignores_ranges: true, ..Faults::default() };
    let (_server, client, source) = serving(faults, &file).await;
    let mut sink = Vec::new();
    client.download(&source, &mut sink).await.unwrap();
    assert!(sink == file);
}

#[tokio::test]
async fn more_than_was_announced_is_not_taken() {
    let file = bytes(1000);
    let (_server, client, source) = serving(Faults { surplus: 5_000_000, ..Faults::default() }, &file).await;
    let mut sink = Vec::new();
    assert!(matches!(client.download(&source, &mut sink).await, Err(FtError::Length)));
    assert!(sink.len() <= 1000);

    let (_server, client, mut source) = serving(Faults::default(), &file).await;
    source.len = 999;
    assert!(matches!(client.download(&source, &mut Vec::new()).await, Err(FtError::Length)));
    source.len = u64::MAX;
    assert!(matches!(client.download(&source, &mut Vec::new()).await, Err(FtError::TooLarge)));
}

#[tokio::test]
async fn another_file_than_the_announced_one_is_forgotten() {
    let (server, client, mut source) = serving(Faults::default(), &bytes(1000)).await;
    source.digest = Some(Digest::from_bytes([0; 32]));
    let mut sink = Vec::new();
    assert!(matches!(client.download(&source, &mut sink).await, Err(FtError::Digest)));
    assert!(sink.is_empty());
    drop(server);

    let faults = Faults { cut_downloads_after: vec![100_000], changes_files: true, ..Faults::default() };
    let (_server, client, source) = serving(faults, &bytes(300_000)).await;
    assert!(matches!(client.download(&source, &mut sink).await, Err(FtError::Changed)));
    assert!(sink.is_empty());
}

#[tokio::test]
async fn a_server_that_falls_silent_or_compresses_is_given_up() {
    let (_server, client, source) = serving(Faults { falls_silent: true, ..Faults::default() }, b"file").await;
    assert!(matches!(client.download(&source, &mut Vec::new()).await, Err(FtError::Timeout(Stage::Stall))));
    let (_server, client, source) = serving(Faults { says_deflated: true, ..Faults::default() }, b"file").await;
    assert!(matches!(client.download(&source, &mut Vec::new()).await, Err(FtError::Protocol)));
}

#[tokio::test]
async fn redirects_are_followed_within_the_rules() {
    let to_itself = Faults { redirect: Some("/file?redirected&id=f".to_owned()), ..Faults::default() };
    let (_server, client, source) = serving(to_itself, b"file").await;
    let mut sink = Vec::new();
    client.download(&source, &mut sink).await.unwrap();
    assert_eq!(sink, b"file");

    let round = Faults { redirect: Some("/file?id=f".to_owned()), ..Faults::default() };
    let (server, client, source) = serving(round, b"file").await;
    let error = client.download(&source, &mut Vec::new()).await.unwrap_err();
    assert!(matches!(error, FtError::Forbidden(Forbidden::TooManyRedirects)), "{error:?}");
    assert_eq!(server.requests().len(), 4);

    // Into the own network, which no configuration names, and to plain HTTP elsewhere.
    for (location, expected) in [
        ("http://127.0.0.1:9/redirected", Forbidden::LocalAddress),
        ("https://10.0.0.1/redirected", Forbidden::LocalAddress),
        ("http://192.0.2.1/redirected", Forbidden::PlainHttp),
    ] {
        let faults = Faults { redirect: Some(location.to_owned()), ..Faults::default() };
        let (_server, client, source) = serving(faults, b"file").await;
        let error = client.download(&source, &mut Vec::new()).await.unwrap_err();
        assert!(matches!(error, FtError::Forbidden(found) if found == expected), "{location}: {error:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let (server, client, source) = serving(Faults::default(), b"file").await;
    drop(server);
    let error = client.download(&source, &mut Vec::new()).await.unwrap_err();
    assert!(matches!(error, FtError::Unreachable(_) | FtError::Cut { .. }), "{error:?}");
}

#[tokio::test]
async fn over_tls_the_servers_certificate_must_be_vouched_for() {
    let (server, trust) = FakeContentServer::start_tls(Faults::default()).await;
    let url = ContentUrl::parse(&server.upload_url()).unwrap();
    let credentials = Credentials::Password { user: "alice".to_owned(), password: Password::new("content password") };
    let file = bytes(100_000);
    for (trust, is_known) in [(trust, true), (TrustAnchors::none(), false)] {
        let config = FtConfig::new(trust).with_upload(url.clone(), Some(credentials.clone())).with_limits(limits());
        let client = FtClient::new(config);
        match client.upload(&sealed(&file), SealedType::OctetStream).await {
            Ok(descriptor) => {
                assert!(is_known);
                let mut sink = Vec::new();
                client.download(&Source::from(&descriptor.file), &mut sink).await.unwrap();
                assert!(sink == file);
            }
            Err(error) => assert!(matches!(error, FtError::Tls(_)) && !is_known, "{error:?}"),
        }
    }

    // From TLS a redirect leads nowhere without it.
    let faults = Faults { redirect: Some("http://127.0.0.1:9/redirected".to_owned()), ..Faults::default() };
    let (server, trust) = FakeContentServer::start_tls(faults).await;
    let url = ContentUrl::parse(&server.file_url("f")).unwrap();
    let client = FtClient::new(FtConfig::new(trust).with_origin(url.clone()));
    let error = client.download(&Source { url, len: 4, digest: None }, &mut Vec::new()).await.unwrap_err();
    assert!(matches!(error, FtError::Forbidden(Forbidden::Downgrade)), "{error:?}");
}
