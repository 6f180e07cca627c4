//! The configuration file: what a user sets once, and every command follows.
//!
//! It is TOML. `RPCSHARK_CONFIG` names it; without that it is `rpcshark/config.toml` in the user's configuration directory
//! (`$XDG_CONFIG_HOME`, else `~/.config`), where it may be missing. It is read strictly: an unknown key or a wrong value is an
//! error that names the file and the line, since a misspelt `hidden` would otherwise reveal what its user wants to hide.
//!
//! To add a setting, add a field to [`Config`] and to [`Text`], and check its value in [`Config::parse`].

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use ratatui::style::{Color, Modifier, Style};
use rpcshark_tui::command::{COMMANDS, Keymap};
use rpcshark_tui::theme::Role;
use serde::Deserialize;

use crate::load::schema::Sources;

/// What a configuration file sets. The default is an empty file.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Config {
    /// Names of header fields whose values are hidden, besides those that are always hidden.
    pub(crate) hidden: Vec<FieldName>,
    /// Where types come from if the command line names no schema.
    pub(crate) schema: Sources,
    /// Display filters with names.
    pub(crate) filters: Vec<SavedFilter>,
    /// The columns of the terminal UI's list of calls, in their order; empty for the default ones.
    pub(crate) columns: Vec<Located>,
    /// Styles of the terminal UI.
    pub(crate) theme: Vec<(Role, Style)>,
    /// Keys of the terminal UI.
    pub(crate) keys: Keymap,
    /// The file, if there is one: what is found wrong later is reported with it.
    path: Option<PathBuf>,
}

/// A display filter with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SavedFilter {
    /// Its name.
    pub(crate) name: String,
    /// The filter. Whether it is valid depends on the schema.
    pub(crate) filter: String,
    /// The line that it is on, from 1.
    line: usize,
}

/// A text with the line that it is on, from 1. What it means depends on the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Located {
    /// The text.
    pub(crate) text: String,
    line: usize,
}

/// The file as TOML has it. Values are checked afterwards, each at its own place: an error inside of a list would otherwise
/// be reported at the list's beginning.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Text {
    hidden: Vec<toml::Spanned<String>>,
    schema: SchemaText,
    filters: BTreeMap<String, toml::Spanned<String>>,
    columns: Vec<toml::Spanned<String>>,
    theme: BTreeMap<String, toml::Spanned<String>>,
    keys: BTreeMap<String, toml::Spanned<Vec<String>>>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SchemaText {
    proto: Vec<PathBuf>,
    import_path: Vec<PathBuf>,
    protoset: Vec<PathBuf>,
}

/// The name of a header field: a token, as RFC 9110 §5.1 has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldName(String);

/// Why a configuration file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// It cannot be read.
    #[error("the configuration file {} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Its text is wrong.
    #[error("{}:{line}: {cause}", path.display())]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        cause: String,
    },
}

/// The variable that names the file.
const VARIABLE: &str = "RPCSHARK_CONFIG";

/// Bytes of a configuration file: far more than anybody writes, so that a file named by mistake is not read whole.
const MAX_SIZE: u64 = 1 << 20;

impl Config {
    /// Reads the user's configuration file. Without one, the configuration is the default.
    pub(crate) fn load() -> Result<Self, ConfigError> {
        // As for most variables that name a file, an empty value counts as unset.
        if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
            return Self::read(Path::new(&path));
        }
        let Ok(base) = etcetera::choose_base_strategy() else { return Ok(Self::default()) };
        let path = base.config_dir().join("rpcshark/config.toml");
        match Self::read(&path) {
            Err(ConfigError::Unreadable { source, .. }) if is_missing(&source) => Ok(Self::default()),
            result => result,
        }
    }

    fn read(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
        let mut text = String::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(MAX_SIZE + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MAX_SIZE {
            return Err(unreadable(io::Error::other(format!("it is larger than {MAX_SIZE} bytes"))));
        }
        let mut config =
            Self::parse(&text).map_err(|(line, cause)| ConfigError::Wrong { path: path.to_owned(), line, cause })?;
        // Relative paths count from the file, wherever the program is started.
        let directory = path.parent().unwrap_or(Path::new(""));
        let Sources { proto, import_path, protoset, .. } = &mut config.schema;
        for path in proto.iter_mut().chain(import_path).chain(protoset) {
            *path = directory.join(&*path);
        }
        config.path = Some(path.to_owned());
        Ok(config)
    }

    /// The error that a named filter is wrong, with its line.
    pub(crate) fn wrong_filter(&self, filter: &SavedFilter, cause: &str) -> ConfigError {
        let cause = format!("the filter {} is wrong: {cause}", filter.name);
        ConfigError::Wrong { path: self.path.clone().unwrap_or_default(), line: filter.line, cause }
    }

    /// The error that a column is wrong, with its line.
    pub(crate) fn wrong_column(&self, column: &Located, cause: &str) -> ConfigError {
        let cause = format!("the column {} is wrong: {cause}", column.text);
        ConfigError::Wrong { path: self.path.clone().unwrap_or_default(), line: column.line, cause }
    }

    /// A file with every setting, commented out.
    pub(crate) fn template() -> String {
        let mut text = TEMPLATE.to_owned();
        for command in COMMANDS {
            let keys: Vec<String> = command.keys.iter().map(|key| toml_string(key)).collect();
            text.push_str(&format!("# {} = [{}]\n", command.name, keys.join(", ")));
        }
        text
    }

    /// The configuration that `text` is, or the line of what is wrong, from 1, and what it is.
    fn parse(text: &str) -> Result<Self, (usize, String)> {
        let line = |at: usize| 1 + text.get(..at).unwrap_or(text).matches('\n').count();
        let file: Text = toml::from_str(text).map_err(|error| {
            let cause = error.message().lines().collect::<Vec<_>>().join("; ");
            (line(error.span().map_or(0, |span| span.start)), cause)
        })?;
        let name = |name: toml::Spanned<String>| {
            let at = name.span().start;
            FieldName::try_from(name.into_inner()).map_err(|cause| (line(at), cause.to_owned()))
        };
        let SchemaText { proto, import_path, protoset } = file.schema;
        let filter = |(name, text): (String, toml::Spanned<String>)| {
            let line = line(text.span().start);
            SavedFilter { name, filter: text.into_inner(), line }
        };
        let column = |text: toml::Spanned<String>| {
            let line = line(text.span().start);
            Located { text: text.into_inner(), line }
        };
        let role = |(name, style): (String, toml::Spanned<String>)| {
            let wrong = |cause: String| (line(style.span().start), cause);
            let role = Role::named(&name).ok_or_else(|| {
                let names: Vec<&str> = Role::ALL.iter().map(|(name, _)| *name).collect();
                wrong(format!("{name} is not a role of the theme; the roles are {}", names.join(", ")))
            })?;
            Ok((role, parse_style(style.get_ref()).map_err(wrong)?))
        };
        let mut keys = Keymap::default();
        for (command, names) in file.keys {
            let line = line(names.span().start);
            keys.set(&command, names.into_inner()).map_err(|cause| (line, cause))?;
            keys.check().map_err(|cause| (line, cause))?;
        }
        Ok(Self {
            hidden: file.hidden.into_iter().map(name).collect::<Result<_, _>>()?,
            schema: Sources { proto, import_path, protoset, strict: false },
            filters: file.filters.into_iter().map(filter).collect(),
            columns: file.columns.into_iter().map(column).collect(),
            theme: file.theme.into_iter().map(role).collect::<Result<_, (usize, String)>>()?,
            keys,
            path: None,
        })
    }
}

/// A string of TOML.
fn toml_string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A style in words: `red bold`, `black on cyan`, `#ff8800 underlined`.
fn parse_style(text: &str) -> Result<Style, String> {
    const MODIFIERS: [(&str, Modifier); 5] = [
        ("bold", Modifier::BOLD),
        ("dim", Modifier::DIM),
        ("italic", Modifier::ITALIC),
        ("underlined", Modifier::UNDERLINED),
        ("reversed", Modifier::REVERSED),
    ];
    let mut style = Style::new();
    let mut words = text.split_whitespace();
    let color = |word: &str| {
        word.parse::<Color>()
            .map_err(|_| format!("{word} is not a colour, nor bold, dim, italic, underlined or reversed"))
    };
    while let Some(word) = words.next() {
        if let Some((_, modifier)) = MODIFIERS.iter().find(|(name, _)| *name == word) {
            style = style.add_modifier(*modifier);
        } else if word == "on" {
            style = style.bg(color(words.next().ok_or("a colour is missing after `on`")?)?);
        } else {
            style = style.fg(color(word)?);
        }
    }
    Ok(style)
}

/// What [`Config::template`] begins with; the keys of the commands follow.
const TEMPLATE: &str = r##"# The configuration of rpcshark. It belongs into $XDG_CONFIG_HOME/rpcshark/config.toml (~/.config/rpcshark/config.toml).
# Every setting is optional; these are the defaults.

# Hide the values of these header fields, besides those that are always hidden. Case does not matter, and _ is the same as -.
# hidden = ["x-internal-id", "x-company-session"]

# The columns of the terminal UI's list of calls, in this order: any field of calls and of their messages.
# columns = ["rpc.no", "rpc.start", "connection", "rpc.path", "rpc.messages", "rpc.bytes", "rpc.duration", "rpc.outcome"]

# Where types come from if the command line names no schema. Relative paths count from this file's directory.
# [schema]
# proto = ["protos"]
# import_path = []
# protoset = []

# Display filters with names: they stand in the terminal UI's list of commands (?).
# [filters]
# failed = "rpc.outcome != ok && rpc.outcome != open"
# slow = "rpc.duration > 1s"

# The terminal UI's styles: one of the 16 named colours (or #rrggbb), `on` and another one for the background, and any of
# bold, dim, italic, underlined, reversed.
# [theme]
# error = "red bold"
# selected = "reversed"

# The terminal UI's keys, by command. A command has all keys of its list, and no others.
# [keys]
"##;

/// Whether the file does not exist: a directory of its path may be missing, or be a file.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl TryFrom<String> for FieldName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        match !name.is_empty() && name.bytes().all(is_token) {
            true => Ok(Self(name)),
            false => Err("the name of a header field consists of letters, digits and signs such as -, without spaces"),
        }
    }
}

impl AsRef<str> for FieldName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(text: &str) -> Result<Vec<String>, (usize, String)> {
        Ok(Config::parse(text)?.hidden.into_iter().map(|name| name.0).collect())
    }

    #[test]
    fn names_of_hidden_fields_are_read() {
        assert_eq!(hidden(""), Ok(vec![]));
        assert_eq!(hidden("# nothing\n"), Ok(vec![]));
        let text = "# company headers\nhidden = [\n  \"x-internal-id\",\n  \"X_Tenant_Key\",\n]\n";
        assert_eq!(hidden(text), Ok(vec!["x-internal-id".to_owned(), "X_Tenant_Key".to_owned()]));
    }

    #[test]
    fn what_is_wrong_is_reported_with_its_line() {
        for (text, line, part) in [
            ("hiden = [\"x\"]", 1, "unknown field `hiden`"),
            ("\n[keys]\nquit = \"q\"", 3, "invalid type: string"),
            ("\n[keys]\nqit = [\"q\"]", 3, "there is no command qit"),
            ("[keys]\nquit = [\"Ctrl-\"]", 2, "Ctrl- is not a key"),
            ("[keys]\nmark = [\"q\"]", 2, "q has two commands"),
            ("[theme]\nok = \"green\"\nerrr = \"red\"", 3, "errr is not a role"),
            ("[theme]\nerror = \"redd\"", 2, "redd is not a colour"),
            ("[schema]\nprotos = [\"x\"]", 2, "unknown field `protos`"),
            ("[filters]\nslow = 5", 2, "invalid type: integer"),
            ("# one\nhidden = \"x\"", 2, "invalid type: string"),
            ("hidden = [\n  \"x\",\n  5,\n]", 3, "invalid type: integer"),
            ("hidden = [\n  \"x y\"\n]", 2, "the name of a header field"),
            ("hidden = [\"\"]", 1, "the name of a header field"),
            ("hidden = [\"x\"]\nhidden = [\"y\"]", 2, "duplicate key"),
            ("hidden = [", 1, "unclosed array"),
        ] {
            let (got, cause) = hidden(text).unwrap_err();
            assert_eq!(got, line, "{text}: {cause}");
            assert!(cause.contains(part) && !cause.contains('\n'), "{text}: {cause}");
        }
    }

    #[test]
    fn keys_styles_filters_and_schema_files_are_read() {
        let text = "[keys]\nquit = [\"Q\", \"Ctrl-q\"]\n[theme]\nerror = \"light red bold on #001122\"\n\
                    [filters]\nslow = \"rpc.duration > 1s\"\n[schema]\nproto = [\"protos\"]\n";
        let text = text.replace("light red", "lightred");
        let config = Config::parse(&text).unwrap();
        let style = Style::new().fg(Color::LightRed).bg(Color::Rgb(0, 0x11, 0x22)).add_modifier(Modifier::BOLD);
        assert_eq!(config.theme, [(Role::Error, style)]);
        let filter = SavedFilter { name: "slow".to_owned(), filter: "rpc.duration > 1s".to_owned(), line: 6 };
        assert_eq!(config.filters, [filter]);
        assert_eq!(config.schema.proto, [PathBuf::from("protos")]);
        let quit = COMMANDS.iter().find(|command| command.name == "quit").unwrap();
        assert_eq!(config.keys.keys_of(quit), ["Q", "Ctrl-q"]);
    }

    #[test]
    fn the_template_is_a_file_with_every_setting_and_its_default() {
        let template = Config::template();
        assert!(template.lines().all(|line| line.is_empty() || line.starts_with('#')));
        assert_eq!(Config::parse(&template), Ok(Config::default()));
        let is_setting = |line: &&str| line.contains(" = ") || line.starts_with('[');
        let settings = template.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_setting);
        let config = Config::parse(&settings.collect::<Vec<_>>().join("\n")).unwrap();
        assert_eq!(config.keys, Keymap::default());
        for command in COMMANDS {
            assert!(template.contains(&format!("# {} = [", command.name)), "{}", command.name);
        }
    }
}
