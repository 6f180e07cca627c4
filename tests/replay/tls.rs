//! TLS and the authority of requests, against a server with rustls.

use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::server::{Manners, PLAIN, Server, replay};
use crate::support::environment::temporary;
use crate::support::run::text;

/// A server for `localhost`; its authority and its own certificate are in files. `strict`: it asks for a certificate.
fn server(directory: &Path, strict: bool) -> Server {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate");
    for (file, text) in [("ca", issuer.pem()), ("cert", certificate.pem()), ("key", key.serialize_pem())] {
        std::fs::write(directory.join(format!("{file}.pem")), text).expect("written");
    }
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
    Server::start_tls(Manners::default(), TlsAcceptor::from(Arc::new(config)))
}

/// The exit status of a replay of what the server answers as recorded.
fn status<S: AsRef<str>>(to: &str, more: &[S]) -> (Option<i32>, String) {
    let more: Vec<&str> = more.iter().map(AsRef::as_ref).collect();
    let options =
        ["--to", to, "-Y", PLAIN, "--connect-for", "100ms", "--ignore", "metadata.*", "--ignore", "trailers.*"];
    let done = replay(&[&options[..], &more].concat());
    (done.status, done.stderr)
}

#[test]
fn certificates_are_verified_and_shown_as_the_options_say() {
    let directory = temporary();
    let file = |name: &str| text(&directory.path().join(name));
    let server = server(directory.path(), true);
    let (_, port) = server.address.rsplit_once(':').expect("a port");
    let (named, numbered) = (format!("https://localhost:{port}"), format!("https://127.0.0.1:{port}"));
    let (ca, cert, key) = (file("ca.pem"), file("cert.pem"), file("key.pem"));
    let with = |more: &[&'static str]| -> Vec<String> {
        ["--cert", &cert, "--key", &key].iter().chain(more).map(|&text| text.to_owned()).collect()
    };
    let trusting = |more: &[&'static str]| [with(more), vec!["--cacert".to_owned(), ca.clone()]].concat();
    // With everything it needs, and the certificate's name.
    assert_eq!(status(&named, &trusting(&[])).0, Some(0));
    assert_eq!(server.authorities()[0], format!("localhost:{port}"));
    let before = server.calls().len();
    // Nobody vouches for it; another name; no certificate of our own.
    for (to, more) in
        [(&named, with(&[])), (&numbered, trusting(&[])), (&named, vec!["--cacert".to_owned(), ca.clone()])]
    {
        let (status, said) = status(to, &more);
        assert_eq!(status, Some(3), "{to} {more:?}: {said}");
        assert!(said.contains("cannot connect to"), "{said}");
    }
    assert_eq!(server.calls().len(), before, "nothing was sent");
    // The name is given, or nothing is verified.
    assert_eq!(status(&numbered, &trusting(&["--servername", "localhost"])).0, Some(0));
    assert_eq!(status(&numbered, &with(&["--insecure"])).0, Some(0));
    let last = server.authorities().pop();
    assert_eq!(last, Some(format!("127.0.0.1:{port}")));
    assert_eq!(status(&numbered, &with(&["--insecure", "--authority", "shop.example"])).0, Some(0));
    assert_eq!(server.authorities().pop().as_deref(), Some("shop.example"));
    // Plain text to a server that wants TLS.
    assert_eq!(status::<&str>(&format!("127.0.0.1:{port}"), &[]).0, Some(3));
    // --tls-key is the same as --key.
    assert_eq!(status(&numbered, &["--insecure", "--cert", &cert, "--tls-key", &key]).0, Some(0));
}

#[test]
fn on_a_unix_socket_the_authority_is_localhost_unless_given() {
    let directory = temporary();
    let server = Server::start(Some(&directory.path().join("s.sock")), Manners::default());
    assert_eq!(status::<&str>(&server.address, &[]).0, Some(0));
    assert_eq!(server.authorities().pop().as_deref(), Some("localhost"));
    assert_eq!(status(&server.address, &["--authority", "shop.example:1"]).0, Some(0));
    assert_eq!(server.authorities().pop().as_deref(), Some("shop.example:1"));
}
