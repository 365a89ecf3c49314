//! The program with a certificate.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use ruggine_client_sdk::store::KeyFile;
use ruggine_client_sdk::store::sqlite::SqliteStore;
use ruggine_client_sdk::transport::{Transport, TransportError, WebSocketTransport};
use ruggine_client_sdk::{Client, ClientEvent, ConnectionState};
use ruggine_core::api::conversation::ProtectionMode;
use ruggine_core::content::Content;
use ruggine_core::secret::SecretText;
use ruggine_server::testing::{HttpClient, patiently};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    self, ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion,
};

use super::examples::{example, output};
use super::support::{self, Process, Setup};

/// A certificate of this machine, signed by an authority of its own.
#[derive(Debug)]
pub(crate) struct Certificate {
    authority: rcgen::Certificate,
    leaf: rcgen::Certificate,
    key: KeyPair,
}

impl Certificate {
    /// A fresh authority and a fresh key.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Of the same name as its authority, a certificate would seem to sign itself.
        let name = &mut params.distinguished_name;
        name.push(DnType::CommonName, "an authority of a test");
        let authority_key = KeyPair::generate().expect("a key can be made");
        let authority = params.self_signed(&authority_key).expect("it signs itself");
        let issuer = Issuer::new(params, authority_key);
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).expect("these are names");
        let key = KeyPair::generate().expect("a key can be made");
        let leaf = params.signed_by(&key, &issuer).expect("it is signed");
        Self {
            authority,
            leaf,
            key,
        }
    }

    /// Writes what the program reads.
    pub(crate) fn write(&self, certificate: &Path, key: &Path) {
        fs::write(certificate, self.leaf.pem()).expect("the folder can be written");
        fs::write(key, self.key.serialize_pem()).expect("the folder can be written");
    }

    /// Writes what is to be trusted.
    pub(crate) fn write_authority(&self, authority: &Path) {
        fs::write(authority, self.authority.pem()).expect("the folder can be written");
    }

    fn authority(&self) -> CertificateDer<'static> {
        self.authority.der().clone()
    }

    /// A program that uses it, in this folder.
    async fn server(&self, folder: &Path) -> Process {
        let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        self.write(&certificate, &key);
        Setup::in_folder(folder)
            .env("TLS_CERT_PATH", certificate)
            .env("TLS_KEY_PATH", key)
            .start()
            .await
    }

    /// A connection that trusts the authority and speaks one of these versions.
    async fn connect(
        &self,
        address: SocketAddr,
        versions: &[&'static SupportedProtocolVersion],
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority()).expect("the authority is one");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("the provider speaks them")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let name = ServerName::try_from("localhost").expect("a name");
        let stream = TcpStream::connect(address).await?;
        let connector = TlsConnector::from(Arc::new(config));
        patiently("a TLS handshake", connector.connect(name, stream)).await
    }

    /// The status of a page.
    async fn get(&self, address: SocketAddr, path: &str) -> io::Result<String> {
        let stream = self.connect(address, rustls::ALL_VERSIONS).await?;
        ask(stream, path).await
    }
}

async fn ask(mut stream: TlsStream<TcpStream>, path: &str) -> io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    patiently("an answer", stream.read_to_end(&mut answer)).await?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

const OK: &str = "HTTP/1.1 200 OK";

#[tokio::test]
async fn both_ports_speak_https_in_both_versions() {
    let folder = support::folder();
    let certificate = Certificate::new();
    let server = certificate.server(folder.path()).await;
    assert!(server.url("API and WebSocket").starts_with("https://"));
    assert!(server.url("WebSocket").starts_with("wss://"));
    for address in [server.api(), server.websocket()] {
        for (version, spoken) in [
            (&TLS12, ProtocolVersion::TLSv1_2),
            (&TLS13, ProtocolVersion::TLSv1_3),
        ] {
            let stream = certificate.connect(address, &[version]).await.unwrap();
            let (_, session) = stream.get_ref();
            assert_eq!(session.protocol_version(), Some(spoken));
            assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
            assert_eq!(ask(stream, "/healthz").await.unwrap(), OK);
        }
        assert_eq!(certificate.get(address, "/readyz").await.unwrap(), OK);
    }
    let description = certificate.get(server.api(), "/v1/openapi.json").await;
    assert_eq!(description.unwrap(), OK);
    // The operators' port is of the loopback and speaks plainly.
    assert!(server.url("metrics").starts_with("http://"));
    assert_eq!(
        HttpClient::new(server.admin()).get("/metrics").await.status,
        200
    );
    let ended = server.stop().await;
    assert_eq!(ended.code(), Some(0));
    let key = fs::read_to_string(folder.path().join("key.pem")).unwrap();
    assert!(!ended.everything().contains(key.lines().nth(1).unwrap()));
}

#[tokio::test]
async fn an_authority_that_is_not_trusted_is_no_connection() {
    let folder = support::folder();
    let server = Certificate::new().server(folder.path()).await;
    let other = Certificate::new();
    assert!(other.get(server.api(), "/healthz").await.is_err());
    let url = server.url("API and WebSocket").parse().unwrap();
    let error = match WebSocketTransport::new(url).connect().await {
        Ok(_) => panic!("a certificate of nobody was accepted"),
        Err(error) => error,
    };
    assert!(matches!(error, TransportError::Certificate(_)), "{error:?}");
}

#[tokio::test]
async fn plain_text_to_a_tls_port_gets_no_answer() {
    let folder = support::folder();
    let certificate = Certificate::new();
    let server = certificate.server(folder.path()).await;
    for address in [server.api(), server.websocket()] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        // It may close so that what we sent is not even read.
        let _ = patiently("the end of the connection", stream.read_to_end(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(
            !answer.contains("HTTP") && !answer.contains("ok"),
            "{answer}"
        );
        assert_eq!(
            certificate.get(address, "/healthz").await.unwrap(),
            OK,
            "others are served"
        );
    }
}

#[tokio::test]
async fn files_that_break_later_do_not_matter() {
    let folder = support::folder();
    let certificate = Certificate::new();
    let server = certificate.server(folder.path()).await;
    fs::write(folder.path().join("cert.pem"), "no certificate").unwrap();
    fs::remove_file(folder.path().join("key.pem")).unwrap();
    for address in [server.api(), server.websocket()] {
        assert_eq!(certificate.get(address, "/healthz").await.unwrap(), OK);
    }
    assert_eq!(server.stop().await.code(), Some(0));
}

/// A client of the SDK that trusts the authority.
fn client(certificate: &Certificate, address: SocketAddr, folder: &Path) -> Client {
    fs::create_dir(folder).expect("the folder is new");
    let store = SqliteStore::open(folder.join("store"), &KeyFile::new(folder.join("key")));
    let url = format!("https://localhost:{}", address.port()).parse();
    let transport = WebSocketTransport::trusting(
        url.expect("a server has such an address"),
        &[certificate.authority()],
    );
    let store = store.expect("a store can be made");
    Client::builder().start(transport, store)
}

#[tokio::test]
async fn people_on_both_ports_talk_over_wss() {
    let folder = support::folder();
    let certificate = Certificate::new();
    let server = certificate.server(folder.path()).await;
    let password = || SecretText::new("quattro sassi nel torrente");
    let ada = client(&certificate, server.api(), &folder.path().join("ada"));
    let bob = client(&certificate, server.websocket(), &folder.path().join("bob"));
    patiently("Ada's account", ada.register("ada", password(), None, None))
        .await
        .unwrap();
    let bobs = patiently("Bob's account", bob.register("bob", password(), None, None)).await;
    let bobs = bobs.unwrap();
    for client in [&ada, &bob] {
        let online = client.wait_for_connection(|state| *state == ConnectionState::Online);
        patiently("the connection", online).await;
    }
    let mut heard = bob.events();
    let direct = ada.direct(bobs.id, ProtectionMode::Managed).await.unwrap();
    direct.send_text("in a sealed envelope").await.unwrap();
    let words = patiently("the message", async {
        loop {
            if let Some(ClientEvent::Message { message, .. }) = heard.next().await
                && let Some(payload) = &message.payload
                && let Ok(Content::Text(text)) = Content::from_payload(payload)
            {
                return text.body;
            }
        }
    })
    .await;
    assert_eq!(words, "in a sealed envelope");
    ada.stop().await;
    bob.stop().await;
    assert_eq!(server.stop().await.code(), Some(0));
}

#[tokio::test]
async fn the_examples_of_the_documents_speak_tls_too() {
    let folder = support::folder();
    let certificate = Certificate::new();
    let server = certificate.server(folder.path()).await;
    let authority = folder.path().join("authority.pem");
    fs::write(&authority, certificate.authority.pem()).unwrap();
    let url = format!("https://localhost:{}", server.api().port());
    for (runner, name, trust) in [
        ("bash", "curl.sh", "CURL_CA_BUNDLE"),
        ("python3", "live.py", "SSL_CERT_FILE"),
    ] {
        let mut trusting = example(runner, name, &url);
        trusting.env(trust, &authority);
        let ran = output(trusting).await;
        assert!(
            ran.status.success(),
            "{name}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
        // Without a reason to trust it they do not.
        let ran = output(example(runner, name, &url)).await;
        assert_eq!(ran.status.code(), Some(1), "{name}");
    }
}
