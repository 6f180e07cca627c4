//! Asking a server for its schema: gRPC server reflection, v1, and v1alpha where that is not implemented.
//!
//! ```text
//! ServerReflectionRequest   { string file_by_filename = 3; string file_containing_symbol = 4; }
//! ServerReflectionResponse  { FileDescriptorResponse file_descriptor_response = 4; ErrorResponse error_response = 7; }
//! FileDescriptorResponse    { repeated bytes file_descriptor_proto = 1; }
//! ErrorResponse             { int32 error_code = 1; string error_message = 2; }
//! ```

use std::collections::{BTreeMap, BTreeSet};

use rpcshark_captures::Direction;
use rpcshark_dissectors::grpc::Status;
use rpcshark_dissectors::protobuf::wire::{Fields, Value};
use rpcshark_dissectors::schema::Schema;
use rpcshark_dissectors::view::Scratch;

use super::session::{Ask, Session, Ways};

/// Why a server does not tell its schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReflectionError {
    /// It has no reflection.
    #[error("the server has no reflection; give --proto or --protoset")]
    None,
    /// It knows no such service.
    #[error("the server has no service {service}: {why}")]
    Unknown {
        /// Which.
        service: String,
        /// What it says.
        why: String,
    },
    /// It answers with another status.
    #[error("the server's reflection fails: {0}")]
    Failed(String),
    /// What it sends are not descriptors.
    #[error("the server's reflection sends what is not a schema: {0}")]
    Malformed(String),
}

/// Both versions, the newer one first.
const SERVICES: [&str; 2] = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];

/// Files of a schema. The largest public trees have some 10,000.
const MAX_FILES: usize = 20_000;

/// What is asked for.
#[derive(Clone, Debug)]
enum Wanted {
    Symbol(String),
    File(String),
}

/// The schema of `service` and of all that it needs.
///
/// # Errors
///
/// If the server does not tell.
pub(crate) async fn reflected(session: &Session, ask: &Ask, service: &str) -> Result<Schema, ReflectionError> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut asked: BTreeSet<String> = BTreeSet::new();
    let mut version = 0;
    let mut open = vec![Wanted::Symbol(service.to_owned())];
    while let Some(wanted) = open.pop() {
        let answer = loop {
            match once(session, ask, SERVICES[version], &wanted, service).await {
                Err(ReflectionError::None) if version + 1 < SERVICES.len() => version += 1,
                answer => break answer?,
            }
        };
        for file in answer {
            let (name, imports) = name_and_imports(&file);
            if files.len() >= MAX_FILES {
                return Err(ReflectionError::Malformed(format!("more than {MAX_FILES} files")));
            }
            files.insert(name, file);
            for import in imports {
                if !files.contains_key(&import) && asked.insert(import.clone()) {
                    open.push(Wanted::File(import));
                }
            }
        }
        open.retain(|wanted| !matches!(wanted, Wanted::File(name) if files.contains_key(name)));
    }
    let mut set = Vec::new();
    for file in files.values() {
        set.push(0x0a);
        prost::encoding::encode_varint(file.len() as u64, &mut set);
        set.extend_from_slice(file);
    }
    let (schema, said) =
        Schema::from_descriptors(&set).map_err(|error| ReflectionError::Malformed(error.to_string()))?;
    match schema.service(service) {
        Some(_) => Ok(schema),
        None => {
            let why = said.first().map_or_else(|| "it is in none of its files".to_owned(), ToString::to_string);
            Err(ReflectionError::Unknown { service: service.to_owned(), why })
        }
    }
}

/// Asks once; gives files.
async fn once(
    session: &Session,
    ask: &Ask,
    reflection: &str,
    wanted: &Wanted,
    service: &str,
) -> Result<Vec<Vec<u8>>, ReflectionError> {
    let (number, text) = match wanted {
        Wanted::File(name) => (3_u8, name),
        Wanted::Symbol(name) => (4, name),
    };
    let mut request = vec![number << 3 | 2];
    prost::encoding::encode_varint(text.len() as u64, &mut request);
    request.extend_from_slice(text.as_bytes());
    let (send, messages) = tokio::sync::mpsc::channel(1);
    let _ = send.send(request).await;
    drop(send);
    let ask = Ask {
        service: reflection.to_owned(),
        method: "ServerReflectionInfo".to_owned(),
        ways: Ways { client_streams: true, server_streams: true },
        ..ask.clone()
    };
    let call = session.call(&ask, messages).await.map_err(|error| ReflectionError::Failed(error.to_string()))?;
    let (status, answers) = session.look(call, &Schema::builtin(), |call| {
        let mut scratch = Scratch::default();
        let answers =
            call.messages(Direction::ToClient).filter_map(|m| m.body(&mut scratch).content().map(<[u8]>::to_vec));
        (call.status_code().or(call.mapped_status().map(|mapped| mapped.code)), answers.collect::<Vec<_>>())
    });
    let mut files = Vec::new();
    for field in answers.iter().flat_map(|answer| Fields::new(answer)).flatten() {
        match (field.number, field.value) {
            (4, Value::Bytes(response)) => {
                let protos = Fields::new(response).flatten().filter_map(|field| match (field.number, field.value) {
                    (1, Value::Bytes(file)) => Some(file.to_vec()),
                    _ => None,
                });
                files.extend(protos);
            }
            (7, Value::Bytes(error)) => {
                let why = Fields::new(error).flatten().find_map(|field| match (field.number, field.value) {
                    (2, Value::Bytes(text)) => Some(String::from_utf8_lossy(text).into_owned()),
                    _ => None,
                });
                return Err(ReflectionError::Unknown {
                    service: service.to_owned(),
                    why: why.unwrap_or_else(|| "its reflection does not know it".to_owned()),
                });
            }
            _ => {}
        }
    }
    match (files.is_empty(), status) {
        (false, _) => Ok(files),
        (true, Some(Status::UNIMPLEMENTED)) => Err(ReflectionError::None),
        (true, Some(status)) => Err(ReflectionError::Failed(status.name().into_owned())),
        (true, None) => Err(ReflectionError::Failed("the connection was lost".to_owned())),
    }
}

/// Name and imports of a `FileDescriptorProto`: fields 1 and 3.
fn name_and_imports(file: &[u8]) -> (String, Vec<String>) {
    let (mut name, mut imports) = (String::new(), Vec::new());
    for field in Fields::new(file).flatten() {
        match (field.number, field.value) {
            (1, Value::Bytes(text)) => name = String::from_utf8_lossy(text).into_owned(),
            (3, Value::Bytes(text)) => imports.push(String::from_utf8_lossy(text).into_owned()),
            _ => {}
        }
    }
    (name, imports)
}
