//! Which file of a crate uses which: paths are followed through modules and re-exports to the file that defines what they name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Names from a crate's root: of a module, or of an item in it.
type Names = Vec<String>;

/// What a name in a module stands for.
enum Meaning {
    Item,
    Module,
    /// What was imported or re-exported by this path.
    Import(Names),
}

struct Module {
    file: String,
    names: BTreeMap<String, Meaning>,
    globs: Vec<Names>,
}

/// A path somewhere in a file.
struct Mention {
    file: String,
    module: Names,
    path: Names,
}

/// Where a path leads.
enum Target {
    Item(String),
    Module(Names),
}

/// A crate's modules, as far as they are compiled outside of tests.
pub struct Crate {
    folder: PathBuf,
    modules: BTreeMap<Names, Module>,
    mentions: Vec<Mention>,
    /// Files that define something. A `mod.rs` that doesn't only hands on what others define, and is no file of its own here.
    defining: BTreeSet<String>,
}

impl Crate {
    /// Reads a crate from its `lib.rs` on.
    pub fn read(folder: &Path) -> Self {
        let mut this = Self {
            folder: folder.to_owned(),
            modules: BTreeMap::new(),
            mentions: Vec::new(),
            defining: BTreeSet::new(),
        };
        this.read_file("lib.rs", Vec::new());
        this
    }

    /// All files but those that only hand on what others define.
    pub fn files(&self) -> BTreeSet<&str> {
        self.modules.values().map(|module| module.file.as_str()).filter(|file| !self.hands_on(file)).collect()
    }

    /// Which file uses which, each with one path by which it does.
    pub fn uses(&self) -> BTreeMap<(&str, String), String> {
        let mut uses = BTreeMap::new();
        for mention in self.mentions.iter().filter(|mention| !self.hands_on(&mention.file)) {
            let Some(path) = self.absolute(&mention.module, &mention.path) else { continue };
            for file in self.files_of(&path, mention).into_iter().filter(|file| *file != mention.file) {
                uses.entry((mention.file.as_str(), file)).or_insert_with(|| path.join("::"));
            }
        }
        uses
    }

    fn hands_on(&self, file: &str) -> bool {
        file.ends_with("mod.rs") && !self.defining.contains(file)
    }

    fn files_of(&self, path: &[String], mention: &Mention) -> Vec<String> {
        if let Some((star, module)) = path.split_last()
            && star == "*"
        {
            let Some(Target::Module(module)) = self.resolve(module, 0) else { return Vec::new() };
            let names = self.modules[&module].names.keys();
            let named = names.filter_map(|name| self.resolve(&[&module[..], std::slice::from_ref(name)].concat(), 0));
            return named.filter_map(|target| self.file_of(target)).collect();
        }
        let target = self.resolve(path, 0);
        let target = target.unwrap_or_else(|| panic!("{}: {} leads nowhere", mention.file, path.join("::")));
        self.file_of(target).into_iter().collect()
    }

    /// The modules that only hand on are transparent: what is used by way of them is seen where it is named.
    fn file_of(&self, target: Target) -> Option<String> {
        match target {
            Target::Item(file) => Some(file),
            Target::Module(module) => Some(self.modules[&module].file.clone()).filter(|file| !self.hands_on(file)),
        }
    }

    fn absolute(&self, module: &[String], path: &[String]) -> Option<Names> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([module, rest].concat()),
            "super" => {
                let up = path.iter().take_while(|name| *name == "super").count();
                Some([&module[..module.len() - up], &path[up..]].concat())
            }
            name if self.modules[module].names.contains_key(name) => Some([module, path].concat()),
            _ => None,
        }
    }

    fn resolve(&self, path: &[String], depth: usize) -> Option<Target> {
        assert!(depth < 20, "{path:?} imports itself");
        let mut at = Names::new();
        for (n, name) in path.iter().enumerate() {
            let module = &self.modules[&at];
            let rest = &path[n + 1..];
            match module.names.get(name) {
                Some(Meaning::Item) => return Some(Target::Item(module.file.clone())),
                Some(Meaning::Module) => at.push(name.clone()),
                Some(Meaning::Import(of)) => return self.resolve(&[of, rest].concat(), depth + 1),
                None => {
                    let by_glob = |glob: &Names| self.resolve(&[glob, &path[n..]].concat(), depth + 1);
                    let found = module.globs.iter().find_map(by_glob);
                    // An item that a macro makes, or something of another crate's.
                    return found.or_else(|| {
                        (n > 0 && !self.hands_on(&module.file)).then(|| Target::Item(module.file.clone()))
                    });
                }
            }
        }
        Some(Target::Module(at))
    }

    fn read_file(&mut self, file: &str, module: Names) {
        let text = fs::read_to_string(self.folder.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{file}: {error}"));
        self.modules
            .insert(module.clone(), Module { file: file.to_owned(), names: BTreeMap::new(), globs: Vec::new() });
        self.walk(&tokens.into_iter().collect::<Vec<_>>(), file, &module, true);
    }

    /// Goes through tokens: those of a module itself, or of something within.
    fn walk(&mut self, tokens: &[TokenTree], file: &str, module: &Names, is_module: bool) {
        let mut i = 0;
        while i < tokens.len() {
            let next = tokens.get(i + 1);
            i = match (&tokens[i], next) {
                (TokenTree::Group(group), _) => {
                    self.walk(&group.stream().into_iter().collect::<Vec<_>>(), file, module, false);
                    i + 1
                }
                (TokenTree::Punct(mark), Some(TokenTree::Group(attribute))) if mark.as_char() == '#' => {
                    let attribute = attribute.stream().to_string().replace(' ', "");
                    if attribute.starts_with("cfg(test") || attribute.starts_with("cfg(all(test") {
                        after_item(tokens, i + 2)
                    } else {
                        i + 2
                    }
                }
                (TokenTree::Ident(word), Some(TokenTree::Ident(name))) if word == "mod" && is_module => {
                    self.declare(module, &name.to_string(), Meaning::Module);
                    let inner = [&module[..], &[name.to_string()]].concat();
                    if let Some(TokenTree::Group(body)) = tokens.get(i + 2) {
                        let names = BTreeMap::new();
                        self.modules.insert(inner.clone(), Module { file: file.to_owned(), names, globs: Vec::new() });
                        self.walk(&body.stream().into_iter().collect::<Vec<_>>(), file, &inner, true);
                    } else {
                        let child = self.file_of_module(file, &name.to_string());
                        self.read_file(&child, inner);
                    }
                    i + 3
                }
                (TokenTree::Ident(word), Some(TokenTree::Ident(_))) if word == "use" => {
                    let end = (i..tokens.len()).find(|at| is_mark(tokens, *at, ';')).unwrap_or(tokens.len());
                    self.import(&tokens[i + 1..end], file, module, is_module);
                    end
                }
                (TokenTree::Ident(word), Some(mark)) if word == "macro_rules" && mark.to_string() == "!" => {
                    let name = tokens[i + 2].to_string();
                    self.define(file, module, &name);
                    // Exported macros are the root's.
                    let of = [&module[..], std::slice::from_ref(&name)].concat();
                    self.declare(&Names::new(), &name, Meaning::Import(of));
                    i + 3
                }
                (TokenTree::Ident(word), Some(TokenTree::Ident(name)))
                    if is_module && is_item(&word.to_string()) && !is_item(&name.to_string()) =>
                {
                    self.define(file, module, &name.to_string());
                    i + 2
                }
                (TokenTree::Ident(word), _) => {
                    if is_module && word == "impl" {
                        self.defining.insert(file.to_owned());
                    }
                    let path = path_at(tokens, i);
                    let end = i + 1 + 3 * (path.len().saturating_sub(1));
                    if path.len() > 1 {
                        self.mentions.push(Mention { file: file.to_owned(), module: module.clone(), path });
                    }
                    end
                }
                _ => i + 1,
            };
        }
    }

    fn declare(&mut self, module: &Names, name: &str, meaning: Meaning) {
        if let Some(module) = self.modules.get_mut(module) {
            module.names.entry(name.to_owned()).or_insert(meaning);
        }
    }

    fn define(&mut self, file: &str, module: &Names, name: &str) {
        self.declare(module, name, Meaning::Item);
        self.defining.insert(file.to_owned());
    }

    fn import(&mut self, tree: &[TokenTree], file: &str, module: &Names, is_module: bool) {
        let mut leaves = Vec::new();
        use_tree(tree, Names::new(), &mut leaves);
        for (path, name) in leaves {
            let is_own = matches!(path[0].as_str(), "crate" | "self" | "super")
                || self.modules[module].names.contains_key(&path[0]);
            if is_own
                && is_module
                && let Some(of) = self.absolute(module, &path)
            {
                match name {
                    Some(name) => self.declare(module, &name, Meaning::Import(of)),
                    None => self.modules.get_mut(module).unwrap().globs.push(of[..of.len() - 1].to_vec()),
                }
            }
            self.mentions.push(Mention { file: file.to_owned(), module: module.clone(), path });
        }
    }

    fn file_of_module(&self, parent: &str, name: &str) -> String {
        let stem = parent.trim_end_matches(".rs");
        let folder = match stem.rsplit_once('/') {
            Some((folder, "mod")) => format!("{folder}/"),
            None if stem == "lib" => String::new(),
            _ => format!("{stem}/"),
        };
        let name = name.trim_start_matches("r#");
        let file = format!("{folder}{name}.rs");
        if self.folder.join(&file).exists() { file } else { format!("{folder}{name}/mod.rs") }
    }
}

/// The leaves of a `use`: each path, and the name it has here; none for a glob, whose path ends with a star.
fn use_tree(tree: &[TokenTree], mut path: Names, leaves: &mut Vec<(Names, Option<String>)>) {
    let mut renamed = None;
    let mut i = 0;
    while i < tree.len() {
        match &tree[i] {
            TokenTree::Ident(word) if word == "as" => {
                renamed = tree.get(i + 1).map(ToString::to_string);
                i += 1;
            }
            TokenTree::Ident(name) => path.push(name.to_string()),
            // A macro's parameter; `$crate` is a crate.
            TokenTree::Punct(mark)
                if mark.as_char() == '$' && tree.get(i + 1).is_some_and(|next| next.to_string() != "crate") =>
            {
                break;
            }
            TokenTree::Punct(mark) if mark.as_char() == '*' => {
                path.push("*".to_owned());
                return leaves.push((path, None));
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                let branches: Vec<TokenTree> = group.stream().into_iter().collect();
                let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ',');
                for branch in branches.split(is_comma).filter(|branch| !branch.is_empty()) {
                    use_tree(branch, path.clone(), leaves);
                }
                return;
            }
            _ => {}
        }
        i += 1;
    }
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let name = renamed.or_else(|| path.last().cloned());
    leaves.push((path, name));
}

/// The path that begins here; empty if this is the middle of one, or the name of a field or method.
fn path_at(tokens: &[TokenTree], start: usize) -> Names {
    let goes_on = |at: usize| is_mark(tokens, at, ':') && is_mark(tokens, at + 1, ':');
    let is_later = start >= 2 && goes_on(start - 2);
    let is_member = start >= 1 && is_mark(tokens, start - 1, '.') && !(start >= 2 && is_mark(tokens, start - 2, '.'));
    if is_later || is_member {
        return Names::new();
    }
    let mut path = vec![tokens[start].to_string()];
    let mut at = start + 1;
    while let Some(TokenTree::Ident(name)) = tokens.get(at + 2)
        && goes_on(at)
    {
        path.push(name.to_string());
        at += 3;
    }
    path
}

fn is_mark(tokens: &[TokenTree], at: usize, mark: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == mark)
}

fn is_item(word: &str) -> bool {
    matches!(word, "struct" | "enum" | "union" | "trait" | "fn" | "type" | "const" | "static" | "async" | "unsafe")
}

/// What follows the item that begins here.
fn after_item(tokens: &[TokenTree], start: usize) -> usize {
    let is_end = |token: &TokenTree| match token {
        TokenTree::Punct(mark) => mark.as_char() == ';',
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        _ => false,
    };
    tokens[start..].iter().position(is_end).map_or(tokens.len(), |end| start + end + 1)
}
