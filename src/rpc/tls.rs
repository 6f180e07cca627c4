//! TLS for clients: which certificates are trusted, and which one is shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Options for TLS. They apply to addresses that begin with `https://`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct TlsArgs {
    /// Trust the certificates in this PEM file instead of those of the system
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) cacert: Option<PathBuf>,

    /// The client's certificate chain, PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) cert: Option<PathBuf>,

    /// Do not verify the server's certificate
    #[arg(long, help_heading = "TLS")]
    pub(crate) insecure: bool,

    /// The name that the server's certificate must have, if it is not the host of the address
    #[arg(long, value_name = "NAME", help_heading = "TLS")]
    pub(crate) servername: Option<String>,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// A file with certificates or a key cannot be read.
    #[error("{}: {why}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A certificate without its key, or a key without its certificate.
    #[error("--cert and --key are given together or not at all")]
    HalfIdentity,
    /// The certificates, or the key, are of no use.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

/// How TLS connections are made.
#[derive(Clone, Debug)]
pub(crate) struct TlsSettings {
    pub(super) config: Arc<ClientConfig>,
    pub(super) server_name: Option<String>,
}

impl TlsSettings {
    /// Reads the files that `args` and `key` name. `alpn`: the protocol that is offered, none for ttrpc.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or holds no certificate or key.
    pub(crate) fn new(args: &TlsArgs, key: Option<&Path>, alpn: &[&[u8]]) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
        let builder = match args.insecure {
            true => builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAll(provider))),
            false => builder.with_root_certificates(roots(args.cacert.as_deref())?),
        };
        let mut config = match (&args.cert, key) {
            (Some(cert), Some(key)) => {
                let file = |path: &Path, why: rustls::pki_types::pem::Error| TlsError::File {
                    path: path.into(),
                    why: why.to_string(),
                };
                let key_der = PrivateKeyDer::from_pem_file(key).map_err(|error| file(key, error))?;
                builder.with_client_auth_cert(certificates(cert)?, key_der)?
            }
            (None, None) => builder.with_no_client_auth(),
            _ => return Err(TlsError::HalfIdentity),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Self { config: Arc::new(config), server_name: args.servername.clone() })
    }

    /// The same with other protocols that are offered.
    pub(crate) fn offering(&self, alpn: &[&[u8]]) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Self { config: Arc::new(config), server_name: self.server_name.clone() }
    }
}

pub(super) fn roots(file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match file {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate)?;
            }
        }
        // Certificates of the system that cannot be read are left out: the connection then fails with the reason.
        None => drop(roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs)),
    }
    Ok(roots)
}

pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |why: String| TlsError::File { path: path.into(), why };
    let read = CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    let certificates = read.collect::<Result<Vec<_>, _>>().map_err(|error| failed(error.to_string()))?;
    match certificates.is_empty() {
        true => Err(failed("it holds no certificate in PEM form".to_owned())),
        false => Ok(certificates),
    }
}

/// Verifies nothing but that the server has the key of the certificate that it shows. For `--insecure`.
#[derive(Debug)]
struct TrustAll(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
