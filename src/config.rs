//! The configuration file: what a user sets once, and every command follows.
//!
//! It is TOML. `RPCSHARK_CONFIG` names it; without that it is `rpcshark/config.toml` in the user's configuration directory
//! (`$XDG_CONFIG_HOME`, else `~/.config`), where it may be missing. It is read strictly: an unknown key or a wrong value is an
//! error that names the file and the line, since a misspelt `hidden` would otherwise reveal what its user wants to hide.
//!
//! To add a setting, add a field to [`Config`] and to [`Text`], and check its value in [`Config::parse`].

use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::Deserialize;

/// What a configuration file sets. The default is an empty file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config {
    /// Names of header fields whose values are hidden, besides those that are always hidden.
    pub(crate) hidden: Vec<FieldName>,
}

/// The file as TOML has it. Values are checked afterwards, each at its own place: an error inside of a list would otherwise
/// be reported at the list's beginning.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Text {
    hidden: Vec<toml::Spanned<String>>,
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
        // As for most variables that name a file, an empty value is none.
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
        Self::parse(&text).map_err(|(line, cause)| ConfigError::Wrong { path: path.to_owned(), line, cause })
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
        Ok(Self { hidden: file.hidden.into_iter().map(name).collect::<Result<_, _>>()? })
    }
}

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
            ("\n[keys]\nquit = \"q\"", 2, "unknown field `keys`"),
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
}
