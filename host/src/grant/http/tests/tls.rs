//! Certificates.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;

#[tokio::test]
async fn a_ca_of_ones_own_is_trusted_where_the_grant_names_it() {
    let ca = ca();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, ca.pem()).unwrap();
    let server = Server::start_tls(acceptor(&ca, "localhost")).await;
    let trusting = HttpGrant { ca_file: Some(path.clone()), ..grant(&[&server.url]) };
    assert_eq!(text(&open(trusting).await.send(get("/")).await.unwrap()), (200, "hello"));

    let misnamed = Server::start_tls(acceptor(&ca, "search.example.com")).await;
    let cases = [
        (None, &server.url, "the server's certificate is not trusted", "`ca_file`"),
        (Some(path.clone()), &misnamed.url, "the server's certificate is for another name", "search.example.com"),
    ];
    for (ca_file, url, expected, advice) in cases {
        let error = open(HttpGrant { ca_file, ..grant(&[url]) }).await.send(post("/", "")).await.unwrap_err();
        assert_eq!(told(&error), (true, expected));
        assert!(error.to_string().contains(url.as_str()) && error.to_string().contains(advice), "{error}");
    }
    assert!(misnamed.asked().is_empty() && server.asked().len() == 1);
}

#[tokio::test]
async fn a_server_without_tls_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("https://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    });
    let error = client(&[&url]).await.send(get("/")).await.unwrap_err();
    assert_eq!(told(&error), (true, "the server does not speak TLS"));
}

#[tokio::test]
async fn a_ca_file_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let url = Url::parse("https://localhost").unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let cases = [
        (folder.path().join("nowhere.pem"), "No such file"),
        (write("empty.pem", ""), "it holds no certificate"),
        (write("text.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n"), "cannot be used"),
    ];
    for (path, expected) in cases {
        let grant = HttpGrant { ca_file: Some(path), ..grant(&[&url]) };
        let Err(error) = Client::open(&grant).await else { panic!("{expected}") };
        assert!(matches!(error, HttpError::Permanent(_)) && error.to_string().contains(expected), "{error}");
    }
}

fn ca() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn acceptor(ca: &CertifiedIssuer<'static, KeyPair>, name: &str) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, ca).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    TlsAcceptor::from(Arc::new(config))
}
