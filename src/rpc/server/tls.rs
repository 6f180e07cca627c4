//! TLS for servers: which certificate is shown, and whether clients have to show one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::rpc::tls::{TlsError, certificates, roots};

/// Options for TLS of a server.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ServerTlsArgs {
    /// The server's certificate chain, PEM: TCP clients have to use TLS
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) cert: Option<PathBuf>,

    /// The private key of the certificate, PEM; --key FILE is the same
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) tls_key: Option<PathBuf>,

    /// Demand certificates of clients, signed by one in this PEM file
    #[arg(long, value_name = "FILE", help_heading = "TLS", requires = "cert")]
    pub(crate) cacert: Option<PathBuf>,
}

/// How TLS connections are accepted.
#[derive(Clone)]
pub(crate) struct ServerTls(TlsAcceptor);

impl ServerTls {
    /// Reads the files that are named; nothing where none are. `key`: the private key.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or holds no certificate or key.
    pub(crate) fn new(args: &ServerTlsArgs, key: Option<&Path>) -> Result<Option<Self>, TlsError> {
        let (cert, key) = match (&args.cert, key) {
            (Some(cert), Some(key)) => (cert, key),
            (None, None) => return Ok(None),
            _ => return Err(TlsError::HalfIdentity),
        };
        let provider = Arc::new(ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match &args.cacert {
            Some(file) => {
                let roots = Arc::new(roots(Some(file))?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
                builder.with_client_cert_verifier(
                    verifier.map_err(|error| TlsError::File { path: file.clone(), why: error.to_string() })?,
                )
            }
            None => builder.with_no_client_auth(),
        };
        let key_der = PrivateKeyDer::from_pem_file(key)
            .map_err(|error| TlsError::File { path: key.into(), why: error.to_string() })?;
        let mut config = builder.with_single_cert(certificates(cert)?, key_der)?;
        // Clients of ttrpc offer nothing.
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Some(Self(TlsAcceptor::from(Arc::new(config)))))
    }

    /// The server's side of the handshake.
    pub(super) async fn accept(&self, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.0.accept(tcp).await
    }
}
