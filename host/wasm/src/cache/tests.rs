//! A store in a temporary directory; what is "compiled" is a text that names component and turn.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::*;

const BOUNDS: Bounds = Bounds { component: 1 << 20, wait: Duration::from_secs(20) };

struct Try {
    dir: TempDir,
    compiled: Cell<usize>,
}

fn code(wasm: &[u8]) -> Vec<u8> {
    [b"code of ", wasm].concat().repeat(20)
}

impl Try {
    /// A store where `a` is installed.
    fn new() -> Self {
        let new = Self { dir: TempDir::new().unwrap(), compiled: Cell::new(0) };
        new.install("a", b"wasm a");
        assert_eq!(new.compiled.replace(0), 1);
        new
    }

    fn lib(&self) -> PathBuf {
        self.dir.path().join("lib")
    }

    fn install(&self, name: &str, wasm: &[u8]) {
        let mut cache = Cache::create(&self.lib(), "engine-1", BOUNDS.wait).unwrap();
        cache.install(name, pin(wasm), wasm, BOUNDS, &|wasm| self.compile(wasm)).unwrap();
    }

    #[expect(clippy::unnecessary_wraps, reason = "as a compiler has it")]
    fn compile(&self, wasm: &[u8]) -> Result<Vec<u8>, crate::Error> {
        self.compiled.set(self.compiled.get() + 1);
        Ok(code(wasm))
    }

    fn open(&self, engine: &str) -> Result<Cache, Error> {
        Cache::open(&self.lib(), engine).map(|cache| cache.expect("a store"))
    }

    /// Loads `a`: its code, and why it had to be compiled.
    fn load_for(&self, engine: &str) -> Result<(Vec<u8>, Option<String>), Error> {
        let mut cache = self.open(engine)?;
        let digest = cache.pin("a")?.digest.clone();
        let compile = |wasm: &[u8]| self.compile(wasm);
        let loaded = cache.load(&digest, Source::Installed, BOUNDS, &compile)?;
        Ok((loaded.code.bytes().to_vec(), loaded.compiled))
    }

    fn load(&self) -> Result<(Vec<u8>, Option<String>), Error> {
        self.load_for("engine-1")
    }

    /// It is compiled once more, for this reason, and then good.
    #[track_caller]
    fn misses(&self, why: &str) {
        let (bytes, reason) = self.load().unwrap();
        assert_eq!(bytes, code(b"wasm a"));
        let reason = reason.expect("a miss");
        assert!(reason.contains(why), "{reason}");
        assert_eq!(self.compiled.replace(0), 1);
        self.hits();
    }

    #[track_caller]
    fn hits(&self) {
        assert_eq!(self.load().unwrap(), (code(b"wasm a"), None));
        assert_eq!(self.compiled.get(), 0);
    }

    /// It is not used at all, and this is said.
    #[track_caller]
    fn refuses(&self, words: &[&str]) {
        let error = self.load().expect_err("an error").to_string();
        for word in words {
            assert!(error.contains(word), "{word}: {error}");
        }
        assert_eq!(self.compiled.get(), 0);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.lib().join(STORE).join(name)
    }

    fn code_path(&self) -> PathBuf {
        self.path(COMPILED).join(compiled::name(&Digest::of(b"wasm a"), "engine-1"))
    }

    fn wasm_path(&self) -> PathBuf {
        self.path(COMPONENTS).join(wasm_name(&Digest::of(b"wasm a")))
    }
}

fn pin(wasm: &[u8]) -> Pin {
    Pin {
        digest: Digest::of(wasm),
        size: wasm.len() as u64,
        world: "ipam-plugin".to_owned(),
        version: "0.2.0".to_owned(),
        imports: vec![],
        replaced: None,
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Each byte changed, one after the other; the file is as it was at the end.
fn each_byte(path: &Path, check: impl Fn()) {
    let good = fs::read(path).unwrap();
    for at in 0..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 0x01;
        fs::write(path, &changed).unwrap();
        check();
    }
    fs::write(path, &good).unwrap();
}

#[test]
fn pain_h6_what_is_installed_is_not_compiled_again() {
    let it = Try::new();
    it.hits();
    it.hits();
}

#[test]
fn pain_h8_without_the_folder_of_compiled_code_it_is_made_anew() {
    let it = Try::new();
    fs::remove_dir_all(it.path(COMPILED)).unwrap();
    it.misses("there was none");
    it.hits();
}

#[test]
fn pain_h8_cut_at_every_length_it_is_made_anew() {
    let it = Try::new();
    let good = fs::read(it.code_path()).unwrap();
    for length in 0..good.len() {
        fs::write(it.code_path(), &good[..length]).unwrap();
        it.misses("");
        assert_eq!(fs::read(it.code_path()).unwrap(), good);
    }
    fs::remove_file(it.code_path()).unwrap();
    it.misses("there was none for this engine");
}

#[test]
fn pain_h10_a_changed_byte_of_compiled_code_is_never_mapped() {
    let it = Try::new();
    each_byte(&it.code_path(), || it.misses("it"));
    let longer = [fs::read(it.code_path()).unwrap(), vec![0]].concat();
    fs::write(it.code_path(), longer).unwrap();
    it.misses("cut off, or none of ours");
}

#[test]
fn pain_h10_compiled_code_of_another_component_engine_or_store_is_a_miss() {
    let it = Try::new();
    it.install("b", b"wasm b");
    it.compiled.set(0);
    let name = |component: &[u8], engine| compiled::name(&Digest::of(component), engine);
    let compiled = it.path(COMPILED);
    fs::copy(compiled.join(name(b"wasm b", "engine-1")), it.code_path()).unwrap();
    it.misses("put there by somebody else");
    it.load_for("engine-2").unwrap();
    it.compiled.set(0);
    fs::copy(compiled.join(name(b"wasm a", "engine-2")), it.code_path()).unwrap();
    it.misses("put there by somebody else");
    let other = Try::new();
    fs::copy(other.code_path(), it.code_path()).unwrap();
    it.misses("put there by somebody else");
}

#[test]
fn pain_h10_a_changed_component_is_never_compiled() {
    let it = Try::new();
    fs::remove_file(it.code_path()).unwrap();
    each_byte(&it.wasm_path(), || it.refuses(&["is not what was installed", "install"]));
    let good = fs::read(it.wasm_path()).unwrap();
    for length in 0..good.len() {
        fs::write(it.wasm_path(), &good[..length]).unwrap();
        it.refuses(&["is not what was installed"]);
    }
    fs::remove_file(it.wasm_path()).unwrap();
    it.refuses(&["is gone"]);
    fs::write(it.wasm_path(), good).unwrap();
    it.misses("there was none");
}

#[test]
fn pain_h10_a_changed_lock_file_or_key_is_never_trusted() {
    let it = Try::new();
    each_byte(&it.path(LOCK), || it.refuses(&["lock.json", "Find out who changed it"]));
    each_byte(&it.path(KEY), || it.refuses(&["lock.json", "another key"]));
    for name in [LOCK, KEY] {
        let good = fs::read(it.path(name)).unwrap();
        for length in 0..good.len() {
            fs::write(it.path(name), &good[..length]).unwrap();
            it.refuses(&["lock file", "built-in components go on working"]);
        }
        fs::remove_file(it.path(name)).unwrap();
        it.refuses(&["lock file", "built-in components go on working"]);
        assert!(Cache::create(&it.lib(), "engine-1", BOUNDS.wait).is_err(), "{name}: made anew");
        fs::write(it.path(name), good).unwrap();
        chmod(&it.path(name), 0o600);
    }
    it.hits();
}

#[test]
fn pain_h10_no_symbolic_link_is_followed() {
    let it = Try::new();
    let away = it.dir.path().join("away");
    for name in [LOCK, KEY, COMPONENTS, COMPILED] {
        fs::rename(it.path(name), &away).unwrap();
        symlink(&away, it.path(name)).unwrap();
        it.refuses(&[name, "symbolic link"]);
        fs::remove_file(it.path(name)).unwrap();
        fs::rename(&away, it.path(name)).unwrap();
    }
    it.hits();
    fs::rename(it.code_path(), &away).unwrap();
    symlink(&away, it.code_path()).unwrap();
    it.misses("symbolic link");
    assert!(fs::symlink_metadata(it.code_path()).unwrap().is_file());
    fs::remove_file(it.code_path()).unwrap();
    fs::remove_file(&away).unwrap();
    fs::rename(it.wasm_path(), &away).unwrap();
    symlink(&away, it.wasm_path()).unwrap();
    it.refuses(&["symbolic link"]);
    let store = it.lib().join(STORE);
    fs::rename(&store, it.lib().join("away")).unwrap();
    symlink(it.lib().join("away"), &store).unwrap();
    it.refuses(&["symbolic link"]);
}

#[test]
fn pain_h10_what_others_may_write_is_not_used() {
    let it = Try::new();
    let dirs = [it.lib(), it.path(""), it.path(COMPONENTS), it.path(COMPILED)];
    for (path, good) in dirs
        .iter()
        .map(|dir| (dir.clone(), 0o700))
        .chain([(it.path(LOCK), 0o600), (it.path(KEY), 0o600)])
    {
        for writable in [0o020, 0o002] {
            chmod(&path, good | writable);
            it.refuses(&["is not to be trusted", "chmod"]);
            chmod(&path, good);
        }
    }
    chmod(&it.path(KEY), 0o640);
    it.refuses(&["key", "read or written by others"]);
    chmod(&it.path(KEY), 0o600);
    it.hits();
    chmod(&it.code_path(), 0o666);
    it.misses("lets it be written by others");
    fs::remove_file(it.code_path()).unwrap();
    chmod(&it.wasm_path(), 0o620);
    it.refuses(&["lets it be written by others"]);
    fs::remove_file(it.wasm_path()).unwrap();
    fs::create_dir(it.wasm_path()).unwrap();
    it.refuses(&["no regular file"]);
}

#[test]
#[ignore = "needs root: ring netns"]
fn pain_h10_what_belongs_to_another_user_is_not_used() {
    let it = Try::new();
    let give = |path: &Path, user| std::os::unix::fs::chown(path, Some(user), None).unwrap();
    let dirs = [it.lib(), it.path(""), it.path(COMPONENTS), it.path(COMPILED)];
    for path in dirs.into_iter().chain([it.path(LOCK), it.path(KEY)]) {
        give(&path, 1);
        it.refuses(&["belongs to user 1"]);
        give(&path, 0);
    }
    give(&it.code_path(), 1);
    it.misses("belongs to user 1");
    fs::remove_file(it.code_path()).unwrap();
    give(&it.wasm_path(), 1);
    it.refuses(&["belongs to user 1"]);
}

#[test]
fn pain_h7_another_engine_has_its_own_beside_it() {
    let it = Try::new();
    let (_, why) = it.load_for("engine-2").unwrap();
    assert!(why.is_some_and(|why| why.contains("none for this engine")));
    assert_eq!(it.compiled.replace(0), 1);
    for engine in ["engine-1", "engine-2", "engine-1"] {
        assert_eq!(it.load_for(engine).unwrap(), (code(b"wasm a"), None), "{engine}");
    }
    assert_eq!(it.compiled.get(), 0);
    assert_eq!(it.open("engine-2").unwrap().verify(), []);
}

#[test]
fn pain_h9_what_is_mapped_stays_while_it_is_replaced() {
    let it = Try::new();
    let lib = it.lib();
    let count = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                let mut cache = Cache::open(&lib, "engine-1").unwrap().unwrap();
                let digest = Digest::of(b"wasm a");
                let compile = |wasm: &[u8]| Ok(code(wasm));
                let loaded = cache.load(&digest, Source::Installed, BOUNDS, &compile).unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                while count.load(Ordering::SeqCst) < 1000 {
                    assert_eq!(loaded.code.bytes(), code(b"wasm a"));
                    std::thread::yield_now();
                }
            });
        }
        while count.load(Ordering::SeqCst) < 50 {
            std::thread::yield_now();
        }
        let mut cache = it.open("engine-1").unwrap();
        let name = compiled::name(&Digest::of(b"wasm a"), "engine-1");
        for turn in 0..100_u8 {
            cache.edit(BOUNDS.wait, |cache| cache.keep(&name, &[turn; 700])).unwrap();
        }
        count.store(1000, Ordering::SeqCst);
    });
}

#[test]
fn whoever_is_first_compiles_for_all() {
    let it = Try::new();
    fs::remove_file(it.code_path()).unwrap();
    let lib = it.lib();
    let count = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut cache = Cache::open(&lib, "engine-1").unwrap().unwrap();
                let compile = |wasm: &[u8]| {
                    count.fetch_add(1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(50));
                    Ok(code(wasm))
                };
                let digest = Digest::of(b"wasm a");
                cache.load(&digest, Source::Installed, BOUNDS, &compile).unwrap();
            });
        }
    });
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn a_large_one_is_checked_as_a_whole_when_it_looks_changed() {
    let it = Try::new();
    let large = vec![b'l'; 60_000];
    it.install("a", &large);
    it.compiled.set(0);
    let name = compiled::name(&Digest::of(&large), "engine-1");
    let path = it.path(COMPILED).join(&name);
    let unseen = || it.open("engine-1").unwrap().mapped(&name).unwrap().1.is_some();
    assert!(fs::metadata(&path).unwrap().len() > WHOLE);
    assert!(!unseen());
    // Another inode with the same content: found good, and known from then on.
    let copy = it.path("copy");
    fs::copy(&path, &copy).unwrap();
    fs::rename(&copy, &path).unwrap();
    assert!(unseen());
    assert_eq!(it.load().unwrap(), (code(&large), None));
    assert!(!unseen());
    let mut bytes = fs::read(&path).unwrap();
    bytes[700_000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(it.load().unwrap().1.is_some_and(|why| why.contains("was changed")));
    assert_eq!(it.compiled.get(), 1);
}

#[test]
fn a_component_that_does_not_compile_leaves_nothing() {
    let it = Try::new();
    let before = fs::read(it.path(LOCK)).unwrap();
    let mut cache = it.open("engine-1").unwrap();
    let fails = |_: &[u8]| {
        let what = "does not compile".to_owned();
        Err(crate::Error::Unloadable { plugin: "b".to_owned(), what })
    };
    let error = cache.install("b", pin(b"b"), b"b", BOUNDS, &fails).unwrap_err();
    assert!(error.to_string().contains("does not compile"), "{error}");
    assert_eq!(fs::read(it.path(LOCK)).unwrap(), before);
    assert_eq!(it.open("engine-1").unwrap().verify(), []);
}

#[test]
fn an_upgrade_keeps_what_it_replaced_until_the_next() {
    let it = Try::new();
    it.install("a", b"wasm 2");
    assert!(it.wasm_path().exists() && it.code_path().exists());
    assert_eq!(it.open("engine-1").unwrap().verify(), []);
    it.install("a", b"wasm 3");
    assert!(!it.wasm_path().exists() && !it.code_path().exists());
    let mut cache = it.open("engine-1").unwrap();
    cache.remove("a", BOUNDS.wait).unwrap();
    assert!(matches!(cache.pin("a"), Err(Error::Unknown { .. })));
    for name in [COMPONENTS, COMPILED] {
        assert_eq!(fs::read_dir(it.path(name)).unwrap().count(), 0, "{name}");
    }
    assert_eq!(cache.verify(), []);
}

#[test]
fn two_names_may_stand_for_one_component() {
    let it = Try::new();
    it.install("b", b"wasm a");
    assert_eq!(it.compiled.get(), 0, "compiled already");
    it.open("engine-1").unwrap().remove("b", BOUNDS.wait).unwrap();
    it.hits();
}

#[test]
fn what_a_killed_writer_left_is_taken_away() {
    let it = Try::new();
    let left = it.path(COMPILED).join(".new-1-0");
    fs::write(&left, "half").unwrap();
    assert_eq!(it.open("engine-1").unwrap().verify().len(), 1);
    it.install("b", b"wasm b");
    assert!(!left.exists());
}

#[test]
fn verify_names_each_finding() {
    let it = Try::new();
    it.install("b", b"wasm b");
    assert_eq!(it.open("engine-1").unwrap().verify(), []);
    fs::write(it.wasm_path(), "other").unwrap();
    let mut code = fs::read(it.code_path()).unwrap();
    code[0] ^= 1;
    fs::write(it.code_path(), code).unwrap();
    for stray in ["stray", "components/stray.wasm", "compiled/stray.cwasm"] {
        fs::write(it.path(stray), "").unwrap();
    }
    let nobody = it.path(COMPONENTS).join(wasm_name(&Digest::of(b"nobody's")));
    fs::write(&nobody, "nobody's").unwrap();
    fs::remove_file(it.path(COMPILED).join(compiled::name(&Digest::of(b"wasm b"), "engine-1")))
        .unwrap();
    let findings = it.open("engine-1").unwrap().verify();
    let said: Vec<String> = findings.iter().map(|f| format!("{} {}", f.object, f.what)).collect();
    for words in [
        ["stray", "does not belong here"],
        ["components/stray.wasm", "pinned by no name"],
        [nobody.to_str().unwrap(), "pinned by no name"],
        ["compiled/stray.cwasm", "does not belong here"],
        ["a ", "is not what was installed"],
        [it.code_path().to_str().unwrap(), "was changed"],
        ["b ", "recompile"],
    ] {
        let one = said.iter().any(|line| words.iter().all(|word| line.contains(word)));
        assert!(one, "{words:?}: {said:#?}");
    }
    assert_eq!(said.len(), 7, "{said:#?}");
}

#[test]
fn a_component_outside_is_checked_and_kept_by_its_digest() {
    let it = Try::new();
    let path = it.dir.path().join("x.wasm");
    fs::write(&path, "outside").unwrap();
    chmod(&path, 0o644);
    let wasm = outside(&path, 100).unwrap();
    let digest = Digest::of(&wasm);
    let mut cache = it.open("engine-1").unwrap();
    let compile = |wasm: &[u8]| it.compile(wasm);
    for compiled in [true, false] {
        let loaded = cache.load(&digest, Source::Outside(&wasm), BOUNDS, &compile).unwrap();
        assert_eq!(loaded.compiled.is_some(), compiled);
    }
    assert_eq!(cache.verify(), []);
    assert!(matches!(outside(&path, 6), Err(Error::TooLarge { size: 7, allowed: 6 })));
    chmod(&path, 0o666);
    assert!(matches!(outside(&path, 100), Err(Error::Untrusted { .. })));
    let link = it.dir.path().join("link.wasm");
    symlink(&path, &link).unwrap();
    assert!(matches!(outside(&link, 100), Err(Error::Untrusted { .. })));
    assert!(matches!(outside(it.dir.path(), 100), Err(Error::Untrusted { .. })));
    assert!(matches!(outside(Path::new("/nonexistent"), 100), Err(Error::File { .. })));
}

#[test]
fn where_nothing_was_installed_there_is_no_store() {
    let dir = TempDir::new().unwrap();
    assert!(Cache::open(dir.path(), "engine-1").unwrap().is_none());
    assert!(Cache::open(&dir.path().join("lib"), "engine-1").unwrap().is_none());
    // One whose making was interrupted, too: making it again mends it.
    fs::create_dir_all(dir.path().join(STORE).join(COMPONENTS)).unwrap();
    assert!(Cache::open(dir.path(), "engine-1").unwrap().is_none());
    assert!(Cache::create(dir.path(), "engine-1", BOUNDS.wait).unwrap().pins().is_empty());
    fs::remove_file(dir.path().join(STORE).join(LOCK)).unwrap();
    assert!(Cache::open(dir.path(), "engine-1").unwrap().is_none());
    assert!(Cache::create(dir.path(), "engine-1", BOUNDS.wait).unwrap().pins().is_empty());
}

#[test]
fn a_store_that_another_works_on_is_waited_for() {
    let it = Try::new();
    let other = it.open("engine-1").unwrap();
    let held = hold(&other.root, Duration::ZERO).unwrap();
    let mut cache = it.open("engine-1").unwrap();
    let busy = cache.remove("a", Duration::from_millis(20)).unwrap_err();
    assert!(matches!(busy, Error::Busy { .. }), "{busy}");
    drop(held);
    cache.remove("a", Duration::ZERO).unwrap();
}
