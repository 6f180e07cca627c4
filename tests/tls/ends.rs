//! A recording put into TLS: what its two sides sent, in the same order, through a TLS client and a TLS server.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use rustls::client::Resumption;
use rustls::crypto::ring;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, Connection, KeyLog, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion,
};

use crate::support::shop::Shop;
use crate::support::tcp::Side;
use crate::support::traffic::{ACK, Client, FIN, SYN, Traffic};

/// How the ends speak.
pub(crate) struct Setup {
    pub(crate) version: &'static SupportedProtocolVersion,
    pub(crate) suite: CipherSuite,
    /// The server takes none of the client's first key shares.
    pub(crate) retry: bool,
    /// Both sides change their keys after so many pieces.
    pub(crate) update_after: usize,
    /// The server takes early data.
    pub(crate) early_data: bool,
}

impl Setup {
    pub(crate) fn new(version: &'static SupportedProtocolVersion, suite: CipherSuite) -> Self {
        Self { version, suite, retry: false, update_after: usize::MAX, early_data: false }
    }
}

/// A capture in the making, and the key log of its connections.
pub(crate) struct Recording {
    pub(crate) traffic: Traffic,
    pub(crate) keys: String,
    connections: u32,
}

/// Two ends that have the same certificate and remember each other's sessions.
pub(crate) struct Ends {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
    log: Arc<Log>,
    update_after: usize,
}

/// The longest payload of a packet.
const SEGMENT: usize = 1_400;

#[derive(Debug, Default)]
struct Log(Mutex<String>);

impl KeyLog for Log {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        self.0.lock().expect("nobody panics with it").push_str(&line);
    }
}

impl Ends {
    pub(crate) fn new(setup: &Setup) -> Self {
        let provider = |groups: &[&'static dyn SupportedKxGroup]| {
            let mut provider: CryptoProvider = ring::default_provider();
            provider.cipher_suites.retain(|suite| suite.suite() == setup.suite);
            provider.kx_groups = groups.to_vec();
            Arc::new(provider)
        };
        let (x25519, p256) = (ring::kx_group::X25519, ring::kx_group::SECP256R1);
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let certificate = certified.cert.der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("a root certificate");
        let log = Arc::new(Log::default());

        let mut client = ClientConfig::builder_with_provider(provider(&[x25519, p256]))
            .with_protocol_versions(&[setup.version])
            .expect("a suite of the version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"h2".to_vec()];
        client.enable_early_data = setup.early_data;
        client.resumption = Resumption::in_memory_sessions(4);
        client.key_log = Arc::clone(&log) as Arc<dyn KeyLog>;

        let groups: &[&'static dyn SupportedKxGroup] = if setup.retry { &[p256] } else { &[x25519, p256] };
        let mut server = ServerConfig::builder_with_provider(provider(groups))
            .with_protocol_versions(&[setup.version])
            .expect("a suite of the version")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .expect("the key of the certificate");
        server.alpn_protocols = vec![b"h2".to_vec()];
        server.max_early_data_size = if setup.early_data { 1 << 14 } else { 0 };
        Self { client: Arc::new(client), server: Arc::new(server), log, update_after: setup.update_after }
    }
}

impl Recording {
    pub(crate) fn new() -> Self {
        Self { traffic: Traffic::new(), keys: String::new(), connections: 0 }
    }

    /// The shop session over one connection between these ends.
    pub(crate) fn session(&mut self, shop: &Shop, ends: &Ends) {
        let name = ServerName::try_from("localhost").expect("a name");
        let client = ClientConnection::new(Arc::clone(&ends.client), name).expect("a client");
        let server = ServerConnection::new(Arc::clone(&ends.server)).expect("a server");
        let mut tcp = Client::new(self.connections);
        self.connections += 1;
        self.traffic.packet(&mut tcp, false, SYN, b"");
        self.traffic.packet(&mut tcp, true, SYN | ACK, b"");
        let mut both = [Connection::Client(client), Connection::Server(server)];
        let mut pieces = pieces(shop).into_iter().peekable();
        // What may be sent before the server has answered.
        if let [Connection::Client(client), _] = &mut both
            && let Some(mut early) = client.early_data()
        {
            while let Some((_, bytes)) = pieces.next_if(|(side, _)| *side == Side::Client) {
                assert_eq!(early.write(&bytes).expect("room for early data"), bytes.len());
            }
        }
        self.exchange(&mut tcp, &mut both);
        for (no, (side, bytes)) in pieces.enumerate() {
            if no % ends.update_after.max(1) == ends.update_after - 1 {
                both.iter_mut().for_each(|end| end.refresh_traffic_keys().expect("TLS 1.3"));
            }
            both[side as usize].writer().write_all(&bytes).expect("a buffer without a limit");
            self.exchange(&mut tcp, &mut both);
        }
        both.iter_mut().for_each(|end| end.send_close_notify());
        self.exchange(&mut tcp, &mut both);
        self.traffic.packet(&mut tcp, false, FIN | ACK, b"");
        self.traffic.packet(&mut tcp, true, FIN | ACK, b"");
        self.keys = ends.log.0.lock().expect("nobody panics with it").clone();
    }

    /// The same session in the clear, in packets of the same size.
    pub(crate) fn clear_session(&mut self, shop: &Shop) {
        let mut tcp = Client::new(self.connections);
        self.connections += 1;
        self.traffic.packet(&mut tcp, false, SYN, b"");
        self.traffic.packet(&mut tcp, true, SYN | ACK, b"");
        for (side, bytes) in pieces(shop) {
            bytes.chunks(SEGMENT).for_each(|part| self.traffic.packet(&mut tcp, side == Side::Server, ACK, part));
        }
        self.traffic.packet(&mut tcp, false, FIN | ACK, b"");
        self.traffic.packet(&mut tcp, true, FIN | ACK, b"");
    }

    /// Carries what both ends have to say until they are silent.
    fn exchange(&mut self, tcp: &mut Client, ends: &mut [Connection; 2]) {
        loop {
            let mut silent = true;
            for from in Side::BOTH {
                let mut records = Vec::new();
                while ends[from as usize].wants_write() {
                    ends[from as usize].write_tls(&mut records).expect("a vector");
                }
                silent &= records.is_empty();
                for part in records.chunks(SEGMENT) {
                    self.traffic.packet(tcp, from == Side::Server, ACK, part);
                }
                let to = &mut ends[from.other() as usize];
                let mut rest = records.as_slice();
                while !rest.is_empty() {
                    to.read_tls(&mut rest).expect("bytes");
                    to.process_new_packets().expect("what the other end sends is right");
                    if let Connection::Server(server) = to
                        && let Some(mut early) = server.early_data()
                    {
                        early.read_to_end(&mut Vec::new()).expect("early data");
                    }
                    // There may be no more of it for now.
                    let _ = to.reader().read_to_end(&mut Vec::new());
                }
            }
            if silent {
                return;
            }
        }
    }
}

/// What each packet of the shop recording brought, in their order.
fn pieces(shop: &Shop) -> Vec<(Side, Vec<u8>)> {
    let mut pieces: Vec<(usize, Side, Vec<u8>)> = Vec::new();
    for side in Side::BOTH {
        let flow = &shop.flows[side as usize];
        pieces.extend(flow.segments.iter().map(|part| (part.packet, side, flow.bytes[part.from..part.to].to_vec())));
    }
    pieces.sort_by_key(|(packet, ..)| *packet);
    pieces.into_iter().map(|(_, side, bytes)| (side, bytes)).collect()
}
