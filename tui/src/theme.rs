//! What things look like: a style for each role, and the signs that stand for states.
//!
//! Colour only repeats what a word or a sign says already. The defaults use the 16 named colours on the terminal's own
//! background, and none of yellow, white, blue and bright black for text, since each of them cannot be read on one background
//! or another.

use std::collections::BTreeMap;

use ratatui::style::{Color, Modifier, Style};

/// What a piece of text is. A theme gives each role a style; widgets know roles only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Plain text.
    Text,
    /// Text of less weight: separators, units, what repeats.
    Quiet,
    /// Column headings and pane titles.
    Heading,
    /// The title of the pane that has the focus.
    Focus,
    /// The row under the cursor.
    Selected,
    /// Bytes that belong to the selected field.
    SelectedBytes,
    /// Bytes that belong to what the selected field is part of.
    ParentBytes,
    /// Status OK.
    Ok,
    /// A failed call, an error.
    Error,
    /// A warning, or something that is incomplete.
    Warning,
    /// A call that is still open.
    Open,
    /// What the client sent.
    ToServer,
    /// What the server sent.
    ToClient,
    /// A field's name.
    Name,
    /// A field's value.
    Value,
    /// A mark that the user set.
    Mark,
    /// A key in the footer or a menu.
    Key,
    /// A value that is hidden.
    Hidden,
}

impl Role {
    /// Every role with the name that a theme in the configuration file uses.
    pub const ALL: [(&'static str, Self); 18] = [
        ("text", Self::Text),
        ("quiet", Self::Quiet),
        ("heading", Self::Heading),
        ("focus", Self::Focus),
        ("selected", Self::Selected),
        ("selected_bytes", Self::SelectedBytes),
        ("parent_bytes", Self::ParentBytes),
        ("ok", Self::Ok),
        ("error", Self::Error),
        ("warning", Self::Warning),
        ("open", Self::Open),
        ("to_server", Self::ToServer),
        ("to_client", Self::ToClient),
        ("name", Self::Name),
        ("value", Self::Value),
        ("mark", Self::Mark),
        ("key", Self::Key),
        ("hidden", Self::Hidden),
    ];

    /// The role named `name` in a configuration file.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|&(_, role)| role)
    }
}

/// Styles and signs.
#[derive(Clone, Debug)]
pub struct Theme {
    color: bool,
    overrides: BTreeMap<Role, Style>,
    /// The signs.
    pub signs: &'static Signs,
}

impl Theme {
    /// The default theme. Without `color` only weight, underline and reverse video are used; with `ascii` the signs are
    /// ASCII.
    pub fn new(color: bool, ascii: bool) -> Self {
        Self { color, overrides: BTreeMap::new(), signs: if ascii { &ASCII } else { &UNICODE } }
    }

    /// Gives `role` another style, as a configuration file asks.
    pub fn set(&mut self, role: Role, style: Style) {
        self.overrides.insert(role, style);
    }

    /// The style of `role`.
    pub fn style(&self, role: Role) -> Style {
        if let Some(&style) = self.overrides.get(&role).filter(|_| self.color) {
            return style;
        }
        let plain = Style::new();
        let (color, modifier) = match role {
            Role::Text | Role::Value => (None, Modifier::empty()),
            Role::Quiet | Role::Hidden => (None, Modifier::DIM),
            Role::Heading | Role::Key => (None, Modifier::BOLD),
            Role::Focus => (None, Modifier::BOLD),
            Role::Selected | Role::SelectedBytes => (None, Modifier::REVERSED),
            Role::ParentBytes => (None, Modifier::UNDERLINED),
            Role::Ok => (Some(Color::Green), Modifier::empty()),
            Role::Error => (Some(Color::Red), Modifier::BOLD),
            Role::Warning => (Some(Color::Magenta), Modifier::empty()),
            Role::Open => (Some(Color::Cyan), Modifier::empty()),
            Role::ToServer => (Some(Color::Cyan), Modifier::empty()),
            Role::ToClient => (Some(Color::Magenta), Modifier::empty()),
            Role::Name => (Some(Color::Cyan), Modifier::empty()),
            Role::Mark => (Some(Color::Magenta), Modifier::BOLD),
        };
        let style = plain.add_modifier(modifier);
        match color.filter(|_| self.color) {
            Some(color) => style.fg(color),
            None => style,
        }
    }

    /// Whether selection must also be visible without reverse video: brackets stand around selected bytes.
    pub fn brackets(&self) -> bool {
        !self.color || self.signs.ascii
    }
}

/// The signs, in one of two alphabets.
#[derive(Debug)]
pub struct Signs {
    /// Whether they are ASCII.
    pub ascii: bool,
    /// Something was cut off.
    pub ellipsis: &'static str,
    /// A horizontal rule.
    pub rule: &'static str,
    /// The cursor, in the gutter.
    pub cursor: &'static str,
    /// A mark, in the gutter.
    pub mark: &'static str,
    /// From client to server.
    pub up: &'static str,
    /// From server to client.
    pub down: &'static str,
    /// It went well.
    pub ok: &'static str,
    /// It failed.
    pub error: &'static str,
    /// A tree node with children that are hidden.
    pub folded: &'static str,
    /// A tree node with children that are shown.
    pub unfolded: &'static str,
    /// From one end to the other.
    pub arrow: &'static str,
    /// At least.
    pub at_least: &'static str,
    /// Sorted upwards, downwards.
    pub sorted: [&'static str; 2],
    /// Something begins, ends, breaks off.
    pub begins: &'static str,
    /// As `begins`.
    pub ends: &'static str,
    /// As `begins`.
    pub broken: &'static str,
    /// There is no value.
    pub absent: &'static str,
    /// More rows than are shown.
    pub more: &'static str,
    /// Between parts of a path through the screens.
    pub into: &'static str,
    /// Marks of a bar: full, and the eighths below it from small to large.
    pub bar: [&'static str; 8],
    /// Heights of a sparkline, from small to large.
    pub spark: [&'static str; 8],
    /// The part of a progress bar that is still to come.
    pub bar_rest: &'static str,
    /// Of a scrollbar: what is in view, a problem elsewhere, a problem in view.
    pub scrollbar: [&'static str; 3],
    /// A vertical line.
    pub vertical: &'static str,
    /// Corners of a box: top left, top right, bottom left, bottom right.
    pub corners: [&'static str; 4],
}

/// For terminals with UTF-8.
static UNICODE: Signs = Signs {
    ascii: false,
    ellipsis: "…",
    rule: "─",
    cursor: "▌",
    mark: "●",
    up: "↑",
    down: "↓",
    ok: "✓",
    error: "✗",
    folded: "▸",
    unfolded: "▾",
    arrow: "→",
    at_least: "≥",
    sorted: ["▴", "▾"],
    begins: "├",
    ends: "┤",
    broken: "×",
    absent: "–",
    more: "⋮",
    into: "›",
    bar: ["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"],
    spark: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    bar_rest: "░",
    scrollbar: ["┃", "•", "┣"],
    vertical: "│",
    corners: ["┌", "┐", "└", "┘"],
};

/// For those without.
static ASCII: Signs = Signs {
    ascii: true,
    ellipsis: "~",
    rule: "-",
    cursor: ">",
    mark: "*",
    up: "^",
    down: "v",
    ok: "ok",
    error: "x",
    folded: "+",
    unfolded: "-",
    arrow: "->",
    at_least: ">=",
    sorted: ["^", "v"],
    begins: "|",
    ends: "|",
    broken: "x",
    absent: "-",
    more: ":",
    into: ">",
    bar: ["#", "#", "#", "#", "#", "#", "#", "#"],
    spark: [".", ".", ":", ":", "-", "=", "+", "#"],
    bar_rest: ".",
    scrollbar: ["|", "!", "+"],
    vertical: "|",
    corners: ["+", "+", "+", "+"],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_default_text_is_of_a_colour_that_some_background_hides() {
        let theme = Theme::new(true, false);
        for (name, role) in Role::ALL {
            let style = theme.style(role);
            let hidden = [Color::Yellow, Color::White, Color::Blue, Color::DarkGray, Color::Gray, Color::Black];
            assert!(style.fg.is_none_or(|color| !hidden.contains(&color)), "{name}");
            assert_eq!(style.bg, None, "{name}");
        }
    }

    #[test]
    fn without_colour_no_style_has_one() {
        let mut theme = Theme::new(false, true);
        theme.set(Role::Ok, Style::new().fg(Color::Green));
        for (name, role) in Role::ALL {
            assert_eq!(theme.style(role).fg, None, "{name}");
        }
    }

    #[test]
    fn ascii_signs_are_ascii() {
        let signs = Theme::new(true, true).signs;
        let all = [signs.ellipsis, signs.rule, signs.cursor, signs.mark, signs.up, signs.down, signs.ok, signs.error];
        let rest = [
            signs.folded,
            signs.unfolded,
            signs.arrow,
            signs.at_least,
            signs.more,
            signs.into,
            signs.bar_rest,
            signs.absent,
        ];
        let lists =
            signs.sorted.iter().chain(&signs.bar).chain(&signs.spark).chain(&signs.corners).chain(&signs.scrollbar);
        for sign in
            all.iter().chain(&rest).chain(lists).chain([&signs.vertical, &signs.begins, &signs.ends, &signs.broken])
        {
            assert!(sign.is_ascii(), "{sign}");
        }
    }
}
