//! `rpcshark schema`: what the given schemas hold, and what they lack for a capture.

use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use rpcshark_captures::Direction;
use rpcshark_dissectors::json::Writer;
use rpcshark_dissectors::print::{
    Escaped, describe_enum, describe_field, describe_message, describe_method, describe_service,
};
use rpcshark_dissectors::protobuf::Next;
use rpcshark_dissectors::schema::{Kind, Method, Schema};
use rpcshark_dissectors::statistics::{GroupBy, GroupKey};
use rpcshark_dissectors::view::Scratch;

use super::filter::FilterArgs;
use super::input::{RawArgs, SchemaArgs};
use super::methods::group;
use super::output::{Output, Problem, remark};
use super::selected::{Selected, Wanted};
use super::{InputArgs, Talk};

/// List and describe services, methods and messages of schemas, and find methods that no schema has
///
/// Schemas are given with --proto and --protoset, as for all commands.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  rpcshark schema list --proto protos/
  rpcshark schema list acme.shop.v1.Orders --proto protos/
  rpcshark schema describe acme.shop.v1.Order --proto protos/
  rpcshark schema missing capture.pcapng --proto protos/
  rpcshark schema unused capture.pcapng --proto protos/")]
pub(super) struct SchemaCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(ListArgs),
    Describe(DescribeArgs),
    Missing(Box<MissingArgs>),
    Unused(Box<UnusedArgs>),
}

/// List services, or the methods of a service, one name per line
#[derive(Debug, Args)]
struct ListArgs {
    /// A service; without it, all services are listed
    #[arg(value_name = "SERVICE")]
    service: Option<String>,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    talk: Talk,

    #[command(flatten)]
    schema: SchemaArgs,
}

/// Describe services, methods, messages, fields or enumerations, as in a .proto file
#[derive(Debug, Args)]
struct DescribeArgs {
    /// Full names: package.Service, package.Service/Method, package.Message, package.Message.field, package.Enum; without one,
    /// all services are described
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    talk: Talk,

    #[command(flatten)]
    schema: SchemaArgs,
}

/// List methods of a capture that are in no given schema: number of calls, package.Service/Method
#[derive(Debug, Args)]
struct MissingArgs {
    /// Captures: files, directories, or - for standard input; several are merged by time
    #[arg(required_unless_present = "raw_client", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    raw: RawArgs,

    #[command(flatten)]
    input: InputArgs,
}

/// List methods of the given schemas that a capture has no calls of: package.Service/Method
#[derive(Debug, Args)]
struct UnusedArgs {
    /// Captures: files, directories, or - for standard input; several are merged by time
    #[arg(required_unless_present = "raw_client", value_name = "FILE")]
    files: Vec<PathBuf>,

    /// List message types that no message of the capture is of or contains, instead of methods
    #[arg(long)]
    messages: bool,

    /// Print one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    filter: FilterArgs,

    #[command(flatten)]
    raw: RawArgs,

    #[command(flatten)]
    input: InputArgs,
}

pub(super) fn run(command: SchemaCommand) -> Result<ExitCode, Problem> {
    match command.what {
        What::List(args) => list(&args),
        What::Describe(args) => describe(&args),
        What::Missing(args) => missing(&args),
        What::Unused(args) => unused(&args),
    }
}

/// The given schemas; that none were given is an error.
fn load(args: &SchemaArgs, talk: Talk) -> Result<std::sync::Arc<Schema>, Problem> {
    if !args.is_given() {
        return Err(Problem::Usage("give a schema: --proto FILE|DIR or --protoset FILE".to_owned()));
    }
    args.load(talk)
}

fn list(args: &ListArgs) -> Result<ExitCode, Problem> {
    let schema = load(&args.schema, args.talk)?;
    let mut output = Output::new();
    match &args.service {
        None => {
            let mut services: Vec<_> = schema.services.iter().collect();
            services.sort_by(|a, b| a.name.cmp(&b.name));
            for service in services {
                let out = output.buffer();
                if args.json {
                    let mut json = Writer::new(out);
                    json.begin_object();
                    json.key("version").unsigned(1);
                    json.key("service").string(&service.name);
                    json.key("methods").unsigned(service.methods.len() as u64);
                    json.end_object();
                    out.push(b'\n');
                } else {
                    out.extend_from_slice(format!("{}\n", Escaped(service.name.as_bytes())).as_bytes());
                }
            }
        }
        Some(name) => {
            let service = schema.service(name).ok_or_else(|| unknown(name, &schema))?;
            for method in &service.methods {
                let out = output.buffer();
                if args.json {
                    write_method(&schema, name, method, out);
                } else {
                    let line = format!("{}/{}\n", Escaped(name.as_bytes()), Escaped(method.name.as_bytes()));
                    out.extend_from_slice(line.as_bytes());
                }
            }
        }
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn write_method(schema: &Schema, service: &str, method: &Method, out: &mut Vec<u8>) {
    let mut json = Writer::new(out);
    json.begin_object();
    json.key("version").unsigned(1);
    json.key("path").string(&format!("/{service}/{}", method.name));
    json.key("service").string(service);
    json.key("method").string(&method.name);
    json.key("request_type").string(&schema[method.input].name);
    json.key("response_type").string(&schema[method.output].name);
    json.key("kind").string(match (method.client_streaming, method.server_streaming) {
        (false, false) => "unary",
        (true, false) => "client_streaming",
        (false, true) => "server_streaming",
        (true, true) => "bidi_streaming",
    });
    json.end_object();
    out.push(b'\n');
}

/// What a name stands for: the word for it, its full name, and its definition.
struct Definition {
    what: &'static str,
    name: String,
    text: String,
}

fn describe(args: &DescribeArgs) -> Result<ExitCode, Problem> {
    let schema = load(&args.schema, args.talk)?;
    let mut names: Vec<String> = args.names.clone();
    if names.is_empty() {
        names = schema.services.iter().map(|service| service.name.to_string()).collect();
        names.sort();
    }
    let mut output = Output::new();
    for (index, name) in names.iter().enumerate() {
        let found = find(&schema, name).ok_or_else(|| unknown(name, &schema))?;
        let out = output.buffer();
        if args.json {
            let mut json = Writer::new(out);
            json.begin_object();
            json.key("version").unsigned(1);
            json.key("name").string(&found.name);
            json.key("what").string(found.what);
            json.key("definition").string(&found.text);
            json.end_object();
            out.push(b'\n');
        } else {
            let article = if found.what.starts_with('e') { "an" } else { "a" };
            let between = if index > 0 { "\n" } else { "" };
            let lines: Vec<String> = found.text.lines().map(|line| Escaped(line.as_bytes()).to_string()).collect();
            let name = Escaped(found.name.as_bytes());
            let text = format!("{between}{name} is {article} {}:\n{}\n", found.what, lines.join("\n"));
            out.extend_from_slice(text.as_bytes());
        }
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// What `name` stands for: with a dot before it, with a slash or a dot before a method.
fn find(schema: &Schema, name: &str) -> Option<Definition> {
    let name = name.trim_start_matches(['.', '/']);
    let found = |what, text| Some(Definition { what, name: name.replace('/', "."), text });
    if let Some(service) = schema.service(name) {
        return found("service", describe_service(schema, service));
    }
    if let Some(ix) = schema.message(name) {
        return found("message", describe_message(schema, &schema[ix]));
    }
    if let Some(described) = schema.enums.iter().find(|described| &*described.name == name) {
        return found("enum", describe_enum(described));
    }
    let (parent, last) = name.rsplit_once(['/', '.'])?;
    if let Some(method) = schema.method(parent, last) {
        return found("method", describe_method(schema, method));
    }
    let message = &schema[schema.message(parent)?];
    let field = message.fields.iter().find(|field| &*field.name == last)?;
    found("field", describe_field(schema, field))
}

/// The problem with a name that no schema has, with names that are like it.
fn unknown(name: &str, schema: &Schema) -> Problem {
    let last = name.rsplit(['.', '/']).next().unwrap_or(name).to_lowercase();
    let services = schema.services.iter().map(|service| &service.name);
    let messages = schema.messages.iter().filter(|message| !message.map_entry).map(|message| &message.name);
    let enums = schema.enums.iter().map(|described| &described.name);
    let all = services.chain(messages).chain(enums);
    let alike =
        all.filter(|known| !last.is_empty() && known.rsplit('.').next().is_some_and(|own| own.to_lowercase() == last));
    let alike: Vec<String> = alike.take(3).map(ToString::to_string).collect();
    let hint = if alike.is_empty() { String::new() } else { format!("; did you mean {}?", alike.join(" or ")) };
    Problem::Usage(format!("no given schema has {name}{hint}"))
}

fn missing(args: &MissingArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let schema = load(&input.schema, input.talk)?;
    let wanted = Wanted { bodies: true, ..Wanted::default() };
    let selected = Selected::read(input, args.raw.or(&args.files), &args.filter, schema.clone(), wanted)?;
    let groups = group(selected.viewer(), &selected.calls, &GroupBy::Method).finish();
    let mut output = Output::new();
    let mut count = 0;
    for group in &groups {
        let GroupKey::Text(path) = &group.key else { continue };
        let parts = path.strip_prefix('/').and_then(|path| path.rsplit_once('/'));
        let service = parts.and_then(|(service, _)| schema.service(service));
        if parts.is_some_and(|(service, method)| schema.method(service, method).is_some()) {
            continue;
        }
        count += 1;
        let out = output.buffer();
        if args.json {
            let mut json = Writer::new(out);
            json.begin_object();
            json.key("version").unsigned(1);
            json.key("path").string(path);
            json.key("calls").unsigned(group.calls);
            json.key("service_known").bool(service.is_some());
            json.end_object();
            out.push(b'\n');
        } else {
            let path = path.strip_prefix('/').unwrap_or(path);
            let note = if service.is_some() { "   (the schema has the service, but not this method)" } else { "" };
            let line = format!("{:>7}  {}{note}\n", group.calls, Escaped(path.as_bytes()));
            out.extend_from_slice(line.as_bytes());
        }
    }
    output.flush()?;
    if count == 0 && !groups.is_empty() && !input.talk.quiet {
        remark("the given schemas have all methods of the capture");
    }
    Ok(selected.report(input))
}

fn unused(args: &UnusedArgs) -> Result<ExitCode, Problem> {
    let input = &args.input;
    let schema = load(&input.schema, input.talk)?;
    let wanted = Wanted { bodies: true, ..Wanted::default() };
    let selected = Selected::read(input, args.raw.or(&args.files), &args.filter, schema.clone(), wanted)?;
    let mut output = Output::new();
    let names = if args.messages { unused_messages(&selected, &schema) } else { unused_methods(&selected, &schema) };
    for name in &names {
        let out = output.buffer();
        if args.json {
            let mut json = Writer::new(out);
            json.begin_object();
            json.key("version").unsigned(1);
            match args.messages {
                true => json.key("message").string(name),
                false => json.key("path").string(&format!("/{name}")),
            }
            json.end_object();
            out.push(b'\n');
        } else {
            out.extend_from_slice(format!("{}\n", Escaped(name.as_bytes())).as_bytes());
        }
    }
    output.flush()?;
    if names.is_empty() && !input.talk.quiet {
        let what = if args.messages { "message types" } else { "methods" };
        remark(&format!("the capture uses all {what} of the given schemas"));
    }
    Ok(selected.report(input))
}

/// The methods of the schemas that no call has, by name.
fn unused_methods(selected: &Selected, schema: &Schema) -> Vec<String> {
    let groups = group(selected.viewer(), &selected.calls, &GroupBy::Method).finish();
    let used = groups.iter().filter_map(|group| match &group.key {
        GroupKey::Text(path) => path.strip_prefix('/'),
        _ => None,
    });
    let used: HashSet<&str> = used.collect();
    let all = schema
        .services
        .iter()
        .flat_map(|service| service.methods.iter().map(move |method| format!("{}/{}", service.name, method.name)));
    let mut unused: Vec<String> = all.filter(|name| !used.contains(&**name)).collect();
    unused.sort();
    unused
}

/// The message types of the schemas that no message is of, and that none contains, by name.
fn unused_messages(selected: &Selected, schema: &Schema) -> Vec<String> {
    let mut used = HashSet::new();
    let mut scratch = Scratch::default();
    for &at in &selected.calls {
        let call = selected.viewer().call(at);
        for message in Direction::BOTH.into_iter().flat_map(|direction| call.messages(direction)) {
            if let Some(ix) = message.type_ix().value() {
                used.insert(&*schema[ix].name);
            }
            // Nothing ends this walk.
            let _ = message.body(&mut scratch).walk(|step| {
                used.extend(schema.message(&step.message.name).map(|ix| &*schema[ix].name));
                let kind = step.field.map(|field| field.kind);
                if let Some(Kind::Message(ix) | Kind::Group(ix)) = kind {
                    used.insert(&*schema[ix].name);
                }
                Next::Inside
            });
        }
    }
    let builtin = Schema::builtin();
    let own = schema.messages.iter().filter(|message| !message.map_entry && builtin.message(&message.name).is_none());
    let mut unused: Vec<String> = own.map(|message| message.name.to_string()).collect();
    unused.retain(|name| !used.contains(&**name));
    unused.sort();
    unused
}
