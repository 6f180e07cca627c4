//! The options of comparing and reporting.

use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use rpcshark_dissectors::compare::{RuleError, Rules};

use super::rules_file::{self, RulesFileError};

/// How calls are compared.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Comparing")]
pub(crate) struct CompareArgs {
    /// Ignore a field and all in it: package.Message.field, Service/Method.response.path, status.message, trailers.NAME; * is
    /// one step, ** any number
    #[arg(long, value_name = "PLACE")]
    ignore: Vec<String>,

    /// Compare a repeated field whatever the order of its elements
    #[arg(long, value_name = "PLACE")]
    unordered: Vec<String>,

    /// Match the elements of a repeated field by some of their fields: shop.Order.items=sku
    #[arg(long, value_name = "PLACE=FIELD,…")]
    key: Vec<String>,

    /// Let floating-point numbers differ, everywhere or at a place: 0.001, 0.1%, shop.Item.price=0.01
    #[arg(long, value_name = "[PLACE=]TOLERANCE")]
    float: Vec<String>,

    /// Let timestamps and durations differ, everywhere or at a place: 5s, shop.Order.created=100ms
    #[arg(long, value_name = "[PLACE=]DURATION")]
    time_within: Vec<String>,

    /// A field that is not set equals one that is set to its default
    #[arg(long)]
    equivalent: bool,

    /// Read rules from a TOML file (may be repeated)
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
}

/// Where the report goes.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Reporting")]
pub(crate) struct ReportArgs {
    /// Report as text, json, junit or html, to standard output or to a file (may be repeated; text to standard output is the
    /// default)
    #[arg(long, value_name = "FORMAT[=FILE]")]
    report: Vec<Output>,
}

/// One form of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    pub(super) format: Format,
    /// The file; none for standard output.
    pub(super) file: Option<PathBuf>,
}

/// A form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
    Junit,
    Html,
}

/// Why calls cannot be compared or reported.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    /// A rule on the command line is wrong.
    #[error("--{option} '{rule}': {error}{}", place(rule, error))]
    Rule {
        /// The option.
        option: &'static str,
        /// What was given.
        rule: String,
        /// What is wrong with it.
        error: RuleError,
    },
    /// A file of rules is wrong.
    #[error("{0}")]
    RulesFile(#[from] RulesFileError),
    /// Options do not go together.
    #[error("{0}")]
    Usage(String),
    /// A report cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Points to where a rule is wrong.
fn place(rule: &str, error: &RuleError) -> String {
    match rule.get(error.span.clone()).filter(|part| !part.is_empty() && *part != rule) {
        Some(part) => format!(" (at {part})"),
        None => String::new(),
    }
}

impl FromStr for Output {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, file) = match text.split_once('=') {
            Some((_, "")) => return Err("the name of the file is missing".to_owned()),
            Some((format, "-")) => (format, None),
            Some((format, file)) => (format, Some(file.into())),
            None => (text, None),
        };
        let format = match format {
            "text" => Format::Text,
            "json" => Format::Json,
            "junit" => Format::Junit,
            "html" => Format::Html,
            _ => return Err("the formats are text, json, junit and html".to_owned()),
        };
        Ok(Self { format, file })
    }
}

impl CompareArgs {
    /// The rules of the command line and of the files that it names.
    pub(crate) fn rules(&self) -> Result<Rules, ReportError> {
        let mut rules = Rules::default();
        for file in &self.rules {
            rules.extend(rules_file::read(file)?);
        }
        // The command line comes last: of several rules about a place the last one counts.
        type Add = fn(&mut Rules, &str) -> Result<(), RuleError>;
        let keys: Vec<String> = self.key.iter().filter(|key| is_list_key(key)).cloned().collect();
        let options: [(&'static str, &[String], Add); 5] = [
            ("ignore", &self.ignore, Rules::ignore),
            ("unordered", &self.unordered, Rules::unordered),
            ("key", &keys, Rules::key),
            ("float", &self.float, Rules::float),
            ("time-within", &self.time_within, Rules::time_within),
        ];
        for (option, values, add) in options {
            for rule in values {
                add(&mut rules, rule).map_err(|error| ReportError::Rule { option, rule: rule.clone(), error })?;
            }
        }
        if self.equivalent {
            rules.set_equivalent(true);
        }
        Ok(rules)
    }

    /// The values of `--key` that have no `=`, and so are not about lists: what they mean depends on the command.
    pub(crate) fn other_keys(&self) -> impl Iterator<Item = &str> {
        self.key.iter().filter(|key| !is_list_key(key)).map(String::as_str)
    }
}

/// Whether a `--key` names the fields by which elements of a list are matched.
fn is_list_key(key: &str) -> bool {
    key.contains('=')
}

impl ReportArgs {
    /// Whether the options go together.
    pub(crate) fn check(&self) -> Result<(), ReportError> {
        self.outputs().map(drop)
    }

    /// The forms that are wanted. Without any that goes to standard output, text goes there.
    pub(super) fn outputs(&self) -> Result<Vec<Output>, ReportError> {
        let mut outputs = self.report.clone();
        match outputs.iter().filter(|output| output.file.is_none()).count() {
            0 => outputs.insert(0, Output { format: Format::Text, file: None }),
            1 => {}
            _ => {
                let text = "only one report can go to standard output; give the others files, as in --report json=FILE";
                return Err(ReportError::Usage(text.to_owned()));
            }
        }
        let mut files: Vec<_> = outputs.iter().filter_map(|output| output.file.as_ref()).collect();
        files.sort();
        if let Some([twice, _]) = files.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ReportError::Usage(format!("two reports would go to {}", twice.display())));
        }
        Ok(outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_to_standard_output_unless_another_report_does() {
        let outputs = |texts: &[&str]| {
            let report = texts.iter().map(|text| text.parse().unwrap()).collect();
            let outputs = ReportArgs { report }.outputs().map_err(|error| error.to_string())?;
            Ok(outputs.into_iter().map(|output| format!("{:?} {:?}", output.format, output.file)).collect::<Vec<_>>())
        };
        assert_eq!(outputs(&[]), Ok(vec!["Text None".to_owned()]));
        assert_eq!(outputs(&["json"]), Ok(vec!["Json None".to_owned()]));
        assert_eq!(outputs(&["junit=a=b.xml"]), Ok(vec!["Text None".to_owned(), "Junit Some(\"a=b.xml\")".to_owned()]));
        assert_eq!(outputs(&["html=a", "json=-"]), Ok(vec!["Html Some(\"a\")".to_owned(), "Json None".to_owned()]));
        for wrong in [&["json", "text"][..], &["json=a", "html=a"]] {
            let error: Result<Vec<String>, String> = outputs(wrong);
            assert!(error.is_err(), "{wrong:?}");
        }
        for wrong in ["xml", "json=", ""] {
            assert!(wrong.parse::<Output>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_wrong_rule_is_reported_with_its_option_and_place() {
        let args = CompareArgs { float: vec!["a.b=much".to_owned()], ..CompareArgs::default() };
        let error = args.rules().unwrap_err().to_string();
        assert!(
            error.starts_with("--float 'a.b=much': a tolerance is a number") && error.ends_with("(at much)"),
            "{error}"
        );
    }

    #[test]
    fn keys_without_an_equals_sign_are_not_about_lists() {
        let key = vec!["shop.Order.items=sku".to_owned(), "client.pem".to_owned()];
        let args = CompareArgs { key, ..CompareArgs::default() };
        assert!(args.rules().is_ok());
        assert_eq!(args.other_keys().collect::<Vec<_>>(), ["client.pem"]);
    }
}
