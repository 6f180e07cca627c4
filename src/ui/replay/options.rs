//! The options of a replay as the screen shows them: made of those of the command, and read by the same parser.

use clap::error::ContextKind;
use clap::{ArgAction, CommandFactory, Parser};
use rpcshark_tui::model::replay::{OptionKind, OptionValues, ReplayOption};

use crate::replay::ReplayOptions;

/// The options alone, without the rest of the command.
#[derive(Debug, Parser)]
#[command(name = "replay", no_binary_name = true, disable_help_flag = true)]
struct Line {
    #[command(flatten)]
    options: ReplayOptions,
}

/// Every option, in the order of the command.
pub(super) fn options() -> Vec<ReplayOption> {
    let mut command = Line::command();
    command.build();
    command.get_arguments().filter_map(option).collect()
}

fn option(arg: &clap::Arg) -> Option<ReplayOption> {
    let name = arg.get_long()?.to_owned();
    let kind = match arg.get_action() {
        ArgAction::SetTrue => OptionKind::Flag,
        ArgAction::Append => OptionKind::Many,
        _ => OptionKind::One,
    };
    let is_flag = kind == OptionKind::Flag;
    let value = arg.get_value_names().and_then(|names| names.first()).filter(|_| !is_flag);
    let default = arg.get_default_values().first().filter(|_| !is_flag);
    let choices = arg.get_possible_values().into_iter().filter(|_| !is_flag).map(|value| value.get_name().to_owned());
    Some(ReplayOption {
        name,
        value: value.map(ToString::to_string).unwrap_or_default(),
        help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        group: arg.get_help_heading().unwrap_or("Target").to_owned(),
        kind,
        default: default.map(|value| value.to_string_lossy().into_owned()).unwrap_or_default(),
        choices: choices.collect(),
    })
}

/// The values as arguments of the command.
pub(super) fn arguments(values: &OptionValues) -> Vec<String> {
    let mut arguments = Vec::new();
    for (name, values) in values {
        match values.as_slice() {
            [] => arguments.push(format!("--{name}")),
            values => arguments.extend(values.iter().map(|value| format!("--{name}={value}"))),
        }
    }
    arguments
}

/// What is wrong with the options: with which one, where that is known, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) option: Option<String>,
    pub(super) text: String,
}

impl Wrong {
    /// A text that begins with the option, as `--header x: …` does.
    pub(super) fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let option = text.strip_prefix("--").map(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(rest.len());
            rest[..end].to_owned()
        });
        Self { option, text }
    }
}

/// Reads the values as the command does.
pub(super) fn parse(values: &OptionValues) -> Result<ReplayOptions, Wrong> {
    Line::try_parse_from(arguments(values)).map(|line| line.options).map_err(|error| {
        let option = error.get(ContextKind::InvalidArg).map(|arg| arg.to_string()).and_then(|arg| {
            let name = arg.strip_prefix("--")?;
            Some(name.split([' ', '=']).next().unwrap_or(name).to_owned())
        });
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        Wrong { option, text: line.strip_prefix("error: ").unwrap_or(line).to_owned() }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(given: &[(&str, &[&str])]) -> OptionValues {
        given
            .iter()
            .map(|(name, values)| ((*name).to_owned(), values.iter().map(|v| (*v).to_owned()).collect()))
            .collect()
    }

    #[test]
    fn the_form_has_every_option_of_the_command_that_concerns_a_replay() {
        let options = options();
        let command = clap::Command::new("x");
        let command = <ReplayOptions as clap::Args>::augment_args(command);
        let of_command = command.get_arguments().filter_map(clap::Arg::get_long).count();
        assert_eq!(options.len(), of_command);
        let kind = |name: &str| options.iter().find(|option| option.name == name).map(|option| option.kind);
        assert_eq!(kind("to"), Some(OptionKind::Many));
        assert_eq!(kind("allow-recorded-target"), Some(OptionKind::Flag));
        assert_eq!(kind("speed"), Some(OptionKind::One));
        let order = options.iter().find(|option| option.name == "order").expect("an option");
        assert_eq!((order.default.as_str(), order.choices.len()), ("global", 5));
        assert!(options.iter().all(|option| !option.help.is_empty() && !option.group.is_empty()));
    }

    #[test]
    fn values_are_read_as_by_the_command() {
        let parsed = parse(&values(&[("to", &["localhost:1"]), ("keep-auth", &[]), ("allow", &["a/*", "b/*"])]));
        let parsed = parsed.expect("they are right");
        assert!(parsed.keep_auth && !parsed.allow_all);
        assert_eq!(parsed.allow, ["a/*", "b/*"]);
        let wrong = |given| parse(&values(given)).expect_err("it is wrong");
        assert_eq!(wrong(&[("to", &["x:1"]), ("pace", &["never"])]).option.as_deref(), Some("pace"));
        assert_eq!(wrong(&[("to", &["nowhere"])]).option.as_deref(), Some("to"));
        assert!(wrong(&[("to", &["nowhere"])]).text.contains("nowhere"));
    }

    #[test]
    fn the_option_that_an_error_is_about_is_known() {
        assert_eq!(Wrong::new("--header x: it is NAME=VALUE").option.as_deref(), Some("header"));
        assert_eq!(Wrong::new("--set a/b.request.c=1: why").option.as_deref(), Some("set"));
        assert_eq!(Wrong::new("calls went elsewhere").option, None);
    }
}
