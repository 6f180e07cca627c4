//! Services that the server answers itself where a schema is given and the recording has no answer: reflection (v1 and v1alpha,
//! whose messages are the same) and health.
//!
//! ```text
//! ServerReflectionRequest   { string file_by_filename = 3; string file_containing_symbol = 4; ExtensionRequest file_containing_extension = 5;
//!                             string all_extension_numbers_of_type = 6; string list_services = 7; }
//! ServerReflectionResponse  { string valid_host = 1; ServerReflectionRequest original_request = 2; FileDescriptorResponse = 4;
//!                             ExtensionNumberResponse = 5; ListServiceResponse = 6; ErrorResponse error_response = 7; }
//! HealthCheckRequest        { string service = 1; }
//! HealthCheckResponse       { ServingStatus status = 1; }
//! ```

use std::collections::{HashMap, HashSet};

use prost::encoding::encode_varint;
use rpcshark_dissectors::grpc::Status;
use rpcshark_dissectors::protobuf::wire::{Fields, Value};
use rpcshark_dissectors::schema::{Builder, NoImports, Schema, SchemaFile, SourceText};

use super::catalog::Carrier;

/// What the server answers itself.
pub(crate) struct BuiltIn {
    files: Vec<SchemaFile>,
    by_name: HashMap<String, usize>,
    by_symbol: HashMap<String, usize>,
    by_extension: HashMap<(String, u32), usize>,
    /// The full names of all services, in order.
    services: Vec<String>,
}

/// A method that the server answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BuiltInMethod {
    /// `ServerReflectionInfo`, a stream in both directions.
    Reflection,
    /// `Check`.
    Health,
    /// `Watch`, a stream of the server that nothing ends.
    WatchHealth,
}

const REFLECTION: [&str; 2] = ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"];
const HEALTH: &str = "grpc.health.v1.Health";

/// `ServingStatus`.
const SERVING: u8 = 1;
const SERVICE_UNKNOWN: u8 = 3;

impl BuiltIn {
    /// The services of a schema that is made of `files`.
    pub(crate) fn new(files: Vec<SchemaFile>, schema: &Schema) -> Self {
        let mut services: Vec<String> = schema.services.iter().map(|service| String::from(&*service.name)).collect();
        let own = own_files();
        services.extend(REFLECTION.iter().chain([&HEALTH]).map(|name| (*name).to_owned()));
        services.sort();
        services.dedup();
        let mut built_in = Self {
            files: Vec::new(),
            by_name: HashMap::new(),
            by_symbol: HashMap::new(),
            by_extension: HashMap::new(),
            services,
        };
        // The schema's own files go first.
        for file in files.into_iter().chain(own) {
            if built_in.by_name.contains_key(&file.name) {
                continue;
            }
            let at = built_in.files.len();
            built_in.by_name.insert(file.name.clone(), at);
            for symbol in &file.symbols {
                built_in.by_symbol.entry(symbol.clone()).or_insert(at);
            }
            for extension in &file.extensions {
                built_in.by_extension.entry(extension.clone()).or_insert(at);
            }
            built_in.files.push(file);
        }
        built_in
    }

    /// The method that `path` names.
    pub(super) fn method(&self, carrier: Carrier, path: &str) -> Option<BuiltInMethod> {
        let (service, method) = path.strip_prefix('/')?.split_once('/')?;
        match method {
            _ if carrier != Carrier::Http2 => None,
            "ServerReflectionInfo" if REFLECTION.contains(&service) => Some(BuiltInMethod::Reflection),
            "Check" if service == HEALTH => Some(BuiltInMethod::Health),
            "Watch" if service == HEALTH => Some(BuiltInMethod::WatchHealth),
            _ => None,
        }
    }

    /// The answer to a `HealthCheckRequest`.
    pub(super) fn check(&self, request: &[u8]) -> Result<Vec<u8>, (Status, String)> {
        match self.serving(request) {
            Ok(answer) => Ok(answer),
            Err(service) => Err((Status::NOT_FOUND, format!("there is no service {service}"))),
        }
    }

    /// The first answer to a `HealthCheckRequest` whose client wants to learn of changes.
    pub(super) fn watch(&self, request: &[u8]) -> Vec<u8> {
        self.serving(request).unwrap_or_else(|_| vec![1 << 3, SERVICE_UNKNOWN])
    }

    fn serving(&self, request: &[u8]) -> Result<Vec<u8>, String> {
        let service = text(request, 1).unwrap_or_default();
        match service.is_empty() || self.services.contains(&service) {
            true => Ok(vec![1 << 3, SERVING]),
            false => Err(service),
        }
    }

    /// The answer to a `ServerReflectionRequest`.
    pub(super) fn reflect(&self, request: &[u8]) -> Vec<u8> {
        let mut answer = Vec::new();
        if let Some(host) = text(request, 1) {
            field(1, host.as_bytes(), &mut answer);
        }
        field(2, request, &mut answer);
        let (number, response) = self.response(request);
        field(number, &response, &mut answer);
        answer
    }

    fn response(&self, request: &[u8]) -> (u8, Vec<u8>) {
        for asked in Fields::new(request).flatten() {
            let Value::Bytes(bytes) = asked.value else { continue };
            let name = String::from_utf8_lossy(bytes).into_owned();
            return match asked.number {
                3 => self.file(self.by_name.get(&name), &name),
                4 => {
                    let name = name.trim_start_matches('.');
                    self.file(self.symbol(name), name)
                }
                5 => {
                    let extended = text(bytes, 1).unwrap_or_default();
                    let number = Fields::new(bytes).flatten().find_map(|field| match (field.number, field.value) {
                        (2, Value::Varint(number)) => u32::try_from(number).ok(),
                        _ => None,
                    });
                    let key = (extended, number.unwrap_or(0));
                    self.file(self.by_extension.get(&key), &format!("extension {} of {}", key.1, key.0))
                }
                6 => {
                    if self.symbol(&name).is_none() {
                        return error(&name);
                    }
                    let mut numbers: Vec<u32> =
                        self.by_extension.keys().filter(|(extended, _)| *extended == name).map(|key| key.1).collect();
                    numbers.sort_unstable();
                    let (mut packed, mut response) = (Vec::new(), Vec::new());
                    numbers.iter().for_each(|&number| encode_varint(number.into(), &mut packed));
                    field(1, name.as_bytes(), &mut response);
                    field(2, &packed, &mut response);
                    (5, response)
                }
                7 => {
                    let mut response = Vec::new();
                    for service in &self.services {
                        let mut one = Vec::new();
                        field(1, service.as_bytes(), &mut one);
                        field(1, &one, &mut response);
                    }
                    (6, response)
                }
                _ => continue,
            };
        }
        error("what is asked for")
    }

    /// The file with a symbol. Fields and values of enumerations are in that of what they belong to.
    fn symbol(&self, name: &str) -> Option<&usize> {
        let outer = |name: &str| name.rsplit_once('.').map(|(outer, _)| outer.to_owned());
        self.by_symbol.get(name).or_else(|| self.by_symbol.get(&outer(name)?))
    }

    /// A file with all that it imports.
    fn file(&self, at: Option<&usize>, name: &str) -> (u8, Vec<u8>) {
        let Some(&at) = at else { return error(name) };
        let (mut open, mut seen, mut response) = (vec![at], HashSet::from([at]), Vec::new());
        while let Some(file) = open.pop().and_then(|at| self.files.get(at)) {
            field(1, &file.descriptor, &mut response);
            let imports = file.imports.iter().rev().filter_map(|name| self.by_name.get(name));
            open.extend(imports.filter(|&&at| seen.insert(at)));
        }
        (4, response)
    }
}

/// `ErrorResponse { int32 error_code = 1; string error_message = 2; }`
fn error(name: &str) -> (u8, Vec<u8>) {
    let mut response = vec![1 << 3, Status::NOT_FOUND.0 as u8];
    field(2, format!("the schema does not have {name}").as_bytes(), &mut response);
    (7, response)
}

fn text(message: &[u8], number: u32) -> Option<String> {
    Fields::new(message).flatten().find_map(|field| match field.value {
        Value::Bytes(bytes) if field.number == number => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    })
}

fn field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// The schema of the services above.
fn own_files() -> Vec<SchemaFile> {
    let mut builder = Builder::default();
    for (name, package, text) in [
        ("grpc/reflection/v1/reflection.proto", "grpc.reflection.v1", REFLECTION_PROTO),
        ("grpc/reflection/v1alpha/reflection.proto", "grpc.reflection.v1alpha", REFLECTION_PROTO),
        ("grpc/health/v1/health.proto", "grpc.health.v1", HEALTH_PROTO),
    ] {
        let text = format!("syntax = \"proto3\"; package {package};\n{text}");
        // A text is called by the last part of its name, which would be the same for both versions.
        let name = name.replace('/', "_");
        builder.add_text(SourceText { identity: name.clone(), name, text }, true);
    }
    builder.finish_with_files(&mut NoImports).2
}

const REFLECTION_PROTO: &str = "
service ServerReflection {
  rpc ServerReflectionInfo(stream ServerReflectionRequest) returns (stream ServerReflectionResponse);
}
message ServerReflectionRequest {
  string host = 1;
  oneof message_request {
    string file_by_filename = 3;
    string file_containing_symbol = 4;
    ExtensionRequest file_containing_extension = 5;
    string all_extension_numbers_of_type = 6;
    string list_services = 7;
  }
}
message ExtensionRequest { string containing_type = 1; int32 extension_number = 2; }
message ServerReflectionResponse {
  string valid_host = 1;
  ServerReflectionRequest original_request = 2;
  oneof message_response {
    FileDescriptorResponse file_descriptor_response = 4;
    ExtensionNumberResponse all_extension_numbers_response = 5;
    ListServiceResponse list_services_response = 6;
    ErrorResponse error_response = 7;
  }
}
message FileDescriptorResponse { repeated bytes file_descriptor_proto = 1; }
message ExtensionNumberResponse { string base_type_name = 1; repeated int32 extension_number = 2; }
message ListServiceResponse { repeated ServiceResponse service = 1; }
message ServiceResponse { string name = 1; }
message ErrorResponse { int32 error_code = 1; string error_message = 2; }
";

const HEALTH_PROTO: &str = "
service Health {
  rpc Check(HealthCheckRequest) returns (HealthCheckResponse);
  rpc Watch(HealthCheckRequest) returns (stream HealthCheckResponse);
}
message HealthCheckRequest { string service = 1; }
message HealthCheckResponse {
  enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; SERVICE_UNKNOWN = 3; }
  ServingStatus status = 1;
}
";
