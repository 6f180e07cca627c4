//! Opening a connection to an address.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rpcshark_captures::Endpoint;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::tls::TlsSettings;
use crate::address::Address;
use crate::record::Target;

/// A stream of bytes in both directions.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

/// An open connection. What is read and written is plain text, also with TLS.
pub(crate) struct Connected {
    /// The connection.
    pub(crate) io: Box<dyn Io>,
    /// Our end.
    pub(crate) client: Endpoint,
    /// The server's end.
    pub(crate) server: Endpoint,
    /// TLS has agreed on HTTP/2.
    pub(crate) is_http2: bool,
}

/// How long connecting, with the TLS handshake, may take.
const LONGEST: Duration = Duration::from_secs(10);

/// Connects to `address`. `tls` is used where the address begins with `https://`.
///
/// # Errors
///
/// If there is no server, it does not answer in time, or the TLS handshake fails.
pub(crate) async fn connect(address: &Address, tls: &TlsSettings) -> io::Result<Connected> {
    match tokio::time::timeout(LONGEST, open(address, tls)).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", LONGEST.as_secs()))),
    }
}

async fn open(address: &Address, tls: &TlsSettings) -> io::Result<Connected> {
    match address {
        Address::Tcp { host, port, tls: with_tls } => {
            let tcp = TcpStream::connect((host.as_str(), *port)).await?;
            tcp.set_nodelay(true)?;
            let (client, server) = (Endpoint::Tcp(tcp.local_addr()?), Endpoint::Tcp(tcp.peer_addr()?));
            let mut is_http2 = false;
            let io: Box<dyn Io> = match with_tls {
                false => Box::new(tcp),
                true => {
                    let name = tls.server_name.as_deref().unwrap_or(host).to_owned();
                    let name = ServerName::try_from(name).map_err(io::Error::other)?;
                    let connector = TlsConnector::from(std::sync::Arc::clone(&tls.config));
                    let stream = connector.connect(name, tcp).await?;
                    is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                    Box::new(stream)
                }
            };
            Ok(Connected { io, client, server, is_http2 })
        }
        local => {
            let target = Target::new(local.clone()).map_err(io::Error::other)?;
            // Connecting to a Unix socket waits where the server's queue is full.
            let (fd, server) = tokio::task::spawn_blocking(move || target.socket()).await??;
            rustix::io::ioctl_fionbio(&fd, true)?;
            // The kernel serves reads and writes of vsock sockets like those of Unix sockets; nothing else is called here.
            let io = UnixStream::from_std(fd.into())?;
            let client = match &server {
                Endpoint::Vsock { .. } => Endpoint::Vsock { cid: u64::from(LOCAL_CID), port: 0 },
                Endpoint::Tcp(_) => Endpoint::Tcp(SocketAddr::from(([0; 4], 0))),
                _ => Endpoint::UnixInode(std::process::id().into()),
            };
            Ok(Connected { io: Box::new(io), client, server, is_http2: false })
        }
    }
}

/// This machine, as vsock names it (vsock(7)).
const LOCAL_CID: u32 = 1;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use rustls::crypto::ring;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::server::WebPkiClientVerifier;
    use rustls::{RootCertStore, ServerConfig};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::rpc::TlsArgs;

    /// A certification authority, and a certificate of it for `localhost`, as PEM files.
    fn identity(directory: &Path, name: &str) -> (CertifiedIssuer<'static, KeyPair>, rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        for (file, text) in [("ca", issuer.pem()), ("cert", certificate.pem()), ("key", key.serialize_pem())] {
            std::fs::write(directory.join(format!("{name}.{file}.pem")), text).expect("written");
        }
        (issuer, certificate, key)
    }

    /// A server that echoes one line over TLS, to clients with a certificate of its own authority only if `strict`.
    async fn server(directory: &Path, strict: bool) -> u16 {
        let (issuer, certificate, key) = identity(directory, "server");
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
        let builder = builder.expect("versions");
        let builder = match strict {
            true => {
                let mut roots = RootCertStore::empty();
                roots.add(issuer.der().clone()).expect("a certificate");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("a root"))
            }
            false => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let mut config = builder.with_single_cert(vec![certificate.der().clone()], key).expect("they fit");
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a client");
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut line = [0; 4];
                if stream.read_exact(&mut line).await.is_ok() {
                    let _ = stream.write_all(&line).await;
                }
            }
        });
        port
    }

    async fn echoes(port: u16, args: &TlsArgs, key: Option<&Path>, host: &str) -> Result<(), String> {
        let settings = TlsSettings::new(args, key, &[b"h2"]).map_err(|error| error.to_string())?;
        let address: Address = format!("https://{host}:{port}").parse().expect("an address");
        let mut connected = connect(&address, &settings).await.map_err(|error| error.to_string())?;
        let mut line = [0; 4];
        connected.io.write_all(b"ping").await.map_err(|error| error.to_string())?;
        connected.io.read_exact(&mut line).await.map_err(|error| error.to_string())?;
        Ok(())
    }

    #[tokio::test]
    async fn certificates_are_verified_as_the_options_say() {
        let directory = tempfile::tempdir().expect("a directory");
        let port = server(directory.path(), false).await;
        let ca = Some(directory.path().join("server.ca.pem"));
        let trusting = TlsArgs { cacert: ca.clone(), ..TlsArgs::default() };
        assert_eq!(echoes(port, &trusting, None, "localhost").await, Ok(()));
        assert!(echoes(port, &TlsArgs::default(), None, "localhost").await.is_err(), "nobody vouches for it");
        assert!(echoes(port, &trusting, None, "127.0.0.1").await.is_err(), "another name");
        let named = TlsArgs { servername: Some("localhost".to_owned()), ..trusting };
        assert_eq!(echoes(port, &named, None, "127.0.0.1").await, Ok(()));
        let insecure = TlsArgs { insecure: true, ..TlsArgs::default() };
        assert_eq!(echoes(port, &insecure, None, "127.0.0.1").await, Ok(()));
        let missing = TlsArgs { cacert: Some("/not/there".into()), ..TlsArgs::default() };
        assert!(echoes(port, &missing, None, "localhost").await.is_err());
        let half = TlsArgs { cert: ca, ..TlsArgs::default() };
        assert!(echoes(port, &half, None, "localhost").await.is_err());
    }

    #[tokio::test]
    async fn a_client_certificate_is_shown() {
        let directory = tempfile::tempdir().expect("a directory");
        let port = server(directory.path(), true).await;
        let file = |name: &str| directory.path().join(name);
        let trusting = TlsArgs { cacert: Some(file("server.ca.pem")), ..TlsArgs::default() };
        assert!(echoes(port, &trusting, None, "localhost").await.is_err(), "the server asks for one");
        // The server's own certificate is one of its authority, too.
        let own = TlsArgs { cert: Some(file("server.cert.pem")), ..trusting };
        assert_eq!(echoes(port, &own, Some(&file("server.key.pem")), "localhost").await, Ok(()));
    }
}
