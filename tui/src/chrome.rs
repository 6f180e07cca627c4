//! What surrounds every screen: the line of views above, and the position and the keys below.
//!
//! ```text
//!  1 Calls  2 Frames  3 Connections  4 Methods  5 Timeline     orders.pcap  ███████▌░░ 76% of 902 MB
//!
//!  call 2 of 1,214   ● 1 marked   tail off
//!  Enter open  / filter  s sort  f follow  = by this  e next error  m mark  ? all keys
//! ```

use rpcshark_dissectors::print::size_text;

use crate::backend::Progress;
use crate::command::{Action, COMMANDS, Command, Context, Keymap};
use crate::screen::View;
use crate::theme::Role;
use crate::widget::{Canvas, Hit, Part, Parts, bar, parts_width};

/// Columns from which on the views are shown with their names.
const NAMED_TABS: u16 = 100;

/// Draws the views, the file, and how far it has been read.
pub(crate) fn draw_title(canvas: &mut Canvas<'_>, shown: View, file: &str, progress: &Progress) {
    let width = canvas.area.width;
    let mut x = 1;
    for &view in View::ALL {
        let tab = tab(view, view == shown, width, canvas.theme.brackets());
        let wide = parts_width(&tab) as u16;
        canvas.zone(x, 0, wide, Hit::Button(Action::View(view)));
        x = canvas.parts(x, 0, width, &tab);
        x += if width < NAMED_TABS { 1 } else { 2 };
    }
    let signs = canvas.theme.signs;
    let mut right: Parts = vec![Part::text(file)];
    if !progress.finished {
        match progress.size {
            Some(size) if size > 0 => {
                let percent = (progress.read * 100 / size).min(100);
                let bar = bar(progress.read, size, 10, signs);
                let rest = signs.bar_rest.repeat(10usize.saturating_sub(crate::text::width(&bar)));
                right.push(Part::text("  "));
                if width >= NAMED_TABS {
                    right.extend([Part::new(bar, Role::Open), Part::quiet(rest), Part::text(" ")]);
                }
                right.push(Part::text(format!("{percent}% of {}", size_text(size))));
            }
            _ => right.push(Part::text(format!("  {} read", size_text(progress.read)))),
        }
    }
    right.push(Part::text(" "));
    canvas.parts_right(0, width.saturating_sub(x + 2), &right);
}

/// A view's number and name; in a narrow window, the name of the shown one only.
fn tab(view: View, shown: bool, width: u16, brackets: bool) -> Parts {
    let named = shown || width >= NAMED_TABS;
    let name = if named { format!(" {}", view.title()) } else { String::new() };
    let role = if shown { Role::Focus } else { Role::Quiet };
    let mut tab = vec![Part::new(view.key(), Role::Key), Part::new(name, role)];
    if shown && brackets {
        tab.insert(0, Part::new("[", Role::Focus));
        tab.push(Part::new("]", Role::Focus));
    }
    tab
}

/// Draws the keys of `context`, cut from the right, with that of the list of all keys at the end.
pub(crate) fn draw_keys(canvas: &mut Canvas<'_>, context: Context, keymap: &Keymap) {
    let (width, y) = (canvas.area.width, canvas.area.height.saturating_sub(1));
    let help = COMMANDS.iter().find(|command| command.action == Action::Help);
    let last: u16 = help.map_or(0, |command| parts_width(&hint(command, keymap)) as u16);
    let room = width.saturating_sub(last + 1);
    let mut x = 1;
    for command in COMMANDS.iter().filter(|command| !command.footer.is_empty() && command.contexts.contains(&context)) {
        let wide = parts_width(&hint(command, keymap)) as u16;
        if x + wide + 2 > room {
            break;
        }
        x = draw_hint(canvas, x, y, command, keymap) + 2;
    }
    if let Some(help) = help {
        draw_hint(canvas, x, y, help, keymap);
    }
}

fn draw_hint(canvas: &mut Canvas<'_>, x: u16, y: u16, command: &Command, keymap: &Keymap) -> u16 {
    let end = canvas.parts(x, y, canvas.area.width, &hint(command, keymap));
    canvas.zone(x, y, end.saturating_sub(x), Hit::Button(command.action));
    end
}

/// `key title`.
fn hint(command: &Command, keymap: &Keymap) -> Parts {
    let key = keymap.keys_of(command).first().map(String::as_str).unwrap_or_default();
    vec![Part::new(key, Role::Key), Part::quiet(format!(" {}", command.footer))]
}
