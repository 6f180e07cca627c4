//! A tree of fields: nodes in the order in which they are read, each knowing where its descendants end.
//!
//! ```text
//!  ▾ ↑ Message 1          hipstershop.PlaceOrderRequest          118 B   packet 804
//!      user_id            "u-7781"                                         string 1
//!    ▸ address            hipstershop.Address                     51 B    message 3
//! ```

use std::collections::BTreeSet;
use std::ops::Range;

use super::canvas::{Canvas, Hit, Parts, parts_width};
use super::table::ListState;
use crate::theme::Role;

/// Index of a node in its tree.
pub type NodeIx = usize;

/// A node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// How deep it lies; 0 for those on top.
    pub depth: u16,
    /// The index after its last descendant; its own index plus one where it has none.
    pub end: NodeIx,
    /// Its name.
    pub name: Parts,
    /// Its value.
    pub value: Parts,
    /// What is at the right: type and number, length, packet.
    pub remark: Parts,
    /// What is there instead when the user asks how things were coded.
    pub coding: Parts,
    /// The bytes it came from: which byte view, and where in it.
    pub bytes: Option<(usize, Range<usize>)>,
    /// The field and value that select it in a filter: `rpc.request.id == "5"`.
    pub filter: Option<Comparison>,
    /// What copying its value copies.
    pub copy: String,
    /// Whether its children are shown at first.
    pub open: bool,
    /// The row of the list of frames that it refers to: the frame that put a header field into the table.
    pub frame: Option<u64>,
}

/// A field with a value, in the filter language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The field.
    pub field: String,
    /// The value as the language writes it.
    pub value: String,
}

impl Comparison {
    /// `field == value`.
    pub fn equal(&self) -> String {
        format!("{} == {}", self.field, self.value)
    }

    /// The negation of [`Self::equal`], which also holds where the field is absent.
    pub fn without(&self) -> String {
        format!("!({} == {})", self.field, self.value)
    }
}

/// Nodes in reading order.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The nodes.
    pub nodes: Vec<Node>,
}

impl Tree {
    /// Adds a node; its descendants are what `children` adds.
    pub fn add(&mut self, mut node: Node, depth: u16, children: impl FnOnce(&mut Self)) -> NodeIx {
        let index = self.nodes.len();
        node.depth = depth;
        node.end = index + 1;
        self.nodes.push(node);
        children(self);
        let end = self.nodes.len();
        if let Some(node) = self.nodes.get_mut(index) {
            node.end = end;
        }
        index
    }

    /// The node at `index`.
    pub fn get(&self, index: NodeIx) -> Option<&Node> {
        self.nodes.get(index)
    }

    fn has_children(&self, index: NodeIx) -> bool {
        self.get(index).is_some_and(|node| node.end > index + 1)
    }

    /// The node of which `index` is a child.
    pub fn parent(&self, index: NodeIx) -> Option<NodeIx> {
        let depth = self.get(index)?.depth;
        (0..index).rev().find(|&before| self.get(before).is_some_and(|node| node.depth < depth))
    }

    /// The smallest node that covers byte `at` of byte view `view`.
    pub fn covering(&self, view: usize, at: usize) -> Option<NodeIx> {
        let covers = |(index, node): (NodeIx, &Node)| match &node.bytes {
            Some((of, range)) if *of == view && range.contains(&at) => Some((range.len(), node.depth, index)),
            _ => None,
        };
        let smaller = |a: &(usize, u16, NodeIx), b: &(usize, u16, NodeIx)| a.0.cmp(&b.0).then(b.1.cmp(&a.1));
        self.nodes.iter().enumerate().filter_map(covers).min_by(smaller).map(|(_, _, index)| index)
    }
}

/// Which nodes are open, which has the cursor, and where the view is scrolled to.
#[derive(Clone, Debug, Default)]
pub struct TreeState {
    /// Where the list of visible nodes is scrolled to.
    pub list: ListState,
    open: BTreeSet<NodeIx>,
    visible: Vec<NodeIx>,
}

impl TreeState {
    /// A state with those nodes open that ask for it.
    pub fn new(tree: &Tree) -> Self {
        let open = tree.nodes.iter().enumerate().filter(|(_, node)| node.open).map(|(index, _)| index).collect();
        let mut state = Self { list: ListState::default(), open, visible: Vec::new() };
        state.refresh(tree);
        state
    }

    /// Takes over a tree that was made anew (a schema came): nodes are where they were as far as they are there.
    pub fn refresh(&mut self, tree: &Tree) {
        self.visible.clear();
        let mut index = 0;
        while let Some(node) = tree.get(index) {
            self.visible.push(index);
            index = if self.open.contains(&index) { index + 1 } else { node.end.max(index + 1) };
        }
        self.list.cursor = self.list.cursor.min(self.len().saturating_sub(1));
    }

    /// How many nodes are visible.
    pub fn len(&self) -> u64 {
        self.visible.len() as u64
    }

    /// Whether the tree is empty.
    pub fn is_empty(&self) -> bool {
        self.visible.is_empty()
    }

    /// The node with the cursor.
    pub fn selected(&self) -> Option<NodeIx> {
        self.visible.get(self.list.cursor as usize).copied()
    }

    /// Moves the cursor to a node, opening those above it.
    pub fn select(&mut self, tree: &Tree, index: NodeIx) {
        let mut above = tree.parent(index);
        while let Some(parent) = above {
            self.open.insert(parent);
            above = tree.parent(parent);
        }
        self.refresh(tree);
        if let Ok(row) = self.visible.binary_search(&index) {
            self.list.cursor = row as u64;
        }
    }

    /// Opens the selected node, or, where it is open, goes to its first child.
    pub fn unfold(&mut self, tree: &Tree) {
        let Some(index) = self.selected().filter(|&index| tree.has_children(index)) else { return };
        if self.open.insert(index) {
            self.refresh(tree);
        } else {
            self.list.move_by(1, self.len());
        }
    }

    /// Closes the selected node, or, where it is closed, goes to its parent.
    pub fn fold(&mut self, tree: &Tree) {
        let Some(index) = self.selected() else { return };
        if self.open.contains(&index) && tree.has_children(index) {
            self.open.remove(&index);
            return self.refresh(tree);
        }
        if let Some(parent) = tree.parent(index)
            && let Ok(row) = self.visible.binary_search(&parent)
        {
            self.list.cursor = row as u64;
        }
    }

    /// Opens or closes the selected node.
    pub fn toggle(&mut self, tree: &Tree) {
        let Some(index) = self.selected().filter(|&index| tree.has_children(index)) else { return };
        if !self.open.remove(&index) {
            self.open.insert(index);
        }
        self.refresh(tree);
    }

    /// The next node after the selected one, hidden ones too, whose text contains `text`; from the top again at the end.
    pub fn find(&mut self, tree: &Tree, text: &str, backwards: bool) -> bool {
        let count = tree.nodes.len();
        let Some(from) = self.selected() else { return false };
        let text = text.to_lowercase();
        let matches = |index: &NodeIx| {
            let Some(node) = tree.get(*index) else { return false };
            let contains = |parts: &Parts| {
                let whole: String = parts.iter().map(|part| part.text.as_str()).collect();
                whole.to_lowercase().contains(&text)
            };
            contains(&node.name) || contains(&node.value)
        };
        let step = |by: usize| if backwards { (from + count - by % count) % count } else { (from + by) % count };
        let Some(found) = (1..=count).map(step).find(matches) else { return false };
        self.select(tree, found);
        true
    }
}

/// Columns that names have at the least, so that values stand below each other.
const NAME: u16 = 18;

/// Draws the visible nodes. `coding`: each remark says how its node was coded.
pub fn draw_tree(canvas: &mut Canvas<'_>, tree: &Tree, state: &TreeState, coding: bool, focused: bool) {
    let top = state.list.top as usize;
    for (y, row) in (0..canvas.area.height).zip(top..) {
        let Some(&index) = state.visible.get(row) else { break };
        let has_cursor = row as u64 == state.list.cursor;
        canvas.zone(0, y, canvas.area.width, Hit::Row { pane: canvas.pane, row: row as u64 });
        draw_node(canvas, tree, index, y, state.open.contains(&index), coding);
        if has_cursor {
            canvas.text(0, y, 1, canvas.theme.signs.cursor, Role::Heading);
            if focused {
                let width = canvas.area.width.saturating_sub(1);
                canvas.restyle(1, y, width, Role::Selected);
            }
        }
    }
}

fn draw_node(canvas: &mut Canvas<'_>, tree: &Tree, index: NodeIx, y: u16, open: bool, coding: bool) {
    let Some(node) = tree.get(index) else { return };
    let remark_parts = if coding && !node.coding.is_empty() { &node.coding } else { &node.remark };
    let width = canvas.area.width;
    // However deep a hostile message nests, its nodes stay in the window.
    let indent = 1 + 2 * node.depth.min(width / 6);
    let sign = match (tree.has_children(index), open) {
        (false, _) => " ",
        (true, true) => canvas.theme.signs.unfolded,
        (true, false) => canvas.theme.signs.folded,
    };
    canvas.text(indent, y, 1, sign, Role::Text);
    let remark = parts_width(remark_parts) as u16;
    let name_at = indent + 2;
    let name_end = canvas.parts(name_at, y, width.saturating_sub(name_at), &node.name);
    let value_at = name_end.max(name_at + NAME) + 1;
    // The value is what people look for: the remark goes first where both do not fit.
    let value = parts_width(&node.value) as u16;
    let with_remark = width.saturating_sub(remark + 2);
    let room = with_remark.saturating_sub(value_at);
    let keep_remark = remark > 0 && (room >= value.min(width / 3));
    let room = if keep_remark { room } else { width.saturating_sub(value_at) };
    canvas.parts(value_at, y, room, &node.value);
    if keep_remark {
        canvas.parts_right(y, remark, remark_parts);
    }
}

#[cfg(test)]
mod tests {
    use super::super::canvas::Part;
    use super::*;

    fn node(name: &str) -> Node {
        Node { name: vec![Part::new(name, Role::Name)], ..Node::default() }
    }

    /// `a { b { c } d } e`.
    fn tree() -> Tree {
        let mut tree = Tree::default();
        tree.add(Node { open: true, bytes: Some((0, 0..10)), ..node("a") }, 0, |tree| {
            tree.add(Node { bytes: Some((0, 2..6)), ..node("b") }, 1, |tree| {
                tree.add(Node { bytes: Some((0, 3..4)), ..node("c") }, 2, |_| ());
            });
            tree.add(node("d"), 1, |_| ());
        });
        tree.add(node("e"), 0, |_| ());
        tree
    }

    #[test]
    fn folding_hides_descendants_and_goes_to_the_parent() {
        let tree = tree();
        let mut state = TreeState::new(&tree);
        assert_eq!(state.visible, [0, 1, 3, 4]);
        state.list.cursor = 1;
        state.unfold(&tree);
        assert_eq!(state.visible, [0, 1, 2, 3, 4]);
        state.unfold(&tree);
        assert_eq!(state.selected(), Some(2));
        state.fold(&tree);
        assert_eq!(state.selected(), Some(1));
        state.fold(&tree);
        assert_eq!(state.visible, [0, 1, 3, 4]);
        state.fold(&tree);
        state.fold(&tree);
        assert_eq!(state.visible, [0, 4]);
    }

    #[test]
    fn a_byte_selects_the_smallest_node_that_covers_it() {
        let tree = tree();
        assert_eq!(tree.covering(0, 3), Some(2));
        assert_eq!(tree.covering(0, 5), Some(1));
        assert_eq!(tree.covering(0, 9), Some(0));
        assert_eq!(tree.covering(0, 10), None);
        assert_eq!(tree.covering(1, 3), None);
    }

    #[test]
    fn finding_opens_what_hides_the_node_and_goes_round() {
        let tree = tree();
        let mut state = TreeState::new(&tree);
        assert!(state.find(&tree, "C", false));
        assert_eq!(state.selected(), Some(2));
        assert!(state.find(&tree, "a", false));
        assert_eq!(state.selected(), Some(0));
        assert!(state.find(&tree, "e", true));
        assert_eq!(state.selected(), Some(4));
        assert!(!state.find(&tree, "zzz", false));
    }
}
