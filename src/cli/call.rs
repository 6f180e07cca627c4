//! `rpcshark call`: one call now.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use clap::{Args, ValueEnum};
use rpcshark_captures::Direction;
use rpcshark_captures::budget::MemoryLimit;
use rpcshark_dissectors::grpc::Status;
use rpcshark_dissectors::print::{Escaped, Printer};
use rpcshark_dissectors::schema::{MessageIx, Schema};
use rpcshark_dissectors::store::{CallRef, Keep, Protocol};
use rpcshark_dissectors::view::{Guesser, Known, Permit, Redaction, Scratch, Viewer};
use tokio::sync::mpsc;

use super::Talk;
use super::input::{FileBodies, SchemaArgs};
use super::output::{CANNOT_OPEN, Output, Problem, complain};
use crate::address::Address;
use crate::call::{Ask, ReflectionError, Session, Spoken, Ways, encode, reflected};
use crate::config::Config;
use crate::decode_as::DecodeAsRules;
use crate::load::{Inputs, LoadOptions, Loader};
use crate::replay::edit::{Change, Edits, MetadataChange};
use crate::replay::{CommandErrors, header, parse_duration};
use crate::rpc::{TlsArgs, TlsSettings, Wire};
use crate::signals::{INTERRUPTED, Stop};

/// Make one call to a server, and print it as `show` does
///
/// Types come from --proto or --protoset, or, for gRPC, from the server's reflection. Each JSON value is a message.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = EXAMPLES_AND_STATUS)]
pub(super) struct CallArgs {
    /// Where the server is: host:port, https://host:port, unix:/path, unix-abstract:name, vsock:cid:port
    #[arg(value_name = "ADDR")]
    addr: Address,

    /// What to call: package.Service/Method
    #[arg(value_name = "SERVICE/METHOD", required_unless_present = "from", conflicts_with = "from")]
    method: Option<String>,

    /// The request: JSON, @FILE, or @ for standard input; several values are several messages of a stream
    #[arg(short, long, value_name = "JSON|@FILE|@", conflicts_with = "from")]
    data: Option<String>,

    /// Send a recorded call again: a capture, and the number of the call in it
    #[arg(long, num_args = 2, value_names = ["FILE", "NO"])]
    from: Option<Vec<String>>,

    /// With --from: send recorded credentials (authorization, cookie, *-token, ...), which are withheld otherwise
    #[arg(long, requires = "from")]
    keep_auth: bool,

    /// With --from: change a field of the request: field.path=value, metadata.name=value (may be repeated)
    #[arg(long, value_name = "FIELD=VALUE", requires = "from", value_parser = change)]
    set: Vec<Change>,

    /// Send this metadata: 'name: value'; the value may be env:VARIABLE, file:PATH or cmd:COMMAND (may be repeated)
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,

    /// How long the call may take: 500ms, 5s
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    max_time: Option<Duration>,

    /// What the server speaks; with --from, what the recorded call was made in if this is not given [default: grpc]
    #[arg(long, value_name = "PROTOCOL", value_enum)]
    protocol: Option<Speaks>,

    /// The :authority of the request, if it is not the server's address (localhost for Unix sockets and vsock)
    #[arg(long, value_name = "NAME")]
    authority: Option<String>,

    /// Print one JSON object, as `calls --json` does
    #[arg(long)]
    json: bool,

    /// Show every header field as sent, pseudo-headers too
    #[arg(long)]
    all_headers: bool,

    /// Show the values of authorization, cookie, *-token and other secrets
    #[arg(long)]
    show_secrets: bool,

    /// Do not read the configuration file
    #[arg(long)]
    no_config: bool,

    #[command(flatten)]
    schema: SchemaArgs,

    #[command(flatten)]
    tls: TlsArgs,

    /// The client's private key, PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    key: Option<PathBuf>,

    #[command(flatten)]
    talk: Talk,
}

/// Stands below `-h`.
const EXAMPLES: &str = "\
Examples:
  rpcshark call localhost:50051 shop.Orders/GetOrder -d '{\"id\": \"order-1\"}'
  rpcshark call unix:/run/x.sock shop.Orders/ListOrders -d '{\"count\": 3}' --proto protos/ --json
  rpcshark call unix:/run/shim.sock containerd.task.v2.Task/State -d '{\"id\": \"c\"}' --protocol ttrpc --proto protos/
  rpcshark call localhost:50051 --from session.pcapng 12
  rpcshark call localhost:50051 --from session.pcapng 12 --set id=order-2 --set metadata.tenant=t2";

/// Stands below `--help`, and in the manual page.
const EXAMPLES_AND_STATUS: &str = "\
Examples:
  rpcshark call localhost:50051 shop.Orders/GetOrder -d '{\"id\": \"order-1\"}'
  rpcshark call unix:/run/x.sock shop.Orders/ListOrders -d '{\"count\": 3}' --proto protos/ --json
  rpcshark call unix:/run/shim.sock containerd.task.v2.Task/State -d '{\"id\": \"c\"}' --protocol ttrpc --proto protos/
  rpcshark call localhost:50051 --from session.pcapng 12
  rpcshark call localhost:50051 --from session.pcapng 12 --set id=order-2 --set metadata.tenant=t2
  printf '{\"sku\": \"a\"}\\n{\"sku\": \"b\"}\\n' | rpcshark call localhost:50051 shop.Orders/UploadItems -d @

Exit status:
  0  the call ended with OK
  64 + STATUS  it ended with another status: 69 for NOT_FOUND
  2  the command line, the request or a named schema file is wrong
  3  the server could not be reached, or the call has no status
  130  interrupted";

/// What a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Speaks {
    /// gRPC over HTTP/2
    Grpc,
    /// ttrpc
    Ttrpc,
    /// gRPC-Web, over HTTP/1.1, or over HTTP/2 if TLS agrees on that
    GrpcWeb,
    /// Connect, likewise
    Connect,
}

impl Speaks {
    /// How a request is written.
    const fn wire(self, ways: Ways) -> Wire {
        match self {
            Self::Grpc | Self::Ttrpc => Wire::Grpc,
            Self::GrpcWeb => Wire::GrpcWeb,
            Self::Connect if ways.client_streams || ways.server_streams => Wire::ConnectStream,
            Self::Connect => Wire::ConnectUnary,
        }
    }

    const fn spoken(self) -> Spoken {
        match self {
            Self::Grpc => Spoken::Http2,
            Self::Ttrpc => Spoken::Ttrpc,
            Self::GrpcWeb | Self::Connect => Spoken::Http1,
        }
    }
}

/// What is called, and with what.
struct Plan {
    service: String,
    method: String,
    metadata: Vec<(String, Vec<u8>)>,
    /// Messages of a recorded call.
    recorded: Option<Recorded>,
}

struct Recorded {
    messages: Vec<Vec<u8>>,
    ways: Ways,
    protocol: Protocol,
}

/// The messages of an answer that were printed as they came.
struct Answers {
    count: usize,
    output: Output,
}

/// Exit status: what is added to a status that is not OK.
const ADDED: u32 = 64;

/// Messages that wait to be sent.
const QUEUE: usize = 16;

pub(super) fn run(args: CallArgs) -> Result<ExitCode, Problem> {
    args.talk.color.decide();
    let config = if args.no_config { Config::default() } else { Config::load()? };
    let schema = args.schema.load_or(&config.schema, args.talk)?;
    let hidden = Redaction::default().with_names(&config.hidden);
    let plan = args.plan(&schema, &hidden)?;
    let recorded = plan.recorded.as_ref().map(|recorded| match recorded.protocol {
        Protocol::Grpc => Speaks::Grpc,
        Protocol::Ttrpc => Speaks::Ttrpc,
        Protocol::GrpcWeb => Speaks::GrpcWeb,
        Protocol::Connect => Speaks::Connect,
    });
    let speaks = args.protocol.or(recorded).unwrap_or(Speaks::Grpc);
    let ttrpc = speaks == Speaks::Ttrpc;
    if recorded.is_some_and(|recorded| (recorded == Speaks::Ttrpc) != ttrpc) {
        return Err(Problem::Usage(
            "--protocol: the recorded call is ttrpc, or the given protocol is; they do not mix".to_owned(),
        ));
    }
    let protocols: &[&[u8]] = match speaks {
        Speaks::Ttrpc => &[],
        Speaks::Grpc => &[b"h2"],
        Speaks::GrpcWeb | Speaks::Connect => &[b"h2", b"http/1.1"],
    };
    let tls = TlsSettings::new(&args.tls, args.key.as_deref(), protocols);
    let tls = tls.map_err(|error| Problem::Usage(error.to_string()))?;
    let stop = Stop::watched().ok();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let status = tokio::task::LocalSet::new().block_on(&runtime, async {
        let opened = Session::open(&args.addr, &tls, speaks.spoken(), args.authority.as_deref(), stop.clone()).await;
        let session = match opened {
            Ok(session) => session,
            Err(error) => return Ok(unreachable(&args.addr, &error)),
        };
        let mut ask = Ask {
            service: plan.service.clone(),
            method: plan.method.clone(),
            metadata: plan.metadata.clone(),
            max_time: args.max_time,
            ways: Ways::default(),
            wire: Wire::Grpc,
        };
        let is_known = schema.method(&ask.service, &ask.method).is_some();
        let has_schema = is_known || args.schema.is_given() || !schema.services.is_empty() && ttrpc;
        let needs_schema = (plan.recorded.is_none() || !args.set.is_empty()) && !has_schema;
        if needs_schema && ttrpc {
            return Err(Problem::Usage(
                "ttrpc servers do not tell their schema; give --proto or --protoset".to_owned(),
            ));
        }
        // Reflection is a stream in both directions.
        ask.wire = speaks.wire(Ways { client_streams: true, server_streams: true });
        let schema = match needs_schema {
            true => match reflected(&session, &ask, &ask.service).await {
                Ok(schema) => Arc::new(schema),
                Err(error @ ReflectionError::Failed(_)) => {
                    complain(&error.to_string());
                    return Ok(ExitCode::from(CANNOT_OPEN));
                }
                Err(error) => return Err(Problem::Usage(error.to_string())),
            },
            false => schema,
        };
        let (send, messages) = mpsc::channel(QUEUE);
        let wrong = match plan.recorded {
            Some(mut recorded) => {
                ask.ways = recorded.ways;
                args.edit(&schema, &mut ask, &mut recorded.messages)?;
                tokio::task::spawn_local(async move {
                    for message in recorded.messages {
                        if send.send(message).await.is_err() {
                            break;
                        }
                    }
                });
                None
            }
            None => {
                let method = schema.method(&ask.service, &ask.method).ok_or_else(|| no_method(&schema, &ask))?;
                ask.ways = Ways { client_streams: method.client_streaming, server_streams: method.server_streaming };
                let input = method.input;
                Some(args.read(&schema, input, ask.ways, send)?)
            }
        };
        ask.wire = speaks.wire(ask.ways);
        let mut printed = Answers { count: 0, output: Output::new() };
        let shows = !args.json && (ask.ways.client_streams || ask.ways.server_streams);
        let call = {
            let show = session.each_change(|at| args.show_answers(&session, at, &schema, &hidden, shows, &mut printed));
            tokio::select! {
                biased;
                call = session.call(&ask, messages) => call,
                error = show => return Err(Problem::Output(error)),
            }
        };
        // A message that is wrong ends the request: what came of it is of no interest.
        if let Some(wrong) = wrong.and_then(|wrong| wrong.try_recv().ok()) {
            return Err(Problem::Usage(wrong));
        }
        match call {
            Ok(call) => {
                args.show_answers(&session, call, &schema, &hidden, shows, &mut printed)?;
                args.print(&session, call, &schema, hidden.clone(), shows)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Err(Problem::Usage(error.to_string())),
            Err(error) => Ok(unreachable(&args.addr, &error)),
        }
    })?;
    match stop.is_some_and(|stop| stop.is_raised()) {
        true => Ok(ExitCode::from(INTERRUPTED)),
        false => Ok(status),
    }
}

/// Reads `field.path=value` or `metadata.name=value`; `request.` before a field, and `Service/Method.` before both, may be there.
fn change(text: &str) -> Result<Change, String> {
    let place = text.split('=').next().unwrap_or_default();
    if place.contains('/') {
        return Change::set(text);
    }
    let named = place.starts_with("request.") || place.starts_with("metadata.");
    Change::set(&format!("*/*.{}{text}", if named { "" } else { "request." }))
}

fn unreachable(address: &Address, error: &io::Error) -> ExitCode {
    complain(&format!("{address}: {error}"));
    ExitCode::from(CANNOT_OPEN)
}

fn no_method(schema: &Schema, ask: &Ask) -> Problem {
    let Ask { service, method, .. } = ask;
    Problem::Usage(match schema.service(service) {
        Some(known) => {
            let names: Vec<&str> = known.methods.iter().map(|method| &*method.name).collect();
            format!("{service} has no method {method}; it has {}", names.join(", "))
        }
        None => {
            let names: Vec<&str> = schema.services.iter().map(|service| &*service.name).take(20).collect();
            format!("the schema has no service {service}; it has {}", names.join(", "))
        }
    })
}

impl CallArgs {
    fn plan(&self, schema: &Arc<Schema>, hidden: &Redaction) -> Result<Plan, Problem> {
        let metadata = self.headers.iter().map(|given| {
            let (name, value) =
                given.split_once(':').ok_or_else(|| Problem::Usage(format!("-H '{given}': it is 'name: value'")))?;
            header(&format!("{}={}", name.trim(), value.trim()), CommandErrors::Shown).map_err(Problem::Usage)
        });
        let metadata = metadata.collect::<Result<Vec<_>, _>>()?;
        if let Some([file, no]) = self.from.as_deref() {
            return self.recorded(Path::new(file), no, metadata, schema, hidden);
        }
        let given = self.method.as_deref().unwrap_or_default().trim_start_matches('/');
        // grpcurl takes a dot before the method, too.
        let named = given.rsplit_once('/').or_else(|| given.rsplit_once('.'));
        let Some((service, method)) = named.filter(|(service, method)| !service.is_empty() && !method.is_empty())
        else {
            return Err(Problem::Usage(format!("{given:?} is not a method: it is package.Service/Method")));
        };
        Ok(Plan { service: service.to_owned(), method: method.to_owned(), metadata, recorded: None })
    }

    /// A recorded call, whose messages are sent as they are.
    fn recorded(
        &self,
        file: &Path,
        no: &str,
        mut metadata: Vec<(String, Vec<u8>)>,
        schema: &Arc<Schema>,
        hidden: &Redaction,
    ) -> Result<Plan, Problem> {
        let no: u32 = no.parse().map_err(|_| Problem::Usage(format!("--from: {no} is not the number of a call")))?;
        let loader = Loader::open(LoadOptions {
            inputs: Inputs::Paths(vec![file.to_owned()]),
            follow: false,
            stop: None,
            count: None,
            memory: MemoryLimit::DEFAULT,
            keep: Keep { bodies: true, ..Keep::default() },
            decode_as: DecodeAsRules(Vec::new()),
            key_logs: Vec::new(),
            spool: None,
            notice: None,
        })?;
        let sources = loader.sources();
        let loaded = loader.start().join(|_| {})?;
        let (bodies, guesser) = (FileBodies(sources), Guesser::new(schema));
        let viewer = Viewer {
            store: &loaded.store,
            bodies: &bodies,
            schema,
            guesser: &guesser,
            redaction: hidden,
            files: &[],
            names: None,
        };
        let wrong = |why: &str| Problem::Usage(format!("call {no} of {}: {why}", file.display()));
        let call = viewer.call_by_no(no).ok_or_else(|| wrong("there is no such call"))?;
        let call = call.permitted(&Permit::to_send());
        let (service, method) = match call.service_and_method() {
            Known::Seen((service, method)) => (service.to_owned(), method.to_owned()),
            _ => return Err(wrong("its method is not in the capture")),
        };
        let mut scratch = Scratch::default();
        let mut messages = Vec::new();
        for message in call.messages(Direction::ToServer) {
            let body = message.body(&mut scratch);
            messages.push(body.content().ok_or_else(|| wrong("a message cannot be read"))?.to_vec());
        }
        for field in call.request_headers().into_iter().flat_map(|list| list.metadata()) {
            let (Known::Seen(name), Known::Seen(value)) = (field.name(), field.value()) else { continue };
            let name = String::from_utf8_lossy(name).into_owned();
            let replaced = metadata.iter().any(|(given, _)| given.eq_ignore_ascii_case(&name));
            if !replaced && (self.keep_auth || !hidden.hides_name(name.as_bytes())) {
                // Some peers send the bytes themselves after a NUL, which no other one need understand.
                let value = match field.binary_values() {
                    Some(values) => {
                        let values = values.map(|value| BASE64_STANDARD_NO_PAD.encode(value.unwrap_or_default()));
                        values.collect::<Vec<_>>().join(",").into_bytes()
                    }
                    None => value.to_vec(),
                };
                metadata.push((name, value));
            }
        }
        let ways = match call.method() {
            Some(method) => Ways { client_streams: method.client_streaming, server_streams: method.server_streaming },
            // For gRPC it makes no difference; ttrpc needs to know.
            None => Ways {
                client_streams: messages.len() != 1,
                server_streams: call.messages(Direction::ToClient).nth(1).is_some(),
            },
        };
        let protocol = call.protocol();
        Ok(Plan { service, method, metadata, recorded: Some(Recorded { messages, ways, protocol }) })
    }

    /// Reads JSON values on a thread of their own, and sends each as a message. The receiver learns what is wrong with one.
    fn read(
        &self,
        schema: &Arc<Schema>,
        input: MessageIx,
        ways: Ways,
        send: mpsc::Sender<Vec<u8>>,
    ) -> Result<std::sync::mpsc::Receiver<String>, Problem> {
        let (tell, wrong) = std::sync::mpsc::channel();
        let text: Box<dyn Read + Send> = match self.data.as_deref() {
            None => Box::new(io::Cursor::new(if ways.client_streams { "" } else { "{}" })),
            Some("@" | "@-") => Box::new(io::stdin()),
            Some(data) => match data.strip_prefix('@') {
                Some(path) => {
                    Box::new(File::open(path).map_err(|error| Problem::Usage(format!("-d {data}: {error}")))?)
                }
                None => Box::new(io::Cursor::new(data.to_owned())),
            },
        };
        let schema = Arc::clone(schema);
        let work = move || {
            let values = serde_json::Deserializer::from_reader(io::BufReader::new(text));
            let mut count = 0;
            for value in values.into_iter::<serde_json::Value>() {
                count += 1;
                if count > 1 && !ways.client_streams {
                    let _ = tell.send("the method takes one message, and -d has more".to_owned());
                    return;
                }
                let encoded = value
                    .map_err(|error| format!("-d: {error}"))
                    .and_then(|value| encode(&schema, input, &value).map_err(|error| format!("-d: {error}")));
                match encoded {
                    Ok(message) => {
                        if send.blocking_send(message).is_err() {
                            return;
                        }
                    }
                    Err(error) => {
                        let _ = tell.send(error);
                        return;
                    }
                }
            }
            if count == 0 && !ways.client_streams {
                let _ = tell.send("-d holds no message".to_owned());
            }
        };
        // The thread may wait for standard input to the end of the program.
        std::thread::Builder::new().name("request".into()).spawn(work)?;
        // What is wrong with the first message is known before anything is sent, unless that comes from standard input.
        if !matches!(self.data.as_deref(), Some("@" | "@-"))
            && let Ok(error) = wrong.recv_timeout(Duration::from_millis(20))
        {
            return Err(Problem::Usage(error));
        }
        Ok(wrong)
    }

    /// Makes the changes that `--set` asks for.
    fn edit(&self, schema: &Schema, ask: &mut Ask, messages: &mut [Vec<u8>]) -> Result<(), Problem> {
        let edits = Edits { changes: self.set.clone(), ..Edits::default() };
        let name = format!("{}/{}", ask.service, ask.method);
        for change in edits.metadata_of(&name) {
            let (MetadataChange::Set(name, _) | MetadataChange::Drop(name)) = change;
            ask.metadata.retain(|(known, _)| known != name);
            if let MetadataChange::Set(name, value) = change {
                ask.metadata.push((name.to_owned(), value.as_bytes().to_vec()));
            }
        }
        if !edits.change_messages_of(&name) {
            return Ok(());
        }
        let input = schema.method(&ask.service, &ask.method).ok_or_else(|| no_method(schema, ask))?.input;
        for message in messages {
            let edited = edits.apply(&name, schema, input, message, &|_, _| None);
            *message = edited.map_err(|error| Problem::Usage(format!("--set: {error}")))?;
        }
        Ok(())
    }

    /// Prints the messages of a stream's answer that have come since this was last done.
    fn show_answers(
        &self,
        session: &Session,
        call: CallRef,
        schema: &Schema,
        hidden: &Redaction,
        shows: bool,
        printed: &mut Answers,
    ) -> io::Result<()> {
        if !shows {
            return Ok(());
        }
        let revealed = Redaction::reveal_everything();
        let redaction = if self.show_secrets { &revealed } else { hidden };
        session.view(schema, redaction, |viewer| {
            let printer = Printer { decimals: 9, ..Printer::new(viewer) };
            let call = viewer.call(call);
            let Answers { count, output } = printed;
            output.draining(|buffer, drain| *count = printer.write_answers(&call, *count, buffer, drain))?;
            output.flush()
        })
    }

    /// Prints a call that has ended. `without_answers`: but for the messages of its answer.
    fn print(
        &self,
        session: &Session,
        call: CallRef,
        schema: &Schema,
        hidden: Redaction,
        without_answers: bool,
    ) -> Result<ExitCode, Problem> {
        let redaction = if self.show_secrets { Redaction::reveal_everything() } else { hidden };
        let mut output = Output::new();
        session.view(schema, &redaction, |viewer| {
            let mut printer = Printer::new(viewer);
            printer.all_headers = self.all_headers;
            printer.decimals = 9;
            let call = viewer.call(call);
            match self.json {
                true => output.draining(|buffer, drain| printer.write_call_json(&call, false, buffer, drain))?,
                false if without_answers => {
                    output.draining(|buffer, drain| printer.write_call_around_answers(&call, buffer, drain))?;
                }
                false => {
                    output.draining(|buffer, drain| printer.write_call_in_full(&call, false, None, buffer, drain))?;
                }
            }
            output.flush()?;
            let reset = call.resets().first().filter(|reset| reset.direction == Direction::ToServer);
            let timed_out =
                self.max_time.is_some() && call.status_code().is_none() && (reset.is_some() || call.end().is_none());
            let code = match timed_out {
                // We have ended it: the status is ours.
                true => Some(Status::DEADLINE_EXCEEDED),
                false => call.status_code().or(call.mapped_status().map(|mapped| mapped.code)),
            };
            Ok(match code {
                Some(code) if code.0 == 0 => ExitCode::SUCCESS,
                Some(code) => ExitCode::from(u8::try_from(ADDED + code.0).unwrap_or(u8::MAX)),
                None => {
                    complain(&format!("{}: the call has no status", Escaped(self.addr.to_string().as_bytes())));
                    ExitCode::from(CANNOT_OPEN)
                }
            })
        })
    }
}
